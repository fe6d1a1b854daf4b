"""From a task of lm-eval to problems: its documents, and the prompts that lm-eval would make of them."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

from harness import HarnessError, Message, Problem, Prompt
from harness.errors import one_line

from ._lm_eval_data import dataset_name, task_of
from ._lm_eval_grading import Figures, Gold
from ._lm_eval_tasks import Config, Definition, find, quiet, seeded

if TYPE_CHECKING:
    from harness.data import DataSource

_DEFAULT_BUDGET = 256
"""Tokens that most of lm-eval's models generate where a task does not say."""


class Item(NamedTuple):
    problem: Problem
    prompt: Prompt


@dataclass(frozen=True, slots=True)
class LoadedTask:
    definition: Definition
    dataset: str
    """Name of the data set that the task reads."""
    figures: Figures
    figure: str
    """The figure that says whether a chain is correct."""
    task: Any
    """`lm_eval.api.task.Task` with its requests built."""
    generation: Mapping[str, Any]
    """What the task asks of sampling, stop texts left out."""
    notes: Mapping[str, Any]

    @property
    def settings(self) -> str:
        """lm-eval's own way of sampling the task, as flags."""
        return f"lm-eval:{self.definition.name}: lm-eval itself samples it with {_flags(self.generation)}"

    def items(self, *, packed: bool) -> Iterator[Item]:
        """Problems with their prompts.

        Args:
            packed: golds do not show the documents in plain text.
        """
        for instance in self.task.instances:
            doc = instance.doc
            # Found anew for each document by the task itself; kept, since a grader sees one document only.
            targets = int(getattr(self.task, "multiple_target", 0) or 0)
            gold = Gold(self.definition, self.figure, self._json(doc, instance.doc_id), targets)
            text = _text(self.task, doc) or str(instance.args[0])
            target = {} if packed else {"target": str(self.task.doc_to_target(doc))}
            id_ = f"{self.definition.name}/{instance.doc_id}"
            problem = Problem(id_, text, gold.as_text(packed=packed), metadata=target)
            yield Item(problem, _prompt(*instance.args[:2]))

    def _json(self, doc: Any, number: int) -> str:
        try:
            return json.dumps(doc, ensure_ascii=False)
        except (TypeError, ValueError) as error:
            raise HarnessError(
                f"lm-eval:{self.definition.name}: document {number} holds what cannot be kept as text ({error})"
            ) from None


class _Chat(str):
    """A rendered prompt that still is its messages."""

    __slots__ = ("messages",)
    messages: tuple[Message, ...]


def _render(messages: list[dict[str, str]], add_generation_prompt: bool = True) -> str:
    # In the place of a model's chat template: engines render messages with their own.
    chat = _Chat(json.dumps(messages, ensure_ascii=False))
    chat.messages = tuple(Message(m["role"], m["content"]) for m in messages)  # type: ignore[arg-type]
    return chat


def _prompt(context: str, generation: Mapping[str, Any]) -> Prompt:
    until = generation.get("until") or []
    stop = tuple(text for text in ([until] if isinstance(until, str) else until) if text)
    if isinstance(context, _Chat):
        return Prompt(context.messages, stop=stop)
    return Prompt((), text=str(context), stop=stop)


def _text(task: Any, doc: Any) -> str:
    text = task.doc_to_text(doc)
    return text if isinstance(text, str) else ""


def load(name: str, data: DataSource, values: Mapping[str, Any]) -> LoadedTask:
    """Load a task and build its requests.

    Args:
        values: the benchmark's parameters.

    Raises:
        HarnessError: no such task, or one that cannot be sampled or graded here, or its data set cannot be had.
    """
    if data.folder is not None and not data.folder.is_dir():
        raise HarnessError(
            f"data folder {data.folder} does not exist or is not a folder: --data takes a folder"
        )
    definition = find(name, data.folder)
    config = definition.config()
    fewshot = _fewshot(name, config, values["fewshot"])
    dataset = dataset_name(config)
    try:
        with quiet(), seeded():
            task = task_of(definition, config, dataset, fewshot, data)
            if fewshot is not None:
                task.set_config(key="num_fewshot", value=fewshot)
            from lm_eval.defaults import DEFAULT_OTHER_SEED

            task.set_fewshot_seed(seed=DEFAULT_OTHER_SEED)
            _refuse(name, task, values)
            chat = bool(values["chat"])
            task.build_all_requests(
                apply_chat_template=chat,
                fewshot_as_multiturn=bool(values["multiturn"]),
                chat_template=_render if chat else None,
            )
    except HarnessError:
        raise
    except Exception as error:
        raise HarnessError(f"lm-eval:{name} cannot be loaded: {one_line(error)}") from error
    _check(name, task, chat)
    figures = Figures(task)
    figure = figures.choose(name, values["filter"], values["metric"])
    generation = {k: v for k, v in dict(task.instances[0].args[1]).items() if k != "until"}
    notes = _notes(task, definition, figures, figure, generation)
    return LoadedTask(definition, dataset, figures, figure, task, generation, notes)


