"""Plugins: found by name, told of events, and never able to take a command down."""

from __future__ import annotations

from pathlib import Path
from types import SimpleNamespace

import pytest

from harness import (
    Benchmark,
    Grade,
    GradedChain,
    HarnessError,
    Metric,
    Model,
    Normalizer,
    Problem,
    Protocol,
    Reporter,
    Score,
    StageJob,
    Trainer,
    hookimpl,
)
from harness.config import load_config
from harness.data import DataSource
from harness.evaluation import evaluate
from harness.measure import measure
from harness.plugins import PluginManager, load_plugins
from harness.task import load_task


def providing(**components: object) -> SimpleNamespace:
    """A plugin whose hooks return what is given here."""
    return SimpleNamespace(**{hook: hookimpl(_no_arguments(value)) for hook, value in components.items()})


def _no_arguments(value: object) -> object:
    def provide() -> object:
        return value

    return provide


PROTOCOL = Protocol("quick", 1, 0.0, 1.0, 10, "Go.")


class Letters(Benchmark):
    name = "letters"
    aliases = ("abc",)
    normalizer = "math"
    parameters = {"count": 2, "loud": "", "flag": True}  # noqa: RUF012

    def problems(self, data: object) -> list[Problem]:
        return [Problem(f"l{i}", f"Say {i}", str(i)) for i in range(self.values["count"])]


class Shout(Reporter):
    name = "shout"

    def render(self, results: object) -> str:
        return "HELLO\n"


class Always(Metric):
    name = "always"

    def compute(self, problems: object, protocol: Protocol) -> dict[str, Score]:
        return {"always": Score(1.0)}


class Whole(Normalizer):
    name = "whole"

    def extract(self, text: str) -> None:
        return None


class Nap(Trainer):
    name = "nap"

    def train(self, job: StageJob) -> None:
        job.out.mkdir()


def test_every_kind_of_component_can_come_from_a_plugin() -> None:
    manager = PluginManager()
    manager.register(
        providing(
            harness_models=[Model("tiny", "org/tiny")],
            harness_benchmarks=[Letters()],
            harness_protocols=[PROTOCOL],
            harness_normalizers=[Whole()],
            harness_metrics=[Always()],
            harness_reporters=[Shout()],
            harness_trainers=[Nap()],
            harness_samplers=[],
        ),
        "everything",
    )
    assert manager.problems == []
    assert manager.models["tiny"].repo == "org/tiny"
    assert manager.benchmark("ABC").name == "letters"
    assert manager.protocol("quick").n == 1
    assert manager.normalizer("whole").name == "whole"
    assert manager.metrics["always"].compute({}, PROTOCOL)["always"].value == 1.0
    assert manager.reporter("shout").render([]) == "HELLO\n"
    assert list(manager.trainers) == ["nap"]
    assert manager.samplers == {}


def test_two_components_of_one_name_are_an_error_that_names_both_plugins() -> None:
    manager = PluginManager()
    manager.register(providing(harness_benchmarks=[Letters()]), "first")
    manager.register(providing(harness_benchmarks=[Letters()]), "second")
    with pytest.raises(HarnessError, match=r"'letters': (first and second|second and first)"):
        manager.benchmark("letters")
    assert "two plugins provide" in manager.problems[0].reason
    manager.register(providing(harness_reporters=[Shout()]), "third")
    assert manager.reporter("shout").name == "shout"  # a clash takes nothing else down


def test_an_alias_may_not_hide_another_name() -> None:
    class Abc(Letters):
        name = "abc"
        aliases = ()

    manager = PluginManager()
    manager.register(providing(harness_benchmarks=[Letters(), Abc()]), "both")
    _ = manager.benchmarks
    with pytest.raises(HarnessError, match="two plugins provide a benchmark called 'abc'"):
        manager.benchmark("abc")


def test_parameters_take_the_type_of_their_default_and_show_in_the_label() -> None:
    manager = PluginManager()
    manager.register(providing(harness_benchmarks=[Letters()]), "letters")
    benchmark = manager.benchmark("letters:count=3,loud=yes")
    assert benchmark.values == {"count": 3, "loud": "yes", "flag": True}
    assert benchmark.label == "letters:count=3,loud=yes,flag=True"
    assert manager.benchmark("letters:flag=false").values["flag"] is False
    with pytest.raises(HarnessError, match="flag='maybe' is not a valid bool"):
        manager.benchmark("letters:flag=maybe")
    assert manager.benchmark("letters:count=2").label == "letters"


