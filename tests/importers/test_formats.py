"""What each importer makes of the files of its program."""

from __future__ import annotations

import json
import shutil
import zipfile
from pathlib import Path

import pytest

from harness.plugins import PluginManager

from . import layouts
from .conftest import Importing


def test_all_formats_of_the_same_chains_give_the_same_scores(importing: Importing, tmp_path: Path) -> None:
    log = layouts.inspect_log()
    (tmp_path / "log.json").write_text(json.dumps(log), encoding="utf-8")
    sources = {
        "jsonl": ("jsonl", layouts.jsonl(tmp_path / "chains.jsonl", layouts.rows())),
        "lm-eval": ("lm-eval", layouts.lm_eval(tmp_path / "lm")),
        "inspect .eval": ("inspect", layouts.inspect_eval(tmp_path / "log.eval", log)),
        "inspect .json": ("inspect", tmp_path / "log.json"),
        "lighteval": ("lighteval", layouts.lighteval(tmp_path / "le")),
        "lighteval of old": ("lighteval", layouts.lighteval(tmp_path / "old", old=True)),
    }
    for what, (importer, path) in sources.items():
        (result,) = importing(importer, path)
        assert result["scores"]["pass@1"]["value"] == pytest.approx(0.5), what
        assert result["scores"]["cons@k"]["value"] == pytest.approx(0.5), what
        assert (result["model"], result["benchmark"], result["n"]) == ("org/sums-7b", "sums", 2), what
    (limo,) = importing("limo", layouts.limo(tmp_path / "limo.jsonl"), bench="sums", normalizer="math")
    assert (limo["model"], limo["n"], limo["scores"]["pass@1"]["value"]) == ("limo", 2, pytest.approx(0.5))


def test_lm_eval_says_how_it_sampled_and_what_it_thought_of_the_first_response(
    importing: Importing, tmp_path: Path
) -> None:
    (result,) = importing("lm-eval", layouts.lm_eval(tmp_path / "lm"))
    assert (result["temperature"], result["top_p"], result["max_tokens"]) == (0.6, 0.95, 4096)
    # Its filter takes the first response of each document: the verdicts are on those.
    assert result["foreign"] == {"chains": 3, "score": pytest.approx(2 / 3), "differs": 0}
    (single,) = importing("lm-eval", layouts.lm_eval(tmp_path / "one", "org/other", repeats=1))
    assert (single["n"], single["foreign"]["chains"]) == (1, 3)


def test_older_lm_eval_rows_without_filter_and_with_arguments_as_lists(
    importing: Importing, tmp_path: Path
) -> None:
    path = next(layouts.lm_eval(tmp_path / "lm").rglob("samples_*"))
    rows = [json.loads(line) for line in path.read_text().split("\n") if line]
    for row in rows:
        del row["filter"], row["metrics"]
        row["arguments"] = [list(row["arguments"]["gen_args_0"].values())]
        row["doc"] = {"text": "of another data set"}
    layouts.jsonl(path, rows)
    (result,) = importing("lm-eval", path)
    assert (result["problems"], result["n"], result["temperature"]) == (3, 2, 0.6)


def test_an_lm_eval_chat_is_the_json_that_a_server_was_sent(importing: Importing, tmp_path: Path) -> None:
    path = next(layouts.lm_eval(tmp_path / "lm").rglob("samples_*"))
    rows = [json.loads(line) for line in path.read_text().split("\n") if line]
    for row, (problem, _, _) in zip(rows, layouts.SUMS, strict=False):
        row["doc"] = {}
        row["arguments"]["gen_args_0"]["arg_0"] = [
            json.dumps([{"role": "user", "content": f"Hello.\n{problem}"}])
        ]
    (result,) = importing("lm-eval", layouts.jsonl(path, rows[:3]))
    assert result["problems"] == 3


def test_choices_belong_to_the_problem(importing: Importing, tmp_path: Path) -> None:
    from harness.store import RunFolder

    path = next(layouts.lm_eval(tmp_path / "lm").rglob("samples_*"))
    rows = [json.loads(line) for line in path.read_text().split("\n") if line][:1]
    rows[0]["doc"] = {"Question": "Which?", "choice1": "this", "choice2": "that"}
    rows[0]["arguments"]["gen_args_0"]["arg_0"] = "Which?\n(A) this\n(B) that"
    log = layouts.inspect_log(
        samples=[layouts.inspect_sample(0, 1, input="Which?", choices=["this", "that"])]
    )
    (by_lm_eval,) = importing("lm-eval", layouts.jsonl(path, rows))
    (by_inspect,) = importing("inspect", layouts.inspect_eval(tmp_path / "log.eval", log))
    texts = [RunFolder.of(Path(run["path"])).problems()[0].text for run in (by_lm_eval, by_inspect)]
    assert texts == ["Which?\n(A) this\n(B) that", "Which?\nthis\nthat"]


def test_inspect_keeps_reasoning_tokens_and_how_chains_ended(importing: Importing, tmp_path: Path) -> None:
    from harness.store import RunFolder

    log = layouts.inspect_log()
    log["samples"][1]["output"]["choices"][0]["stop_reason"] = "max_tokens"
    (result,) = importing("inspect", layouts.inspect_eval(tmp_path / "log.eval", log))
    chains = list(RunFolder.of(Path(result["path"])).chains([]))
    assert {(chain.reasoning, chain.prompt_tokens, chain.completion_tokens) for chain in chains} == {
        ("Hm.", 11, 22)
    }
    assert sorted(chain.finish_reason or "" for chain in chains) == ["length"] + ["stop"] * 5
    assert (result["temperature"], result["top_p"], result["max_tokens"]) == (0.6, 0.95, 4096)
    assert result["foreign"] == {"chains": 6, "score": 0.5, "differs": 0}


