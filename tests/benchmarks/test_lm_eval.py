"""Tasks of lm-eval as benchmarks: the same prompts, and the same scores on the same texts, as lm-eval's own."""

from __future__ import annotations

import hashlib
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from statistics import fmean
from typing import Any

import pytest

pytest.importorskip("lm_eval")

import datasets
import lm_eval
from lm_eval.api.model import LM
from lm_eval.tasks import TaskManager

from harness import HarnessError, Problem, Prompt
from harness.data import DataSource
from harness.plugins import PluginManager

from ..conftest import Command

GRADE_SCHOOL = r"""
task: mytask
dataset_path: json
dataset_kwargs: {data_files: {train: rows/train.jsonl, test: rows/test.jsonl}}
output_type: generate_until
training_split: train
fewshot_split: train
test_split: test
description: "Sums, one after the other.\n\n"
doc_to_text: "Question: {{question}}\nAnswer:"
doc_to_target: "{{answer}}"
metric_list:
  - metric: exact_match
    aggregation: mean
    higher_is_better: true
    ignore_case: true
    ignore_punctuation: false
    regexes_to_ignore: [",", "\\$", "(?s).*#### ", "\\.$"]
generation_kwargs: {until: ["Question:", "</s>"], do_sample: false, temperature: 0.0, max_gen_toks: 99}
num_fewshot: 3
filter_list:
  - name: strict-match
    filter:
      - {function: regex, regex_pattern: "#### (\\-?[0-9\\.\\,]+)"}
      - {function: take_first}
  - name: flexible-extract
    filter:
      - {function: regex, group_select: -1, regex_pattern: "(-?[$0-9.,]{2,})|(-?[0-9]+)"}
      - {function: take_first}
  - name: maj@8
    filter:
      - {function: take_first_k, k: 8}
      - {function: majority_vote}
      - {function: take_first}
metadata: {version: 1.0}
"""

CREDIT = """
task: mycredit
include: _common_yaml
process_docs: !function credit.process_docs
doc_to_text: !function credit.doc_to_text
doc_to_target: "{{answer}}"
process_results: !function credit.process_results
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true}
  - {metric: closeness, aggregation: mean, higher_is_better: true}
  - {metric: distance, aggregation: mean, higher_is_better: false}
  - {metric: spread, aggregation: !function credit.spread, higher_is_better: true}
generation_kwargs: {until: ["Problem:"], do_sample: true, temperature: 0.5}
num_fewshot: 0
"""

COMMON = """
dataset_path: json
dataset_kwargs: {data_files: {test: rows/test.jsonl}}
output_type: generate_until
test_split: test
"""

CREDIT_CODE = """
import re


def process_docs(dataset):
    return dataset.map(lambda doc: {"answer": doc["answer"].split("#### ")[1], "asked": doc["question"].upper()})


def doc_to_text(doc):
    return "Problem: " + doc["asked"] + " Answer:"


def process_results(doc, results):
    found = re.findall(r"-?[0-9]+", results[0])
    last = int(found[-1]) if found else 0
    gold = int(doc["answer"])
    off = abs(last - gold)
    return {"exact_match": int(off == 0), "closeness": 1 / (1 + off), "distance": off, "spread": [off, gold]}


def spread(items):
    return max(off for off, _ in items)
"""

CHOICES = """
task: mychoices
dataset_path: json
dataset_kwargs: {data_files: {test: rows/choices.jsonl}}
output_type: generate_until
test_split: test
doc_to_text: "{{question}}"
doc_to_target: "{{targets}}"
generation_kwargs: {until: ["\\n"]}
metric_list:
  - {metric: exact_match, aggregation: mean, higher_is_better: true, ignore_case: true}
"""

