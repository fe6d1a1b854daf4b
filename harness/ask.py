"""One question to a model, outside of any run: nothing is stored."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from .components import Benchmark
from .config import SamplingConfig
from .data import DataSource
from .grading import Grader, open_pool
from .plugins import PluginManager
from .protocol import asked_protocol, chain_seed
from .records import Chain, ChainKey, Grade, Problem, Request
from .sampling import open_engine
from .selection import select


@dataclass(frozen=True, slots=True)
class Answer:
    chain: Chain
    answer: str | None
    """What the chain concludes with."""
    grade: Grade | None
    """None where no gold was given."""
    seconds: float
    """From the question to the end of the answer; loading the model not counted."""


class _Question(Benchmark):
    """The question as a benchmark of one problem, so that it is asked as a benchmark's would be."""

    name = "question"

    def problems(self, data: DataSource) -> Iterable[Problem]:
        return []


def ask(
    config: SamplingConfig,
    plugins: PluginManager,
    question: str,
    on_text: Callable[[str], None],
    *,
    gold: str | None = None,
    kind: str = "math",
    note: Callable[[str], None] = lambda text: None,
) -> Answer:
    """Ask a model one question at the protocol's settings.

    Args:
        on_text: hears the answer piece by piece.
        gold: where given, the answer is graded against it.
        kind: name of the normalizer that reads and compares the answer.

    Raises:
        HarnessError: no such model, engine or normalizer, or an engine that fails.
    """
    normalizer = plugins.normalizer(kind)
    protocol = asked_protocol(plugins.protocol(config.protocol), config, 1)
    selection = select(config, plugins)
    note(f"sampler {selection.sampler.name}: {selection.reason}")
    problem = Problem("question", question, gold or "")
    prompt = protocol.prompt(problem, _Question())
    key = ChainKey("question", problem.id, 0)
    request = Request(key, prompt, chain_seed(config.seed, key), question)
    with open_engine(selection.opening(protocol.settings, longest_prompt=prompt.size)) as engine:
        start = time.monotonic()
        chain = engine.stream(request, on_text)
        seconds = time.monotonic() - start
    pool = open_pool(plugins)
    try:
        grades: list[Grade] = []
        grader = Grader(normalizer, pool, vote=protocol.vote)
        grader.submit(problem.id, problem.gold, chain.text, grades.append, truncated=chain.truncated)
        grader.finish()
    finally:
        pool.close()
    return Answer(chain, grades[0].answer, grades[0] if gold is not None else None, seconds)
