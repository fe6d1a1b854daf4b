"""What a model is asked under each built-in protocol, to the letter."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from harness import Benchmark, Problem, Protocol
from harness.data import DataSource
from harness.plugins import PluginManager

STEP_BY_STEP = "Please reason step by step, and put your final answer within \\boxed{}."
BOX = "Put your final answer within \\boxed{}."


class Sums(Benchmark):
    name = "sums"

    def problems(self, data: DataSource) -> Iterable[Problem]:
        return [Problem("1", "What is 1+1? {instruction} {problem}", "2")]


def asked(protocol: Protocol, problem: Problem, benchmark: Benchmark) -> list[tuple[str, str]]:
    return [(message.role, message.content) for message in protocol.prompt(problem, benchmark).messages]


def test_fathom_asks_twice(plugins: PluginManager) -> None:
    problem = Problem("1", "What is $1+1$?", "2")
    for name in ("aime25", "hmmt25"):
        assert asked(plugins.protocol("fathom"), problem, plugins.benchmark(name)) == [
            ("system", STEP_BY_STEP),
            ("user", f"{STEP_BY_STEP} \nWhat is $1+1$?"),
        ]


def test_fathom_asks_three_times_where_there_are_choices(plugins: PluginManager) -> None:
    problem = Problem("1", "Which?\n\nA. x\nB. y", "A", ("x", "y"))
    assert asked(plugins.protocol("fathom"), problem, plugins.benchmark("gpqa-diamond")) == [
        ("system", STEP_BY_STEP),
        (
            "user",
            f"{STEP_BY_STEP} \nWhich?\n\nA. x\nB. y\n\nPlease reason step-by-step and put your choice letter "
            "without any other text with \\boxed{} in the end.",
        ),
    ]


def test_fathom_keeps_the_instruction_of_a_strangers_benchmark(plugins: PluginManager) -> None:
    benchmark = Sums()
    benchmark.instruction = "Answer in Roman numerals."
    (problem,) = benchmark.problems(DataSource(None))
    user = asked(plugins.protocol("fathom"), problem, benchmark)[1][1]
    assert user == f"{STEP_BY_STEP} \n{problem.text}\n\nAnswer in Roman numerals."


def test_fathom_grades_and_votes_as_the_published_numbers_do_and_leaves_the_data_alone(
    plugins: PluginManager,
) -> None:
    protocol = plugins.protocol("fathom")
    assert (protocol.n, protocol.temperature, protocol.top_p, protocol.max_tokens) == (64, 0.6, 0.95, 16_384)
    assert (protocol.normalizer, protocol.vote, protocol.ties) == ("fathom", "strings", "first")
    assert plugins.benchmark("gpqa-diamond").values["order"] == "shuffled"


@pytest.mark.parametrize(
    ("name", "instruction"),
    [
        ("aime25", f"{BOX}\nThe answer is an integer between 0 and 999 inclusive."),
        ("aime24", f"{BOX}\nThe answer is an integer between 0 and 999 inclusive."),
        ("hmmt25", BOX),
    ],
)
def test_matharena_words_its_instruction_for_each_competition(
    plugins: PluginManager, name: str, instruction: str
) -> None:
    problem = Problem("1", "What is {problem} and {instruction}?", "2")
    assert asked(plugins.protocol("matharena"), problem, plugins.benchmark(name)) == [
        ("user", f"{instruction}\n\nWhat is {{problem}} and {{instruction}}?")
    ]


def test_matharena_uses_the_instruction_of_a_benchmark_that_brings_one(plugins: PluginManager) -> None:
    benchmark = plugins.benchmark("gpqa-diamond")
    problem = Problem("1", "Which?", "A", ("x", "y"))
    assert asked(plugins.protocol("matharena"), problem, benchmark) == [
        ("user", f"{benchmark.instruction}\n\nWhich?")
    ]


def test_matharena_samples_as_matharena_and_grades_as_we_do(plugins: PluginManager) -> None:
    protocol = plugins.protocol("matharena")
    assert (protocol.n, protocol.temperature, protocol.top_p, protocol.max_tokens) == (4, 0.6, 0.95, 32_000)
    assert (protocol.normalizer, protocol.vote, protocol.ties) == (None, "classes", "expected")


def test_deepseek_r1_says_everything_in_the_user_turn(plugins: PluginManager) -> None:
    problem = Problem("1", "What is 1+1?", "2")
    assert asked(plugins.protocol("deepseek-r1"), problem, plugins.benchmark("aime25")) == [
        ("user", f"What is 1+1?\n{STEP_BY_STEP}")
    ]
