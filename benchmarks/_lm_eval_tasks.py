"""Finds a task's YAML file, in the user's folder or among those that lm-eval ships, and builds the task from it.

lm-eval's own index reads all of its 14,000 files, which takes seconds; here only the file that says `task: NAME` is
read, and the index is asked where that finds nothing. Functions that a task file names are run: task files are
programs, and come from lm-eval or from the folder that the user gave. Nothing else names a file to be loaded.
"""

from __future__ import annotations

import contextlib
import copy
import importlib.util
import inspect
import io
import logging
import os
import random
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath
from typing import Any

from harness import HarnessError, closest
from harness.errors import one_line

INSTALL = 'pip install "fathom-harness[lm-eval]"'

FOLDER_VARIABLE = "HARNESS_LM_EVAL_TASKS"
"""Environment variable with the user's folder of task files, for the processes that grade."""

SHIPPED, OWN = "lm-eval", "data"
"""Where a task file is: in lm-eval's package, or in the user's folder."""

_NOT_OF_THE_TASK = ("tag", "group", "task_list")
"""Keys of a task file that are about how tasks are grouped."""
_NAMED = 6  # tasks that a message lists

Config = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Definition:
    """A task file."""

    name: str
    place: str
    """SHIPPED or OWN."""
    file: str
    """Path inside the place, with forward slashes: the same on every machine."""

    @property
    def path(self) -> Path:
        return inside(root_of(self.place), self.file)

    def config(self) -> Config:
        """The settings of the task, what it includes put in and its functions imported.

        Raises:
            HarnessError: the file cannot be read, or a module that it needs cannot be imported.
        """
        from lm_eval.tasks._yaml_loader import load_yaml

        try:
            return dict(load_yaml(self.path, resolve_func=True))
        except HarnessError:
            raise
        except Exception as error:
            hint = f"; {more}" if (more := _packages(error)) else ""
            raise HarnessError(
                f"lm-eval:{self.name}: {self.file} cannot be loaded: {one_line(error)}{hint}"
            ) from error


def require() -> None:
    """Raises HarnessError where lm-eval is not installed."""
    if importlib.util.find_spec("lm_eval") is None:
        raise HarnessError(f"benchmark lm-eval needs lm-eval: {INSTALL}")


def root_of(place: str) -> Path:
    """The folder that holds the task files of a place.

    Raises:
        HarnessError: the user's folder is not known here.
    """
    if place == SHIPPED:
        spec = importlib.util.find_spec("lm_eval")
        if spec is None or spec.origin is None:
            raise HarnessError(f"tasks of lm-eval need lm-eval: {INSTALL}")
        return Path(spec.origin).parent / "tasks"
    folder = os.environ.get(FOLDER_VARIABLE) or os.environ.get("HARNESS_DATA")
    if not folder:
        raise HarnessError(f"the folder of the task's file is not known: set {FOLDER_VARIABLE} to it")
    return Path(folder)


def inside(root: Path, file: str) -> Path:
    """The path of a file that must lie inside a folder and be YAML; stored golds name it, so it is not trusted."""
    parts = PurePosixPath(file)
    path = root / parts
    if parts.is_absolute() or ".." in parts.parts or path.suffix != ".yaml":
        raise HarnessError(f"{file!r} is not a task file in {root}")
    if not path.is_file():
        raise HarnessError(f"there is no task file {file} in {root}")
    return path


def find(name: str, folder: Path | None) -> Definition:
    """The definition of a task that a model answers in words.

    Args:
        folder: the user's folder, which goes before lm-eval's own tasks.

    Raises:
        HarnessError: no such task, or a group of tasks, or one without generated answers; says what would do.
    """
    if folder is not None:
        os.environ[FOLDER_VARIABLE] = str(folder.resolve())  # the processes that grade look there
    for place in (OWN, SHIPPED):
        if place == SHIPPED or folder is not None:
            root = root_of(place)
            for path in _saying(root, name):
                found = Definition(name, place, path.relative_to(root).as_posix())
                settings = _settings(found)
                if settings.get("task") == name and "group" not in settings:
                    _refuse_other_kinds(found, settings, folder)
                    return found
    return _from_index(name, folder)


