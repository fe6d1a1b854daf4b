"""Stage data: what a recipe's `data` becomes, and what is told of it."""

from __future__ import annotations

import dataclasses
import gzip
import json
import os
import re
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import HarnessError
from harness.data import DataSource
from harness.plugins import PluginManager
from harness_trainers.data import DataSize, Prepared, describe, prepare
from harness_trainers.recipes import Data

from .. import fakehub
from . import sums

Make = Callable[..., Prepared]
SECRET = "do not quote me"


@pytest.fixture(scope="module")
def plugins() -> PluginManager:
    return sums.plugins()


@pytest.fixture
def make(tmp_path: Path, plugins: PluginManager) -> Make:
    """Prepares data of which the recipe says so much."""

    def run(source: object = None, needs: Any = "chains", model: Path | None = None, **said: Any) -> Prepared:
        if isinstance(source, list) and source and isinstance(source[0], dict):
            source = str(write(tmp_path / "rows.jsonl", source))
        known = {key: said.pop(key) for key in ("name", "data_folder", "protocol") if key in said}
        data = Data.model_validate({"source": str(source) if isinstance(source, Path) else source, **said})
        usual = {"name": "stage", **known}
        return prepare(data, needs=needs, folder=tmp_path / "out", model=model, plugins=plugins, **usual)

    return run


