"""Opens a model type of lm-eval, and keeps what lm-eval prints and logs out of the way."""

from __future__ import annotations

import contextlib
import inspect
import logging
import os
import sys
from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any

from harness import HarnessError, closest
from harness.errors import one_line

_log = logging.getLogger("harness.lm-eval")

_TELL = 3
"""Lines that are passed on from one place in lm-eval's code."""


def make(kind: str, args: Mapping[str, str], *, batch: str | None, device: str | None) -> Any:
    """Open one of lm-eval's model types (`lm_eval.api.model.LM`).

    Args:
        kind: lm-eval's name of it.
        args: its arguments.
        batch: lm-eval's batch size; None leaves it to lm-eval.

    Raises:
        HarnessError: no such model type, arguments that it does not take, or it cannot be opened.
    """
    # Its progress bars cannot be turned off one by one.
    os.environ.setdefault("TQDM_DISABLE", "1")
    _told.cache.clear()
    logging.getLogger("asyncio").addFilter(_told_already)  # the same function again is not added twice
    with aside():
        made = _class(kind)
        _check(kind, made, args)
        if (transformers := sys.modules.get("transformers")) is not None:
            transformers.utils.logging.disable_progress_bar()
        text = ",".join(f"{key}={value}" for key, value in args.items())
        extra = {"batch_size": batch, "device": device}
        try:
            return made.create_from_arg_string(text, {k: v for k, v in extra.items() if v is not None})
        except (Exception, SystemExit) as error:
            raise HarnessError(f"lm-eval cannot open its model {kind}: {_reason(error)}") from error


def _class(kind: str) -> Any:
    import lm_eval.models  # noqa: F401 - registers the model types
    from lm_eval.api.registry import get_model, model_registry

    if kind not in model_registry:
        raise HarnessError(f"lm-eval has no model type {kind!r}: {closest(kind, model_registry.keys())}")
    try:
        return get_model(kind)
    except (Exception, SystemExit) as error:
        raise HarnessError(f"lm-eval cannot import its model {kind}: {_reason(error)}") from error


def _check(kind: str, made: Any, args: Mapping[str, str]) -> None:
    """Arguments that are missing or unknown, as far as signatures tell."""
    known: dict[str, inspect.Parameter] = {}
    open_ended = False
    for base in made.__mro__:
        if "__init__" not in vars(base) or base is object:
            continue
        parameters = inspect.signature(vars(base)["__init__"]).parameters.values()
        for parameter in islice(parameters, 1, None):
            if parameter.kind not in (parameter.VAR_KEYWORD, parameter.VAR_POSITIONAL):
                known.setdefault(parameter.name, parameter)
        if not any(parameter.kind is parameter.VAR_KEYWORD for parameter in parameters):
            break
        # A constructor that passes on what it does not know may do so to a library.
        open_ended = base is made.__mro__[0]
    else:
        open_ended = True
    missing = [
        name for name, parameter in known.items() if parameter.default is parameter.empty and name not in args
    ]
    if missing:
        raise HarnessError(
            f"lm-eval's model {kind} needs {missing[0]}: add it with --model-args {missing[0]}=..."
        )
    if not open_ended and (unknown := [name for name in args if name not in known]):
        raise HarnessError(
            f"lm-eval's model {kind} takes no argument {unknown[0]!r}: {closest(unknown[0], known)}"
        )


def typed(pairs: Mapping[str, str]) -> dict[str, Any]:
    from lm_eval.utils import simple_parse_args_string

    return dict(simple_parse_args_string(",".join(f"{key}={value}" for key, value in pairs.items())))


def _reason(error: BaseException) -> str:
    if isinstance(error, ModuleNotFoundError) and error.name:
        return f"it needs {error.name.partition('.')[0]}, which is not installed"
    return one_line(error)


class _Told(logging.Handler):
    """Passes lm-eval's warnings on as lines of ours: each once, and three at most from one place in its code."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.cache: set[tuple[int, str]] = set()

    def emit(self, record: logging.LogRecord) -> None:
        text = " ".join(record.getMessage().split())[:200]
        key = (record.lineno, text)
        if key not in self.cache and sum(line == record.lineno for line, _ in self.cache) < _TELL:
            self.cache.add(key)
            _log.warning("lm-eval: %s", text)


_told = _Told()


def _told_already(record: logging.LogRecord) -> bool:
    """lm-eval leaves its other requests behind when one fails for good; asyncio would print a traceback for each."""
    return "exception was never retrieved" not in record.getMessage()


@contextlib.contextmanager
def aside() -> Iterator[None]:
    """lm-eval prints and logs on its own: what it prints goes to stderr, its warnings become lines of ours."""
    logger = logging.getLogger("lm_eval")
    propagate = logger.propagate
    logger.addHandler(_told)
    logger.propagate = False
    try:
        with contextlib.redirect_stdout(sys.stderr):
            yield
    finally:
        logger.removeHandler(_told)
        logger.propagate = propagate