def test_inspect_samples_that_failed_are_no_chains(importing: Importing, tmp_path: Path) -> None:
    log = layouts.inspect_log()
    for epoch in (0, 1):
        log["samples"][epoch] |= {"output": {"choices": []}, "error": {"message": "the server is gone"}}
    (result,) = importing("inspect", layouts.inspect_eval(tmp_path / "log.eval", log))
    assert (result["problems"], result["chains"]) == (2, 4)


def test_texts_that_inspect_keeps_apart_are_put_back(importing: Importing, tmp_path: Path) -> None:
    log = layouts.inspect_log()
    sample = log["samples"][0]
    part = sample["output"]["choices"][0]["message"]["content"][1]
    sample["attachments"] = {"0123456789abcdef0123456789abcdef": part["text"]}
    part["text"] = "attachment://0123456789abcdef0123456789abcdef"
    (result,) = importing("inspect", layouts.inspect_eval(tmp_path / "log.eval", log))
    assert result["scores"]["pass@1"]["value"] == pytest.approx(0.5)


def test_a_log_that_inspect_wrote(importing: Importing) -> None:
    (result,) = importing("inspect", layouts.FILES / "sums.eval")
    assert (result["model"], result["benchmark"], result["problems"], result["n"]) == (
        "mockllm/model",
        "sums",
        2,
        2,
    )
    assert (result["temperature"], result["top_p"], result["max_tokens"]) == (0.6, 0.95, 1000)
    assert result["scores"]["pass@1"]["value"] == result["foreign"]["score"] == 0.5
    assert result["foreign"]["differs"] == 0
    assert result["truncated"] == 0.25
    assert result["cost"]["completion_tokens"] == 40 + 41 + 42 + 43


def test_details_that_lighteval_wrote(importing: Importing, tmp_path: Path) -> None:
    home = tmp_path / "out" / "details" / "org" / "dummy" / layouts.DATE
    home.mkdir(parents=True)
    shutil.copy(layouts.FILES / "lighteval_details.parquet", home / f"details_sums|0_{layouts.DATE}.parquet")
    (result,) = importing("lighteval", tmp_path / "out")
    assert (result["model"], result["benchmark"], result["problems"]) == ("org/dummy", "sums", 2)
    assert result["foreign"] == {"chains": 2, "score": 0.0, "differs": 0}


def test_inspect_members_may_be_packed_by_zstandard(importing: Importing, tmp_path: Path) -> None:
    log = layouts.inspect_log()
    members = {
        f"samples/{sample['id']}_epoch_{sample['epoch']}.json": json.dumps(sample).encode()
        for sample in log["samples"]
    }
    members["header.json"] = json.dumps({key: log[key] for key in ("eval", "plan")}).encode()
    (packed,) = importing("inspect", layouts.zstandard(tmp_path / "packed.eval", members))
    (plain,) = importing("inspect", layouts.inspect_eval(tmp_path / "plain.eval", log, zipfile.ZIP_STORED))
    assert packed == plain


def test_an_importer_of_a_plugin_and_one_that_fails(tmp_path: Path) -> None:
    from collections.abc import Iterator

    from harness import ForeignChain, HarnessError, Importer, hookimpl
    from harness.imports import ImportConfig, import_chains
    from harness.plugins import load_plugins

    class Words(Importer):
        name = "words"

        def read(self, path: Path) -> Iterator[ForeignChain]:
            for i, line in enumerate(path.read_text(encoding="utf-8").split("\n")):
                problem, gold, text = line.split("|")
                yield ForeignChain(
                    text, f"{path}, line {i}", problem=problem, gold=gold, benchmark="words", score=1
                )

    class Plugin:
        @hookimpl
        def harness_importers(self) -> list[Importer]:
            return [Words()]

    own = load_plugins()
    own.register(Plugin(), "words")
    path = tmp_path / "model-x.txt"
    path.write_text("One and one?|2|\\boxed{2}\nTwo and two?|4|\\boxed{5}", encoding="utf-8")
    config = ImportConfig(paths=[path], importer="words", results=tmp_path / "results")
    (result,) = import_chains(config, own)
    assert (result["model"], result["scores"]["pass@1"]["value"]) == ("model-x", 0.5)
    assert result["foreign"] == {"chains": 2, "score": 1.0, "differs": 1}
    path.write_text("nonsense", encoding="utf-8")
    with pytest.raises(
        HarnessError, match=r"importer words failed on .*model-x\.txt: ValueError: not enough values"
    ):
        import_chains(config, own)


def test_importers_are_components_that_a_plugin_gives(plugins: PluginManager) -> None:
    assert {"jsonl", "lm-eval", "inspect", "lighteval", "limo"} <= set(plugins.importers)
    given = [hook.function() for hook in plugins.hook.harness_importers.get_hookimpls()]
    assert {importer.name for importers in given for importer in importers} == set(plugins.importers)