def write(path: Path, rows: Sequence[dict[str, Any]]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    return path


def rows_of(prepared: Prepared) -> list[dict[str, Any]]:
    return [json.loads(line) for line in prepared.path.read_text("utf-8").split("\n")[:-1]]


def chains_of(prepared: Prepared) -> list[str]:
    return [row["completion"] for row in rows_of(prepared)]


SOLVED = [
    {
        "problem": f"What is {i} + 1?",
        "generation": f"It is {i + 1}.",
        "answer": i + 1,
        "pass_rate": i / 10,
        "id": i,
    }
    for i in range(11)
]

# -- rows --------------------------------------------------------------------------------------------


def test_a_row_has_what_trainers_read(make: Make) -> None:
    row = {
        "id": "a",
        "problem": "1 + 1?",
        "response": "<think>\nwell\n</think>\n\n2",
        "gold": "2",
        "pass_rate": 0.25,
    }

    prepared = make([row])

    assert rows_of(prepared) == [
        {
            "id": "a",
            "prompt": [
                {
                    "role": "user",
                    "content": "1 + 1?\nPlease reason step by step, and put your final answer within \\boxed{}.",
                }
            ],
            "completion": "<think>\nwell\n</think>\n\n2",
            "difficulty": 0.75,
            "pass_rate": 0.25,
            "tokens": None,
            "source": str(prepared.path.parent.parent / "rows.jsonl"),
        }
    ]
    assert prepared.rows == 1


def test_rows_to_be_rewarded_have_a_gold_and_who_grades_it(make: Make) -> None:
    (row,) = rows_of(make([{"question": "1 + 1?", "answer": 2.0}], needs="golds"))

    assert (row["gold"], row["normalizer"]) == ("2", "math")
    assert "completion" not in row
    assert row["id"] == "row-1"


def test_a_benchmark_is_asked_as_in_an_evaluation_and_its_solution_is_the_chain(
    make: Make, plugins: PluginManager
) -> None:
    prepared = make("sums:size=3", protocol="fathom")

    benchmark = plugins.benchmark("sums:size=3")
    prompts = [plugins.protocol("fathom").prompt(p, benchmark) for p in benchmark.problems(DataSource())]
    rows = rows_of(prepared)
    assert [row["prompt"] for row in rows] == [
        [dataclasses_as_dict(message) for message in prompt.messages] for prompt in prompts
    ]
    assert rows[2]["completion"] == "<think>\n2 and 2 make 4\n</think>\n\nThe answer is $\\boxed{4}$."
    golds = rows_of(make("sums:size=3", needs="golds"))
    assert [(row["id"], row["gold"], row["normalizer"]) for row in golds] == [
        ("s0", "0", "integer"),
        ("s1", "2", "integer"),
        ("s2", "4", "integer"),
    ]


def dataclasses_as_dict(message: Any) -> dict[str, str]:
    return dataclasses.asdict(message)


def test_solutions_are_checked_as_often_as_asked_and_each_problem_always_as_often(make: Make) -> None:
    filters = {"chain": "solution", "checks": [0, 1, 2], "check_weights": [1, 2, 1]}

    many = chains_of(make("sums:size=400", filters=filters))
    few = chains_of(make("sums:size=40", filters=filters))

    counts = [chain.count("Let me check that again.") for chain in many]
    assert [counts.count(times) / 400 for times in (0, 1, 2)] == pytest.approx([0.25, 0.5, 0.25], abs=0.08)
    assert many[:40] == few
    once = next(chain for chain, times in zip(many, counts, strict=True) if times == 1)
    first, second = (
        once.removeprefix("<think>\n").split("\n</think>")[0].split("\n\nLet me check that again.\n")
    )
    assert first == second
    only = chains_of(make("sums:size=40", filters={"checks": [0, 3], "check_weights": [0, 1]}))
    assert {chain.count("Let me check that again.") for chain in only} == {3}


def test_tokens_are_counted_by_the_models_tokenizer(make: Make, tmp_path: Path) -> None:
    model = sums.tokenizer_folder(tmp_path / "model")

    prepared = make([{"prompt": "one two three", "completion": "four " * 30}, *SOLVED[:1]], model=model)

    assert [row["tokens"] for row in rows_of(prepared)] == [30, 3]
    assert prepared.completion_tokens == 16.5
    assert prepared.prompt_tokens == (3 + 17) / 2
    kept = make(
        [{"prompt": "one two", "completion": "a " * n} for n in range(1, 9)],
        model=model,
        filters={"max_tokens": 6},
    )
    assert [row["tokens"] for row in rows_of(kept)] == [1, 2, 3, 4]
    assert kept.notes == (f"{tmp_path / 'rows.jsonl'}: 4 of 8 rows are left out: 4 of more than 6 tokens",)


# -- columns -----------------------------------------------------------------------------------------

USER = {"role": "user", "content": "1 + 1?"}
SHAPES: dict[str, dict[str, Any]] = {
    "prompt and completion": {"prompt": "1 + 1?", "completion": "two"},
    "both as messages": {"prompt": [USER], "completion": [{"role": "assistant", "content": "two"}]},
    "a conversation": {"messages": [USER, {"role": "assistant", "content": "two"}, USER]},
    "a conversation of humans and gpts": {
        "conversations": [{"from": "human", "value": "1 + 1?"}, {"from": "gpt", "value": "two"}]
    },
    "prompt before problem": {"prompt": "1 + 1?", "problem": "no", "chain": "two", "solution": "no"},
}


@pytest.mark.parametrize("row", SHAPES.values(), ids=SHAPES)
def test_prompts_that_a_row_has_are_taken_as_they_stand(make: Make, row: dict[str, Any]) -> None:
    (made,) = rows_of(make([row]))

    assert made["prompt"] == [USER]
    assert made["completion"] == "two"


def test_all_turns_but_the_last_are_the_prompt_and_reasoning_stands_before_the_answer(make: Make) -> None:
    turns = [
        {"role": "system", "content": "be kind"},
        USER,
        {"role": "assistant", "content": "what?"},
        USER,
        {"role": "assistant", "content": "two", "reasoning_content": "one and one\n"},
    ]

    (made,) = rows_of(make([{"messages": turns}]))

    assert made["prompt"] == turns[:4]
    assert made["completion"] == "<think>\none and one\n</think>\n\ntwo"


OPEN = {
    "problem": "1 + 1?",
    "solution": "a person's",
    "answer": "2",
    "generations": ["long and right \\boxed{2}", "wrong", "right \\boxed{2}", "\\boxed{2}"],
    "correctness_math_verify": [True, False, True, True],
    "finish_reasons": ["stop", "stop", "stop", "length"],
    "messages": [USER, {"role": "assistant", "content": "no"}],
    "uuid": "u",
}


@pytest.mark.parametrize(
    ("choice", "expected"),
    [
        (None, ["right \\boxed{2}"]),
        ("shortest correct", ["right \\boxed{2}"]),
        ("first correct", ["long and right \\boxed{2}"]),
        ("longest correct", ["long and right \\boxed{2}"]),
        ("all correct", ["long and right \\boxed{2}", "right \\boxed{2}"]),
        ("solution", ["<think>\na person's\n</think>\n\nThe answer is $\\boxed{2}$."]),
    ],
)
@pytest.mark.parametrize("graded", [True, False])
def test_of_several_chains_the_one_that_is_asked_for_and_never_one_that_was_cut_off(
    make: Make, choice: str | None, expected: list[str], graded: bool
) -> None:
    """Without a word on which are correct, they are graded here."""
    row = {**OPEN} if graded else {key: value for key, value in OPEN.items() if "correctness" not in key}

    rows = rows_of(make([row], filters={"chain": choice} if choice else {}))

    assert [made["completion"] for made in rows] == expected
    assert rows[0]["id"] == ("u/0" if choice == "all correct" else "u")
    assert rows[0]["pass_rate"] == (None if choice == "solution" else 0.75)


def test_ids_are_unique_and_rows_without_one_have_their_number(make: Make) -> None:
    rows = [{**SOLVED[0], "id": id_} for id_ in ("a", "a", None, 7, ["x"], True, "a")]

    assert [row["id"] for row in rows_of(make(rows))] == ["a", "a#2", "row-3", "7", "row-5", "row-6", "a#7"]


def test_every_kind_of_file_gives_the_same_rows(make: Make, tmp_path: Path, plugins: PluginManager) -> None:
    plain = [{"problem": "1\u2028?", "completion": "two", "pass_rate": "0.5"}, {**SOLVED[1], "id": None}]
    plain[1] = {
        key: str(plain[1][other])
        for key, other in (("problem", "problem"), ("completion", "generation"), ("pass_rate", "pass_rate"))
    }
    lines = "".join(json.dumps(row) + "\n" for row in plain).encode()
    table = "problem,completion,pass_rate\n" + "".join(",".join(row.values()) + "\n" for row in plain)
    files = {
        "a.jsonl": lines,
        "b.jsonl.gz": gzip.compress(lines),
        "c.json": json.dumps(plain).encode(),
        "d.csv": table.encode(),
        "e.parquet": fakehub.parquet(plain),
    }
    seen = set()
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)
        rows = rows_of(make(tmp_path / name))
        seen.add(json.dumps([{**row, "source": ""} for row in rows]))
        assert rows[0]["pass_rate"] == 0.5
    assert len(seen) == 1