OTHERS = {
    "likely.yaml": "task: mytask_likely\ninclude: _common_yaml\noutput_type: multiple_choice\n"
    "doc_to_text: '{{question}}'\ndoc_to_target: 0\ndoc_to_choice: ['1', '2']\n",
    "group.yaml": "group: mygroup\ntask: [mytask, mycredit, mytask_likely]\n",
    "tagged.yaml": "task: mytagged\ntag: mytag\ninclude: _common_yaml\ndoc_to_text: '{{question}}'\n"
    "doc_to_target: '{{answer}}'\ngeneration_kwargs: {until: ['x']}\n",
    "bleu.yaml": "task: mybleu\ninclude: _common_yaml\ndoc_to_text: '{{question}}'\ndoc_to_target: '{{answer}}'\n"
    "generation_kwargs: {until: ['x']}\nmetric_list: [{metric: bleu, aggregation: bleu, higher_is_better: true}]\n",
    "code.yaml": "task: mycode\ninclude: _common_yaml\nunsafe_code: true\ndoc_to_text: '{{question}}'\n"
    "doc_to_target: '{{answer}}'\n",
}


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A user's folder of task files, with the rows beside them."""
    folder = tmp_path_factory.mktemp("tasks")
    (folder / "rows").mkdir()
    files = {
        "mytask.yaml": GRADE_SCHOOL,
        "mycredit.yaml": CREDIT,
        "mychoices.yaml": CHOICES,
        "_common_yaml": COMMON,
        "credit.py": CREDIT_CODE,
        **OTHERS,
    }
    for name, text in files.items():
        (folder / name).write_text(text, encoding="utf-8")
    for split, offset in (("train", 50), ("test", 0)):
        rows = [
            {"question": f"What is {n + offset} + {n}?", "answer": f"It is so. #### {2 * n + offset}"}
            for n in range(7)
        ]
        write_rows(folder / "rows" / f"{split}.jsonl", rows)
    write_rows(
        folder / "rows" / "choices.jsonl",
        [{"question": f"{n}?", "targets": ["Yes", f"option {n}"]} for n in range(5)],
    )
    return folder


def write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(datasets.config, "HF_DATASETS_CACHE", tmp_path / "datasets")
    monkeypatch.setenv("HF_DATASETS_CACHE", str(tmp_path / "datasets"))
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    for variable in ("HARNESS_LM_EVAL_TASKS", "HARNESS_LM_EVAL_WARM"):
        monkeypatch.setenv(variable, "")


class Stored(LM):
    """A model of lm-eval that gives back stored texts, and keeps what it was asked."""

    tokenizer_name = "none"

    def __init__(self, texts: Callable[[int], str]) -> None:
        super().__init__()
        self.texts = texts
        self.asked: list[tuple[Any, Mapping[str, Any]]] = []

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        self.asked = [request.args for request in requests]
        return [self.texts(request.doc_id) for request in requests]

    def loglikelihood(self, requests: list[Any]) -> Any:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Any]) -> Any:
        raise NotImplementedError

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        return json.dumps(chat_history)


def lm_evals_own(task: Any, texts: Callable[[int], str], folder: Path | None = None, **options: Any) -> Any:
    """What `lm_eval.simple_evaluate` makes of stored texts: its scores, and what it asked."""
    model = Stored(texts)
    manager = None
    if folder is not None:
        manager = TaskManager(include_path=str(folder), include_defaults=False)
    results = lm_eval.simple_evaluate(
        model, tasks=[task], task_manager=manager, bootstrap_iters=0, log_samples=False, **options
    )
    (name,) = results["results"]
    scores = {k: v for k, v in results["results"][name].items() if "," in k and "_stderr" not in k}
    return scores, model.asked


def loaded(plugins: PluginManager, spec: str, folder: Path | None) -> tuple[list[Problem], list[Prompt], Any]:
    benchmark = plugins.benchmark(f"lm-eval:{spec}")
    data = DataSource(folder)
    problems = list(benchmark.problems(data))
    prompts = [benchmark.prompt(problem) for problem in problems]
    assert all(prompt is not None for prompt in prompts)
    return problems, [prompt for prompt in prompts if prompt is not None], benchmark


def replayed(
    harness: Command, spec: str, folder: Path, texts: Callable[[int, int], str], count: int, n: int
) -> dict[str, Any]:
    """The result of `harness run` on the same texts: `texts(document, sample)`."""
    name = spec.partition(",")[0]
    rows = [
        {"problem_id": f"{name}/{doc}", "index": i, "text": texts(doc, i)}
        for doc in range(count)
        for i in range(n)
    ]
    chains = harness.folder / "chains.jsonl"
    write_rows(chains, rows)
    (result,) = harness.json(
        "run", "--bench", f"lm-eval:{spec}", "--data", folder, "--chains", chains, "--sampler", "replay", "--n", n,
        "--model", "m",
    )  # fmt: skip
    return result