def _saying(root: Path, name: str) -> list[Path]:
    """Files with the line `task: NAME`, in the order in which lm-eval reads them."""
    line = re.compile(
        rb"^task:[ \t]*([\"']?)" + re.escape(name.encode()) + rb"\1[ \t]*(#.*)?\r?$", re.MULTILINE
    )
    return [path for path in _files(root) if line.search(path.read_bytes())]


def _files(root: Path) -> Iterator[Path]:
    paths = (path for path in root.glob("**/*.yaml") if path.is_file())
    yield from sorted(paths, key=lambda path: path.as_posix())


def _settings(definition: Definition) -> Config:
    """What a task file says, with functions as their names."""
    from lm_eval.tasks._yaml_loader import load_yaml

    try:
        return dict(load_yaml(definition.path, resolve_func=False))
    except Exception as error:
        raise HarnessError(
            f"lm-eval:{definition.name}: {definition.path} is not a task file: {one_line(error)}"
        ) from error


def _refuse_other_kinds(definition: Definition, settings: Config, folder: Path | None) -> None:
    if (
        "class" not in settings
        and (kind := settings.get("output_type", "generate_until")) != "generate_until"
    ):
        name = definition.name
        like = [task for task in _generative(_index(folder)) if task.startswith(name.split("_")[0])]
        instead = f"; tasks like it with generated answers: {_listed(name, like)}" if like else ""
        raise HarnessError(
            f"lm-eval:{name} is a {kind} task, which compares likelihoods: only generate_until tasks can be sampled"
            f"{instead}"
        )
    refuse_unsafe(definition.name, settings)
    if settings.get("doc_to_image") or settings.get("doc_to_audio"):
        raise HarnessError(
            f"lm-eval:{definition.name} shows images or plays sounds: only text can be sampled"
        )


def refuse_unsafe(name: str, settings: Mapping[str, Any]) -> None:
    """Raises HarnessError for a task that runs the code which a model wrote."""
    if settings.get("unsafe_code"):
        raise HarnessError(
            f"lm-eval:{name} runs code that the model wrote (unsafe_code), which is not done here: grade it with "
            "lm-eval itself, in a container"
        )


def _from_index(name: str, folder: Path | None) -> Definition:
    index = _index(folder)
    entry = index.get(name)
    if entry is None:
        raise HarnessError(f"lm-eval has no task {name!r}: {closest(name, index)}")
    if entry.kind.name in ("GROUP", "TAG"):
        members = [task for task in _members(entry, index) if task in set(_generative(index))]
        usable = (
            f"name one of its tasks: {_listed(name, members)}"
            if members
            else "none of its tasks generates answers"
        )
        raise HarnessError(f"lm-eval:{name} is a {entry.kind.name.lower()} of tasks: {usable}")
    place = OWN if folder is not None and entry.yaml_path.is_relative_to(root_of(OWN)) else SHIPPED
    found = Definition(name, place, entry.yaml_path.relative_to(root_of(place)).as_posix())
    _refuse_other_kinds(found, entry.cfg or {}, folder)
    return found


def _index(folder: Path | None) -> Mapping[str, Any]:
    """Everything that lm-eval and the user's folder have by name: tasks, groups, tags. Takes seconds."""
    from lm_eval.tasks import TaskManager

    own: Mapping[str, Any] = {}
    if folder is not None:
        with quiet():
            own = TaskManager(include_path=str(folder.resolve()), include_defaults=False).task_index
    return {**_shipped_index(), **own}


@cache
def _shipped_index() -> Mapping[str, Any]:
    from lm_eval.tasks import TaskManager

    with quiet():
        index: Mapping[str, Any] = TaskManager().task_index
    return index


def _generative(index: Mapping[str, Any]) -> list[str]:
    return [
        name
        for name, entry in index.items()
        if entry.kind.name == "TASK"
        and (entry.cfg or {}).get("output_type", "generate_until") == "generate_until"
        and not (entry.cfg or {}).get("unsafe_code")
    ]