def test_a_folder_is_read_file_by_file_without_what_only_describes_it(make: Make, tmp_path: Path) -> None:
    folder = tmp_path / "set" / "data"
    folder.mkdir(parents=True)
    for number in (1, 0):
        (folder / f"train-{number}.parquet").write_bytes(
            fakehub.parquet([{"prompt": "p", "completion": f"c{number}"}])
        )
    (tmp_path / "set" / "info.json").write_text("[]")
    (folder / ".hidden.parquet").write_bytes(b"x")

    assert chains_of(make(tmp_path / "set")) == ["c0", "c1"]


def test_sources_come_one_after_the_other(make: Make, tmp_path: Path) -> None:
    write(tmp_path / "b.jsonl", SOLVED[:1])

    prepared = make(["sums:size=2", str(tmp_path / "b.jsonl")])

    assert [row["source"] for row in rows_of(prepared)] == ["sums:size=2"] * 2 + [str(tmp_path / "b.jsonl")]


def test_a_hub_data_set_may_lie_in_the_data_folder(make: Make, tmp_path: Path) -> None:
    write(tmp_path / "Fathom-Chains.jsonl", SOLVED)

    assert make("org/Fathom-Chains", data_folder=tmp_path).rows == 11
    assert make("Fathom-Chains.jsonl", data_folder=tmp_path).rows == 11