def some_text(doc: int, index: int, right: str) -> str:
    """One of many ways to answer, right or wrong, picked by a hash."""
    ways = [
        f"It is so. #### {right}",
        f"#### {right}.",
        f"The answer is {right}",
        f"#### 7\nor rather #### {right}",
        "I cannot say.",
        "",
        f"#### ${right},",
        "\u221212 \ud83d\ude00 #### -3",
        f"{right} \n\nA\x00B 1e9",
        f"yes {right} 5",
    ]
    return ways[int(hashlib.sha256(f"{doc}/{index}".encode()).hexdigest(), 16) % len(ways)]


def sum_of(doc: int, index: int) -> str:
    return some_text(doc, index, str(2 * doc))


def scores_of(result: Mapping[str, Any]) -> dict[str, float]:
    return {name: score["value"] for name, score in result["scores"].items() if "," in name}


# -- the same prompts -----------------------------------------------------------------------------


@pytest.mark.parametrize("fewshot", [None, 0, 5])
def test_prompts_and_stop_texts_are_lm_evals_byte_for_byte(
    plugins: PluginManager, tasks: Path, fewshot: int | None, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = "mytask" if fewshot is None else f"mytask,fewshot={fewshot}"
    problems, prompts, benchmark = loaded(plugins, spec, tasks)
    monkeypatch.chdir(tasks)  # lm-eval itself looks for data files from where it runs
    own = lm_evals_own_without_votes("mytask", tasks)
    _, asked = lm_evals_own(own, lambda doc: "", tasks, num_fewshot=fewshot)
    assert [prompt.text for prompt in prompts] == [context for context, _ in asked]
    assert [list(prompt.stop) for prompt in prompts] == [settings["until"] for _, settings in asked]
    assert not any(prompt.messages for prompt in prompts)
    assert [problem.id for problem in problems] == [f"mytask/{n}" for n in range(7)]
    assert problems[2].text == "Question: What is 2 + 2?\nAnswer:"
    assert benchmark.notes(problems)["fewshot"] == (3 if fewshot is None else fewshot)


@pytest.mark.parametrize("multiturn", [True, False])
def test_in_chat_the_messages_are_those_that_lm_eval_gives_to_a_chat_template(
    plugins: PluginManager, tasks: Path, multiturn: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, prompts, _ = loaded(plugins, f"mytask,chat=true,multiturn={str(multiturn).lower()}", tasks)
    monkeypatch.chdir(tasks)
    own = lm_evals_own_without_votes("mytask", tasks)
    _, asked = lm_evals_own(
        own, lambda doc: "", tasks, apply_chat_template=True, fewshot_as_multiturn=multiturn
    )
    shown = [[{"role": m.role, "content": m.content} for m in prompt.messages] for prompt in prompts]
    assert shown == [json.loads(context) for context, _ in asked]
    assert prompts[0].text is None
    assert prompts[0].messages[0].role == "system"
    assert len(prompts[0].messages) == (8 if multiturn else 2)


# -- the same scores -------------------------------------------------------------------------------


@pytest.mark.parametrize("n", [1, 4])
@pytest.mark.parametrize("spec", ["mytask", "mycredit", "mytask,filter=flexible-extract"])
def test_every_filter_and_metric_scores_as_in_lm_eval(
    harness: Command, tasks: Path, spec: str, n: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    result = replayed(harness, spec, tasks, sum_of, 7, n)
    monkeypatch.chdir(tasks)
    own = lm_evals_own_without_votes(spec.partition(",")[0], tasks)
    expected: dict[str, list[float]] = {}
    for i in range(n):
        scores, _ = lm_evals_own(own, lambda doc, i=i: sum_of(doc, i), tasks)  # type: ignore[misc]
        for name, value in scores.items():
            expected.setdefault(name, []).append(value)
    expected = {name: values for name, values in expected.items() if not name.startswith("spread")}
    assert scores_of(result) == pytest.approx({name: fmean(values) for name, values in expected.items()})
    chosen = "exact_match,none" if spec == "mycredit" else "exact_match,strict-match"
    if "flexible" in spec:
        chosen = "exact_match,flexible-extract"
    assert result["scores"]["pass@1"]["value"] == pytest.approx(fmean(expected[chosen]))
    assert 0 < result["scores"]["pass@1"]["value"] < 1
    assert result["counts"]["error"] == result["counts"]["timeout"] == 0
    assert result["grader"].startswith("lm-eval 1 (")


def lm_evals_own_without_votes(name: str, folder: Path) -> Any:
    """The task without its filter over repeats, which lm-eval refuses for one text a document."""
    task = TaskManager(include_path=str(folder), include_defaults=False).load(name)["tasks"][name]
    task._filters = [ensemble for ensemble in task._filters if "@" not in ensemble.name]
    return task


def test_any_of_several_right_answers_is_right(
    harness: Command, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def answer(doc: int, index: int = 0) -> str:
        return ["yes", f"Option {doc}", "no", "option 99", "YES"][doc]

    result = replayed(harness, "mychoices", tasks, answer, 5, 1)
    monkeypatch.chdir(tasks)
    expected, _ = lm_evals_own("mychoices", answer, tasks)
    assert scores_of(result) == expected == {"exact_match,none": pytest.approx(0.6)}


def test_chains_vote_with_what_the_filter_finds_and_abstain_where_it_finds_nothing(
    harness: Command, tasks: Path
) -> None:
    texts = ["#### 4", "so #### 4", "I give up", "nothing at all", "who knows", "#### 5"]
    result = replayed(harness, "mytask,fewshot=0", tasks, lambda doc, i: texts[i], 7, 6)
    # Document 2 has the answer 4: two votes of three are right there, and "[invalid]" is no candidate.
    assert result["scores"]["cons@k"]["value"] == pytest.approx(1 / 7)


def test_regrading_needs_only_the_folder_of_task_files(harness: Command, tasks: Path) -> None:
    result = replayed(harness, "mytask", tasks, sum_of, 7, 2)
    run = harness.folder / result["path"]
    done = harness("regrade", run, HARNESS_LM_EVAL_TASKS=str(tasks), HARNESS_LM_EVAL_WARM="")
    assert done.returncode == 0, done.stderr
    again = json.loads((run / "scores.json").read_text())
    assert again["scores"] == result["scores"]
    # A gold is the same wherever the folder is.
    assert str(tasks) not in json.dumps(harness_golds(run))


def harness_golds(run: Path) -> list[str]:
    import pyarrow.parquet as pq

    return [str(gold) for gold in pq.read_table(run / "problems.parquet")["gold"].to_pylist()]


def test_a_run_with_lm_evals_dummy_model(harness: Command, tasks: Path) -> None:
    done = harness(
        "run",
        "--bench",
        "lm-eval:mytask",
        "--data",
        tasks,
        "--sampler",
        "lm-eval:dummy",
        "--n",
        "2",
        "--json",
    )
    assert done.returncode == 0, done.stderr
    (result,) = json.loads(done.stdout)
    assert result["model"] == "dummy"
    assert result["benchmark"] == "lm-eval:mytask"
    assert result["chains"] == 14
    assert scores_of(result) == {"exact_match,strict-match": 0.0, "exact_match,flexible-extract": 0.0}
    assert "lm-eval itself samples it with --n 1 --temperature 0 --max-tokens 99" in done.stderr
    assert "left out: filter maj@8 (it votes over repeats)" in done.stderr


# -- what cannot be done -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("", "say which task, as in --bench lm-eval:gsm8k"),
        ("mytask_likely", "multiple_choice task, which compares likelihoods.*mytask"),
        ("mygroup", "is a group of tasks: name one of its tasks: mytask, mycredit"),
        ("mytag", "is a tag of tasks: name one of its tasks: mytagged"),
        ("mybleu", "scores all documents together.*metric bleu"),
        ("mycode", "runs code that the model wrote"),
        ("humaneval", "runs code that the model wrote"),
        ("mytaks", "no task 'mytaks': did you mean mytask"),
        ("mytask,filter=strict", "no filter 'strict': did you mean strict-match"),
        ("mytask,metric=f1", "no metric 'f1'.*known: exact_match|no metric 'f1'.*exact_match"),
        ("mycredit,metric=distance", "no metric 'distance'"),
        ("mycredit,metric=spread", "no metric 'spread'"),
        ("mycredit,fewshot=2", "fixed at no examples"),
        ("mytask,fewshot=many", "not a valid int"),
        ("mytask,fewshot=-2", "not a number of examples"),
    ],
)
def test_a_task_that_cannot_be_used_is_told_in_one_line(
    plugins: PluginManager, tasks: Path, spec: str, said: str
) -> None:
    with pytest.raises(HarnessError, match=said) as error:
        loaded(plugins, spec, tasks)
    assert "\n" not in str(error.value)


def test_without_network_and_files_a_shipped_task_says_which_file_would_do(
    plugins: PluginManager, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_HOME", str(tmp_path))
    with pytest.raises(
        HarnessError, match=r"HF_HUB_OFFLINE is set.*gsm8k_test\.jsonl in a folder with --data"
    ):
        loaded(plugins, "gsm8k", None)


def test_a_broken_task_file_is_named(plugins: PluginManager, tasks: Path, tmp_path: Path) -> None:
    folder = shutil.copytree(tasks, tmp_path / "broken")
    (folder / "bad.yaml").write_text("task: mybad\ndoc_to_text: [\n", encoding="utf-8")
    with pytest.raises(HarnessError, match=r"bad\.yaml is not a task file"):
        loaded(plugins, "mybad", folder)
    (folder / "bad.yaml").write_text("task: mybad\ndoc_to_text: !function nowhere.f\n", encoding="utf-8")
    with pytest.raises(HarnessError, match=r"bad\.yaml cannot be loaded: .*nowhere"):
        loaded(plugins, "mybad", folder)
    with pytest.raises(HarnessError, match="does not exist"):
        loaded(plugins, "mytask", tmp_path / "none")


def test_a_gold_names_no_file_outside_the_tasks_and_no_task_that_runs_code(
    plugins: PluginManager, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    grader = plugins.normalizer("lm-eval")
    monkeypatch.setenv("HARNESS_LM_EVAL_TASKS", str(tasks))
    gold = {"task": "mytask", "from": "data", "file": "mytask.yaml", "figure": "exact_match,strict-match"}
    gold |= {"targets": 0, "doc": {"question": "?", "answer": "#### 4"}}  # type: ignore[dict-item]
    assert grader.same("#### 4", json.dumps(gold)).same
    for changed, said in (
        ({"file": "../evil.yaml"}, "not a task file"),
        ({"file": str(tasks / "mytask.yaml")}, "not a task file"),
        ({"file": "credit.py"}, "not a task file"),
        ({"file": "code.yaml"}, "runs code"),
        ({"from": "lm-eval", "file": "humaneval/humaneval.yaml"}, "runs code|cannot be loaded"),
        ({"from": "elsewhere"}, "not a gold"),
        ({"figure": "bleu,none"}, "gives no bleu,none"),
        ({"targets": "many"}, "not a gold"),
    ):
        with pytest.raises(HarnessError, match=said):
            grader.same("#### 4", json.dumps({**gold, **changed}))
    for text in ("", "42", "[]", "{}"):
        with pytest.raises(HarnessError, match="not a gold"):
            grader.same("x", text)


# -- the tasks that lm-eval ships, on real rows ---------------------------------------------------------


def test_gsm8k_of_lm_eval_on_local_rows(
    harness: Command, plugins: PluginManager, shared: Path, tmp_path: Path
) -> None:
    folder = tmp_path / "data"
    folder.mkdir()
    lines = (shared / "data" / "gsm8k_test.jsonl").read_text(encoding="utf-8").split("\n")[:40]
    rows = [json.loads(line) for line in lines]
    official = [{"question": r["problem"], "answer": f"{r['solution']}\n#### {r['answer']}"} for r in rows]
    write_rows(folder / "gsm8k_test.jsonl", official[:20])
    write_rows(folder / "gsm8k_train.jsonl", official[20:])
    problems, prompts, benchmark = loaded(plugins, "gsm8k", folder)
    own = own_task("gsm8k", tmp_path, {"test": official[:20], "train": official[20:]})

    def text(doc: int, index: int = 0) -> str:
        return some_text(doc, index, rows[doc]["answer"])

    expected, asked = lm_evals_own(own, text)
    assert [prompt.text for prompt in prompts] == [context for context, _ in asked]
    assert [list(prompt.stop) for prompt in prompts] == [settings["until"] for _, settings in asked]
    assert benchmark.notes(problems)["fewshot"] == 5
    assert scores_of(replayed(harness, "gsm8k", folder, text, 20, 1)) == pytest.approx(expected)
    assert len(expected) == 2
    (folder / "gsm8k_train.jsonl").unlink()
    with pytest.raises(HarnessError, match=r"add gsm8k_train\.jsonl"):
        loaded(plugins, "gsm8k", folder)
    assert len(loaded(plugins, "gsm8k,fewshot=0", folder)[0]) == 20


def own_task(name: str, folder: Path, rows: Mapping[str, Sequence[Mapping[str, Any]]]) -> dict[str, Any]:
    """A shipped task of lm-eval on rows in files, for lm-eval itself to build."""
    from lm_eval.tasks._yaml_loader import load_yaml

    (path,) = (p for p in (Path(lm_eval.__file__).parent / "tasks").rglob("*.yaml") if _says(p, name))
    files = {}
    for split, found in rows.items():
        files[split] = str(folder / f"own_{name}_{split}.jsonl")
        write_rows(Path(files[split]), found)
    config = {key: value for key, value in load_yaml(path).items() if key != "tag"}
    return {**config, "dataset_path": "json", "dataset_name": None, "dataset_kwargs": {"data_files": files}}


def _says(path: Path, name: str) -> bool:
    return f"task: {name}" in path.read_text(encoding="utf-8").split("\n")


@pytest.mark.parametrize(("task", "file"), [("aime25", "aime25"), ("hendrycks_math500", "math500")])
def test_mathematics_of_lm_eval_on_local_rows(
    harness: Command, plugins: PluginManager, shared: Path, tmp_path: Path, task: str, file: str
) -> None:
    rows = [
        json.loads(x)
        for x in (shared / "data" / f"{file}.jsonl").read_text(encoding="utf-8").split("\n")
        if x
    ]
    rows = [{**row, "solution": f"So \\boxed{{{row['answer']}}}."} for row in rows[:25]]
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / f"{task}.jsonl", rows)

    def text(doc: int, index: int = 0) -> str:
        gold = rows[doc]["answer"]
        ways = [f"\\boxed{{{gold}}}", f"It is ${gold}$.", "no", f"$x$ and \\boxed{{{gold} }}", "\\boxed{7}"]
        return ways[(doc + index) % len(ways)]

    _, prompts, _ = loaded(plugins, task, folder)
    expected, asked = lm_evals_own(own_task(task, tmp_path, {"test": rows}), text)
    assert [prompt.text for prompt in prompts] == [context for context, _ in asked]
    result = replayed(harness, task, folder, text, len(rows), 1)
    assert scores_of(result) == pytest.approx(expected)
    assert 0 < result["scores"]["pass@1"]["value"] < 1


def test_choices_of_gpqa_are_graded_and_its_questions_are_not_written_down(
    harness: Command, plugins: PluginManager, tmp_path: Path
) -> None:
    columns = ["Question", "Correct Answer", *(f"Incorrect Answer {n}" for n in (1, 2, 3))]
    rows = [{c: f"{c.split()[0]} made up, number {n}.{c[-1]}" for c in columns} for n in range(6)]
    folder = tmp_path / "data"
    folder.mkdir()
    write_rows(folder / "gpqa_diamond.jsonl", rows)
    task = "gpqa_diamond_cot_zeroshot"
    _, prompts, benchmark = loaded(plugins, task, folder)
    assert benchmark.hidden
    own = own_task(task, tmp_path, {"train": rows})

    def text(doc: int, index: int = 0) -> str:
        return ["The answer is (A).", "(B)", "I think (C) or (D)", "The answer is (D)!", "none", "(a)"][doc]

    expected, asked = lm_evals_own(own, text)
    assert [prompt.text for prompt in prompts] == [context for context, _ in asked]
    result = replayed(harness, task, folder, text, 6, 1)
    assert scores_of(result) == pytest.approx(expected)
    for file in (harness.folder / result["path"]).rglob("*"):
        if file.suffix in (".json", ".jsonl"):
            assert "made up" not in file.read_text(encoding="utf-8")
    assert "made up" not in json.dumps(harness_golds(harness.folder / result["path"]))