def _fewshot(name: str, config: Config, asked: int) -> int | None:
    """How many examples to show; None: the task has no say, as tasks that are Python classes."""
    own = config.get("num_fewshot")
    if asked < 0:
        return own if own is not None or "class" in config else 0
    if own == 0 and asked > 0:  # lm-eval ignores the wish
        raise HarnessError(
            f"lm-eval:{name} is fixed at no examples (num_fewshot: 0): leave fewshot={asked} out"
        )
    return asked


def _refuse(name: str, task: Any, values: Mapping[str, Any]) -> None:
    if getattr(task, "OUTPUT_TYPE", None) != "generate_until":
        raise HarnessError(
            f"lm-eval:{name} is a {task.OUTPUT_TYPE} task: only generate_until tasks can be sampled"
        )
    if getattr(task, "UNSAFE_CODE", False):
        raise HarnessError(f"lm-eval:{name} runs code that the model wrote, which is not done here")
    if getattr(task, "MULTIMODAL", False):
        raise HarnessError(f"lm-eval:{name} shows images or plays sounds: only text can be sampled")
    if values["chat"] and getattr(task.config, "gen_prefix", None):
        raise HarnessError(
            f"lm-eval:{name} begins the model's answer for it (gen_prefix), which chat templates do not do here: "
            "leave chat=true out"
        )


def _check(name: str, task: Any, chat: bool) -> None:
    seen = set()
    for instance in task.instances:
        if instance.request_type != "generate_until" or instance.doc_id in seen:
            raise HarnessError(f"lm-eval:{name} asks several things of one document: it cannot be sampled")
        seen.add(instance.doc_id)
        if chat and not isinstance(instance.args[0], _Chat):
            raise HarnessError(
                f"lm-eval:{name} makes its prompts itself and knows no chat: leave chat=true out"
            )


# -- what is told ---------------------------------------------------------------------------------


def _flags(generation: Mapping[str, Any]) -> str:
    """The flags that sample as a task's settings say.

    >>> _flags({"do_sample": False, "temperature": 0.0, "max_gen_toks": 1024})
    '--n 1 --temperature 0 --max-tokens 1024'
    """
    temperature = float(generation.get("temperature") or 0.0)
    if generation.get("do_sample") is False:
        temperature = 0.0
    budget = next(
        (generation[k] for k in ("max_gen_toks", "max_new_tokens", "max_tokens") if generation.get(k)), None
    )
    top_p = f" --top-p {generation['top_p']}" if temperature and generation.get("top_p") else ""
    said = "" if budget else f" ({_DEFAULT_BUDGET} is what most of its models take where a task does not say)"
    return f"--n 1 --temperature {temperature:g}{top_p} --max-tokens {budget or _DEFAULT_BUDGET}{said}"


def _notes(
    task: Any, definition: Definition, figures: Figures, figure: str, generation: Mapping[str, Any]
) -> Mapping[str, Any]:
    import importlib.metadata

    return {
        "lm_eval": importlib.metadata.version("lm-eval"),
        "task_version": str(getattr(task, "VERSION", "")),
        "task_file": f"{definition.place}:{definition.file}",
        "fewshot": task.config.num_fewshot or 0,
        "correct_is": figure,
        "filters": figures.filters,
        "metrics": figures.metrics,
        "left_out": list(figures.left_out),
        "generation": json.loads(json.dumps(dict(generation), default=str)),
        "flags_of_lm_eval": _flags(generation).partition(" (")[0],
    }