def test_a_hub_that_cannot_be_reached_is_one_line(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    monkeypatch.setenv("HF_HOME", str(tmp_path))

    with pytest.raises(HarnessError, match=r"org/Chains.*give --data DIR with Chains\.jsonl") as caught:
        make("org/Chains:small@main#train")
    assert "\n" not in str(caught.value)


HUB = """
import os, sys
from pathlib import Path
from tests.trainers.sums import plugins
from harness_trainers.data import prepare
from harness_trainers.recipes import Data
usual = {"needs": "chains", "name": "a", "model": None, "plugins": plugins()}
prepared = prepare(Data(source=sys.argv[1]), folder=Path(sys.argv[2]), **usual)
print(prepared.rows, *prepared.notes)
"""


def test_a_hub_data_set_is_read_and_its_commit_is_told(tmp_path: Path) -> None:
    """In a process of its own: the libraries read the Hub's address once."""
    unwanted = ("HF_", "HARNESS_DATA")
    env = {k: v for k, v in os.environ.items() if not k.startswith(unwanted) and "proxy" not in k.lower()}
    env |= {"HF_HOME": str(tmp_path), "PYTHONPATH": str(Path(__file__).parents[2])}
    rows = [{key: str(value) for key, value in row.items()} for row in SOLVED]
    for serving in (True, False):  # then once more, without a Hub
        with fakehub.serve("org/Chains", rows) as url:
            command = [sys.executable, "-c", HUB, "org/Chains#train", str(tmp_path / "out")]
            asked = {**env, "HF_ENDPOINT": url if serving else "http://127.0.0.1:9"}
            done = subprocess.run(
                command, env=asked, cwd=tmp_path, capture_output=True, text=True, timeout=60
            )
        assert done.stdout == f"11 org/Chains#train is hub:org/Chains@{fakehub.COMMIT}[train]\n", done.stderr


# -- filters, order, size ----------------------------------------------------------------------------


def test_bounds_and_order_and_size(make: Make) -> None:
    filters = {"pass_rate_above": 0.2, "pass_rate_below": 0.7}

    prepared = make(SOLVED, filters=filters, sort="difficulty")
    assert [row["pass_rate"] for row in rows_of(prepared)] == [0.6, 0.5, 0.4, 0.3]
    cut = make(SOLVED, filters=filters, sort="difficulty", size=2)
    assert [row["pass_rate"] for row in rows_of(cut)] == [0.4, 0.3], (
        "the first two of the source, then in order"
    )
    short = make(SOLVED, filters=filters, size=5)
    assert short.notes[-1] == "4 rows are left, 5 were asked for"


def test_equal_rows_keep_their_order_and_any_number_sorts(make: Make) -> None:
    rows = [
        {**SOLVED[0], "id": name, "level": level}
        for name, level in (("a", 2), ("b", "1"), ("c", 2), ("d", 1.5))
    ]

    assert [row["id"] for row in rows_of(make(rows, sort="level"))] == ["b", "d", "a", "c"]
    assert [row["id"] for row in rows_of(make("sums:size=3", sort="size"))] == ["s0", "s1", "s2"]


def test_rows_without_what_others_have_are_left_out_and_counted(make: Make, tmp_path: Path) -> None:
    rows = [SOLVED[9], {**SOLVED[8], "pass_rate": None}, SOLVED[1], {**SOLVED[1], "pass_rate": "often"}]

    prepared = make(rows, filters={"pass_rate_at_least": 0.5})

    assert prepared.rows == 1
    assert prepared.notes == (
        f"{tmp_path / 'rows.jsonl'}: 3 of 4 rows are left out: 2 without a pass_rate, 1 by pass_rate_at_least 0.5",
        f"{tmp_path / 'rows.jsonl'}: 1 rows have a pass_rate that is not a number",
    )


def test_a_published_data_set_that_does_not_tell_what_it_was_filtered_by_is_taken_at_its_word(
    make: Make,
) -> None:
    rows = [{"problem": "1 + 1?", "generation": "two"}]
    filters = {
        "corpus": ["a", "b"],
        "decontaminated": True,
        "pass_rate_at_most": 0.4,
        "chain": "shortest correct",
    }

    notes = make(rows, filters=filters).notes

    assert "chain: taken as filtered already" in notes[0]
    assert "pass_rate_at_most: no row says, taken as filtered already" in notes[1]
    assert notes[2] == "taken at their word: corpus, decontaminated"


def test_problems_of_benchmarks_that_are_to_stay_unseen_are_left_out(make: Make) -> None:
    prepared = make("sums:size=8", filters={"not_in": ["sums:size=3"]}, needs="golds")
    assert [row["id"] for row in rows_of(prepared)] == ["s3", "s4", "s5", "s6", "s7"]
    assert prepared.notes == ("sums:size=8: 3 of 8 rows are left out: 3 in sums:size=3",)

    asked = [message["content"] for message in rows_of(prepared)[0]["prompt"]]
    rows = [{"problem": "what is  3+3?", "chain": "six"}, {"prompt": asked[0], "chain": "6"}, SOLVED[0]]
    assert chains_of(make(rows, filters={"not_in": "sums:size=8"})) == ["It is 1."]
    with pytest.raises(HarnessError, match="no benchmark is called 'sumz': did you mean sums"):
        make(rows, filters={"not_in": ["sumz"]})


# -- once --------------------------------------------------------------------------------------------


def test_the_same_call_finds_its_file(make: Make, tmp_path: Path) -> None:
    first = make(SOLVED)
    before = os.stat(first.path).st_mtime_ns, first.path.read_bytes()

    assert make(SOLVED) == first
    assert os.stat(first.path).st_mtime_ns == before[0]
    assert make(SOLVED, name="other").digest == first.digest
    assert make(SOLVED[:5]).rows == 5, "the source has changed"
    assert make(SOLVED[:5], size=3).rows == 3
    assert make("sums:size=4").digest != make("sums:size=4", protocol="fathom").digest


@pytest.mark.parametrize("harm", ["truncated", "changed", "gone", "unknown", "torn"])
def test_rows_that_are_not_as_they_were_written_are_made_again(make: Make, harm: str) -> None:
    first = make(SOLVED)
    whole = first.path.read_bytes()
    if harm == "gone":
        first.path.unlink()
    elif harm == "unknown":
        first.path.with_suffix(".json").unlink()
    elif harm == "torn":
        first.path.with_suffix(".json").write_text('{"asked"')
    else:
        first.path.write_bytes(whole[:-9] if harm == "truncated" else whole.replace(b"What", b"Whom", 1))
    (first.path.parent / f".{first.path.name}.1.part").write_bytes(b"x")

    assert make(SOLVED) == first
    assert first.path.read_bytes() == whole
    assert sorted(path.name for path in first.path.parent.iterdir()) == [".lock", "stage.json", "stage.jsonl"]


def test_two_at_once_are_told_of_each_other(make: Make, tmp_path: Path) -> None:
    from harness.files import lock

    (tmp_path / "out").mkdir()
    with lock(tmp_path / "out"), pytest.raises(HarnessError, match="out is being written by process"):
        make(SOLVED)
    first = make(SOLVED)
    with lock(tmp_path / "out"):
        assert make(SOLVED) == first, "what is there can be found meanwhile"


def test_the_plan_knows_sizes_where_they_can_be_told(
    tmp_path: Path, plugins: PluginManager, make: Make
) -> None:
    def plan(**said: Any) -> DataSize:
        usual: Any = {
            "needs": said.pop("needs", "chains"),
            "model": said.pop("model", None),
            "plugins": plugins,
        }
        return describe(Data.model_validate(said), folder=tmp_path / "out", name="stage", **usual)

    rows = str(write(tmp_path / "rows.jsonl", SOLVED))
    assert plan(source="fresh:level=1,size=2000,seed=101") == DataSize(2000, True, False)
    counted = plan(source=rows, model=sums.tokenizer_folder(tmp_path / "model"))
    assert (counted.prompt_tokens, counted.completion_tokens) == (17, 3)
    with pytest.raises(HarnessError, match="a gold"):
        plan(source=str(write(tmp_path / "bare.jsonl", [{"problem": "1 + 1?"}])), needs="golds")
    assert plan(source=["sums:size=7", rows]).rows == 18
    assert plan(source=rows, size=4, filters={"pass_rate_above": 0.2}) == DataSize(4, False, False)
    assert plan(source=rows, size=40).notes == ("the sources have 11 rows, 40 were asked for",)
    sampled = plan(source="sums:size=7", sample={"n": 8}, filters={"chain": "all correct"})
    assert (sampled.rows, sampled.sampled_chains, sampled.exact) == (56, 56, False)
    assert plan(source="org/anything").rows is None
    with pytest.raises(HarnessError, match="did you mean pass_rate_above"):
        plan(source=rows, filters={"passrate_above": 0.2})
    make(rows, filters={"pass_rate_above": 0.8})
    assert plan(source=rows, filters={"pass_rate_above": 0.8}) == DataSize(
        2, True, True, notes=(f"{rows}: 9 of 11 rows are left out: 9 by pass_rate_above 0.8",)
    )


# -- what is wrong -----------------------------------------------------------------------------------

P = {"problem": "1 + 1?"}
BAD: dict[str, tuple[list[dict[str, Any]], str, str]] = {
    "other columns": (
        [{"story": SECRET, "x": 1}],
        "chains",
        "has 'story', 'x': it needs a problem .* and a chain",
    ),
    "no chain": ([{**P, "answer": "2"}], "chains", r"has 'problem', 'answer': it needs .* a chain \(chain, "),
    "no gold": (
        [{**P, "completion": "x"}],
        "golds",
        r"has 'problem', 'completion': .* and a gold \(gold, answer",
    ),
    "empty chains": ([{**P, "chain": " "}, {**P, "chain": None}], "chains", "2 read, 2 with an empty chain"),
    "chains of numbers": ([{**P, "chain": 5}], "chains", "1 whose chain is not a text"),
    "empty problems": ([{"problem": "", "chain": "x"}], "chains", "1 with an empty problem"),
    "empty gold": ([{**P, "gold": ""}], "golds", "1 with an empty gold"),
    "a gold that is an object": ([{**P, "gold": {"a": SECRET}}], "golds", "1 whose gold is not a text"),
    "a gold that is an essay": ([{**P, "gold": SECRET * 999}], "golds", "longer than an answer can be"),
    "no assistant": ([{"messages": [USER]}], "chains", "1 whose messages have no turn of the assistant"),
    "nobody asks": (
        [{"messages": [{"role": "assistant", "content": SECRET}]}],
        "chains",
        "1 whose messages do not begin with a user",
    ),
    "a stranger talks": (
        [{"messages": [{"role": SECRET, "content": "x"}]}],
        "chains",
        "neither user nor assistant",
    ),
    "no messages": ([{"messages": [SECRET]}], "chains", "1 whose messages are not messages"),
    "a prompt that is answered": (
        [{"prompt": [USER, {"role": "assistant", "content": "x"}], "completion": "y"}],
        "chains",
        "ends with a turn of the assistant",
    ),
    "verdicts on other chains": (
        [{**P, "chains": ["a", "b"], "correctness": [True]}],
        "chains",
        "1 with another number of correctness than of chains",
    ),
    "no right chain": (
        [{**P, "chains": ["a", "b"], "correctness": [False, False]}],
        "chains",
        "1 without a correct",
    ),
    "nobody says which": ([{**P, "chains": ["a", "b"]}], "chains", "no word on which are correct"),
    "cut off": ([{**P, "chains": ["a"], "finish_reasons": ["length"]}], "chains", "chains that were cut off"),
}


@pytest.mark.parametrize(("rows", "needs", "said"), BAD.values(), ids=BAD)
def test_rows_that_cannot_be_used_are_one_line_that_quotes_nothing(
    make: Make, rows: list[dict[str, Any]], needs: str, said: str
) -> None:
    with pytest.raises(HarnessError, match=said) as caught:
        make(rows, needs=needs)

    assert "\n" not in str(caught.value)
    assert SECRET not in str(caught.value)


SAID: dict[str, tuple[dict[str, Any], str]] = {
    "no source": ({"source": None}, "data.source is missing"),
    "an unknown source": ({"source": "sumz:size=3"}, "did you mean sums"),
    "a file that is not there": ({"source": "./nowhere.jsonl"}, "nowhere.jsonl does not exist"),
    "a benchmark's odd parameter": ({"source": "sums:sice=3"}, "no parameter 'sice': did you mean size"),
    "a source twice": ({"source": ["sums", "sums"]}, "names a source twice"),
    "a hidden benchmark": ({"source": "secret"}, "not to be shown, so they are not to be learnt"),
    "a benchmark without messages": ({"source": "plain"}, "asks without a chat template"),
    "an unsolved benchmark": ({"source": "sums:solved=no"}, "tells no worked solutions"),
    "an unknown filter": ({"filters": {"pass_rate_over": 0.2}}, "did you mean pass_rate_above"),
    "a bound that is a text": ({"filters": {"pass_rate_above": "low"}}, "'low' is not a number"),
    "per cent": ({"filters": {"pass_rate_below": 70}}, "70 is not a share from 0 to 1"),
    "a band the wrong way round": (
        {"filters": {"pass_rate_above": 0.7, "pass_rate_below": 0.2}},
        "leave nothing: is it the other way round",
    ),
    "an unknown choice": (
        {"filters": {"chain": "shortest"}},
        "no way to choose a chain: did you mean shortest correct",
    ),
    "checks of other chains": (
        {"filters": {"checks": [1], "chain": "all correct"}},
        "checks go with worked solutions",
    ),
    "no checks": ({"filters": {"checks": []}}, "is not a list of whole numbers"),
    "weights of nothing": ({"filters": {"check_weights": [1]}}, "no `checks` that they weigh"),
    "other weights": ({"filters": {"checks": [0, 1], "check_weights": [1]}}, "is not a list of 2 weights"),
    "no tokens": ({"filters": {"max_tokens": 0}}, "max_tokens: 0 is not a whole number from 1"),
    "nobody counts": ({"filters": {"tokens_at_most": 5}}, "tokens_at_most: tokens cannot be counted"),
    "a pass rate of nobody": (
        {"filters": {"pass_rate_above": 0.2}},
        "have no pass_rate: let a model answer them",
    ),
    "a choice of nothing": ({"filters": {"chain": "shortest correct"}}, "has no chains to choose"),
    "an order of nothing": ({"sort": "difficulty"}, "4 of 4 rows have no difficulty to be sorted by"),
    "a sampler without a model": ({"sample": {}}, r"no model to sample from \(base\)"),
    "everything filtered": (
        {"filters": {"difficulty_above": 3}, "source": "sums"},
        "the problems of sums have no difficulty",
    ),
}


@pytest.mark.parametrize(("said", "expected"), SAID.values(), ids=SAID)
def test_what_a_recipe_says_wrongly_is_one_line(make: Make, said: dict[str, Any], expected: str) -> None:
    with pytest.raises(HarnessError, match=expected) as caught:
        make(**{"source": "sums", **said})

    assert "\n" not in str(caught.value)


def test_nothing_left_says_what_became_of_the_rows(make: Make) -> None:
    with pytest.raises(
        HarnessError, match=r"no row is left: .*11 of 11 rows are left out: 11 by pass_rate_above 1"
    ):
        make(SOLVED, filters={"pass_rate_above": 1})


def test_an_empty_file_and_a_damaged_one(make: Make, tmp_path: Path) -> None:
    for name, content, said in (
        ("empty.jsonl", b"", "holds no rows"),
        ("empty.parquet", fakehub.parquet([{"a": 1}])[:0], "cannot read"),
        ("torn.jsonl", json.dumps(SOLVED[0]).encode() + b"\n{", "row 2: is not JSON"),
        ("list.jsonl", b"[1]\n", "row 1: is not an object"),
        ("torn.jsonl.gz", gzip.compress(b"{}\n" * 9)[:-9], "cannot read"),
        ("notes.txt", b"x", "ends in none of"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(HarnessError, match=said) as caught:
            make(tmp_path / name)
        assert name in str(caught.value)
        assert "\n" not in str(caught.value)


def test_a_full_disk_is_one_line_and_leaves_no_file(
    make: Make, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    def full(_: int) -> None:
        raise OSError(errno.ENOSPC, "full")

    monkeypatch.setattr(os, "fsync", full)
    with pytest.raises(HarnessError, match=r"no space left to write .*stage\.jsonl"):
        make(SOLVED)
    monkeypatch.undo()
    assert not list((tmp_path / "out").glob("*.jsonl"))
    assert make(SOLVED).rows == 11


def test_texts_that_no_file_can_hold_are_mended(make: Make) -> None:
    assert chains_of(make([{"prompt": "p", "completion": "half \ud800 a pair\u2028"}])) == [
        "half \ufffd a pair\u2028"
    ]


# -- what the documentation says ---------------------------------------------------------------------


def test_the_documented_examples_columns_and_filters_are_those_that_are_understood() -> None:
    import yaml

    from harness_trainers.data import columns, filters

    text = (Path(__file__).parents[2] / "docs" / "training-data.md").read_text(encoding="utf-8")
    examples = re.findall(r"(?m)^    data:.*\n(?:      .*\n)*", text)
    assert len(examples) == 3
    for example in examples:
        filters.read_filters(Data.model_validate(yaml.safe_load(example)["data"]).filters)
    names = (
        *columns.PROBLEM,
        *columns.GOLD,
        *columns.MESSAGES,
        *columns.ID,
        *columns.CORRECT,
        *filters.CHOICES,
    )
    own = ("pass_rate_at_tokens", "max_tokens", "checks", "check_weights", "not_in", *filters.DESCRIPTIVE)
    assert [name for name in (*names, *own) if f"`{name}`" not in text] == []