def test_a_hook_that_raises_is_reported_and_the_others_are_heard() -> None:
    def broken() -> list[Benchmark]:
        raise KeyError("oops")

    manager = PluginManager()
    manager.register(SimpleNamespace(harness_benchmarks=hookimpl(broken)), "broken")
    manager.register(providing(harness_benchmarks=[Letters()]), "letters")
    assert list(manager.benchmarks) == ["letters"]
    assert "KeyError" in manager.problems[0].reason


def test_load_plugins_can_be_narrowed(monkeypatch: pytest.MonkeyPatch) -> None:
    assert "fresh" not in load_plugins(block=["benchmark-fresh"]).benchmarks
    monkeypatch.setenv("HARNESS_LOAD_PLUGINS", "nonsuch")
    manager = load_plugins()
    assert "fresh" in manager.benchmarks  # the built-in ones load all the same
    assert manager.problems[0].reason.startswith("no plugin is called so")


def test_all_built_in_plugins_load_without_problems(plugins: PluginManager) -> None:
    assert plugins.problems == []
    plugins._pluggy.check_pending()


@pytest.mark.parametrize(
    ("problem", "expected"),
    [
        (Problem("p", "text", 4), "gold of problem 1 is 4, not a text"),  # type: ignore[arg-type]
        (Problem(1, "text", "4"), "id of problem 1 is 1, not a text"),  # type: ignore[arg-type]
        ("a string", "problem 1 is a str"),
    ],
)
def test_problems_that_are_not_as_they_should_be_are_named(problem: Problem, expected: str) -> None:
    class Odd(Letters):
        def problems(self, data: object) -> list[Problem]:
            return [problem]

    with pytest.raises(HarnessError, match=expected):
        load_task(Odd(), load_plugins().protocol("deepseek-r1"), DataSource(None))


def test_a_benchmark_that_fails_to_load_is_named() -> None:
    class Odd(Letters):
        def problems(self, data: object) -> list[Problem]:
            return [{}["column"]]  # type: ignore[misc]

    with pytest.raises(HarnessError, match="benchmark letters cannot load its problems: KeyError: 'column'"):
        load_task(Odd(), load_plugins().protocol("deepseek-r1"), DataSource(None))


def test_a_metric_that_fails_costs_only_its_own_scores() -> None:
    class Broken(Always):
        name = "broken"

        def compute(self, problems: object, protocol: Protocol) -> dict[str, Score]:
            return {"x": Score(1 / 0)}

    class Nan(Always):
        name = "nan"

        def compute(self, problems: object, protocol: Protocol) -> dict[str, Score]:
            return {"nan": Score(float("nan")), "always": Score(0.0)}

    notes: list[str] = []
    chains = {"p": [GradedChain("p", 0, Grade("correct", "1", "1"), None, truncated=False)]}
    measured = measure(chains, PROTOCOL, [Broken(), Always(), Nan()], notes.append)
    assert measured["scores"] == {"always": Score(1.0).as_dict()}
    assert notes == [
        "metric broken failed, its scores are left out: ZeroDivisionError: division by zero",
        "metric nan gives nan for 'nan': it is left out",
        "metric nan gives 'always', which another metric gives too: it is left out",
    ]


def test_a_listener_hears_of_a_run_from_start_to_finish(tmp_path: Path, write_chains: object) -> None:
    heard: list[tuple[object, ...]] = []

    class Listener:
        @hookimpl
        def harness_run_started(self, run: object, pending: int) -> None:
            heard.append(("started", run.benchmark, pending))  # type: ignore[attr-defined]

        @hookimpl
        def harness_chain_graded(self, chain: object, grade: Grade) -> None:
            heard.append(("graded", chain.problem_id, grade.status))  # type: ignore[attr-defined]

        @hookimpl
        def harness_run_finished(self, result: dict[str, object]) -> None:
            heard.append(("finished", result["chains"]))

        @hookimpl
        def harness_checkpoint_saved(self, path: str, step: int) -> None:
            heard.append(("saved", path, step))

    manager = load_plugins()
    manager.register(providing(harness_benchmarks=[Letters()]), "letters")
    manager.register(Listener(), "listener")
    chains = write_chains([{"problem_id": f"l{i}", "text": f"\\boxed{{{i * 2}}}"} for i in range(2)])  # type: ignore[operator]
    flags = {"bench": "letters", "sampler": "replay", "chains": chains, "results": tmp_path / "results"}
    (result,) = evaluate(load_config(None, flags), manager)
    assert result["counts"]["correct"] == 1
    assert heard == [
        ("started", "letters", 2),
        ("graded", "l0", "correct"),
        ("graded", "l1", "incorrect"),
        ("finished", 2),
    ]
    manager.tell("harness_checkpoint_saved", heard.append, path="out/checkpoint-2", stage="sft", step=2)  # type: ignore[arg-type]
    assert heard[-1] == ("saved", "out/checkpoint-2", 2)