def _members(entry: Any, index: Mapping[str, Any], depth: int = 0) -> list[str]:
    if entry.kind.name == "TAG":
        return sorted(entry.tags)
    names: list[str] = []
    listed = (entry.cfg or {}).get("task", [])
    for item in listed if isinstance(listed, list) else [listed]:
        name = item.get("task") or item.get("group") if isinstance(item, dict) else item
        inner = index.get(name) if isinstance(name, str) else None
        if inner is not None and inner.kind.name in ("GROUP", "TAG") and depth < 5:
            names += _members(inner, index, depth + 1)
        elif isinstance(name, str):
            names.append(name)
    return names


def _listed(name: str, names: Sequence[str]) -> str:
    near = sorted(set(names), key=lambda task: (not task.startswith(name), len(task), task))
    more = f" and {len(near) - _NAMED} more" if len(near) > _NAMED else ""
    return ", ".join(near[:_NAMED]) + more


# -- building ------------------------------------------------------------------------------------


def build(config: Config, *, splits: Mapping[str, Any] | None = None, docs: Any = None) -> Any:
    """The task object (`lm_eval.api.task.Task`) of some settings.

    Args:
        splits: take these splits in place of the task's data set.
        docs: take these documents, processed already, in place of all that the task would read.
    """
    from lm_eval.api.task import ConfigurableTask

    config = {key: copy.deepcopy(value) for key, value in config.items() if key not in _NOT_OF_THE_TASK}
    metadata = config.get("metadata") or {}
    config["metadata"] = metadata if isinstance(metadata, dict) else {"_metadata": metadata}
    kind = config.get("class") or ConfigurableTask
    given: dict[str, Any] = {}
    if splits is not None and callable(process := config.get("process_docs")):
        config["process_docs"] = _once(process)
    if splits is not None or docs is not None:
        given["download"] = lambda self, *args, **kwargs: setattr(self, "dataset", splits)
    if docs is not None:
        for method in ("training_docs", "validation_docs", "test_docs", "fewshot_docs"):
            given[method] = lambda self: docs
    if given:
        kind = type(kind.__name__, (kind,), given)
    if "class" not in config or "config" in inspect.signature(kind.__init__).parameters:
        task = kind(config=config)
    else:
        task = kind()
    if "class" in config and hasattr(getattr(task, "config", None), "task"):
        task.config.task = config["task"]
    return task


def _once(process: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Processes each split once. Some tasks shuffle choices as they process documents, and a task asks for its
    documents several times: with data sets on disk, the library's cache sees to it that they come out the same."""
    made: dict[int, tuple[Any, Any]] = {}

    def processed(split: Any) -> Any:
        if id(split) not in made:
            made[id(split)] = (split, process(split))
        return made[id(split)][1]

    return processed


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Without lm-eval's progress bars and log lines, which are about settings that a user of it would give."""
    logger = logging.getLogger("lm_eval")
    level = logger.level
    logger.setLevel(logging.CRITICAL)
    sink = io.StringIO()
    try:
        with contextlib.redirect_stderr(sink), contextlib.redirect_stdout(sink):
            yield
    finally:
        logger.setLevel(level)


@contextlib.contextmanager
def seeded() -> Iterator[None]:
    """With the random numbers that `lm_eval.simple_evaluate` begins with: some tasks shuffle choices as they load."""
    import numpy as np
    from lm_eval.defaults import DEFAULT_OTHER_SEED, DEFAULT_RANDOM_SEED

    before, before_numpy = random.getstate(), np.random.get_state()
    random.seed(DEFAULT_RANDOM_SEED)
    np.random.seed(DEFAULT_OTHER_SEED)
    try:
        yield
    finally:
        random.setstate(before)
        np.random.set_state(before_numpy)


def _packages(error: BaseException) -> str:
    if not isinstance(error, ModuleNotFoundError):
        return ""
    if "antlr" in str(error):
        return "antlr4 4.11 cannot be had beside this package, which needs 4.7: run this task with lm-eval itself"
    return f"pip install {error.name.partition('.')[0]}" if error.name else ""
