"""Samples with any model type of lm-eval: `--sampler lm-eval:hf --model-args pretrained=DIR,dtype=bfloat16`."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any, ClassVar

from harness import Engine, Fit, HarnessError, Sampler, SamplingSettings, hookimpl
from harness.errors import UsageError
from harness.models import ResolvedModel, folder_problem

from .._options import positive_int

INSTALL = 'pip install "fathom-harness[lm-eval]"'

_MODEL = ("pretrained", "model", "engine")
"""Arguments of lm-eval's model types that name the model, in order of preference."""

_NOT_OF_THE_TEXT = frozenset(
    {
        "device",
        "batch_size",
        "max_batch_size",
        "num_concurrent",
        "max_retries",
        "timeout",
        "verify_certificate",
    }
)
"""Arguments that do not decide which chains come out."""

_SECRETS = frozenset(
    {
        "api_key",
        "apikey",
        "access_token",
        "auth_token",
        "hf_token",
        "token",
        "password",
        "secret",
        "header",
        "headers",
    }
)
"""Arguments that would put a secret into run.json."""


class LMEval(Sampler):
    """Hands requests to the `generate_until` of one of lm-eval's model types, some at a time.

    lm-eval knows no seed of one chain: what can be set is set from the seeds of the chains in hand, and the same
    command need not give the same texts after it was interrupted.
    """

    name = "lm-eval"
    description = "any model type of lm-eval (--sampler lm-eval:hf --model-args pretrained=...)"
    options: ClassVar = {
        "variant": "lm-eval's name of the model type, as in lm-eval:hf",
        "model_args": "its arguments, as for lm-eval: pretrained=...,dtype=...",
        "batch": "lm-eval's batch size, a number or auto (default: lm-eval's own, 1 for most model types)",
        "max_in_flight": "chains handed to lm-eval at a time (default: one batch, or four rounds of its connections)",
        "device": "device of the model, as for lm-eval",
        "gen_kwargs": "more generation settings, as for lm-eval: top_k=20,min_p=0.1",
    }
    needs_weights = False

    def fit(self, model: ResolvedModel) -> Fit:
        return Fit(0, "")  # never by itself: it is asked for by name

    def identity(self, options: Mapping[str, str]) -> Mapping[str, Any]:
        args = model_args(options)
        kept = {key: _content(value) for key, value in args.items() if key not in _NOT_OF_THE_TEXT}
        more = {"gen_kwargs": options["gen_kwargs"]} if options.get("gen_kwargs") else {}
        return {"sampler": self.name, "variant": variant(options), "model_args": kept, **more}

    def default_model(self, options: Mapping[str, str]) -> str | None:
        args = model_args(options)
        named = next((args[key] for key in _MODEL if args.get(key)), None)
        if named is None:
            return variant(options)
        path = Path(named).expanduser()
        if not path.is_dir():
            return named
        name = path.resolve().name  # a checkpoint is called after its training run
        return f"{path.resolve().parent.name}-{name}" if name.startswith("checkpoint-") else name

    @contextmanager
    def open(
        self, model: ResolvedModel, settings: SamplingSettings, options: Mapping[str, str]
    ) -> Iterator[Engine]:
        kind, args = variant(options), model_args(options)
        in_flight = positive_int(options, "max_in_flight")
        if importlib.util.find_spec("lm_eval") is None:
            raise HarnessError(f"the lm-eval sampler needs lm-eval: {INSTALL}")
        from ._engine import load

        engine = load(
            kind,
            args,
            settings,
            batch=_batch(options, args),
            device=options.get("device"),
            max_in_flight=in_flight,
            more=_pairs(options.get("gen_kwargs", ""), "gen_kwargs"),
        )
        try:
            yield engine
        finally:
            engine.close()


def variant(options: Mapping[str, str]) -> str:
    """lm-eval's name of the model type."""
    name = options.get("variant", "").strip()
    if not name:
        raise UsageError("--sampler lm-eval needs one of lm-eval's model types, as in --sampler lm-eval:hf")
    return name


def model_args(options: Mapping[str, str]) -> dict[str, str]:
    """Arguments of the model type, as texts.

    Raises:
        HarnessError: they are not key=value, or hold a secret.
    """
    args = _pairs(options.get("model_args", ""), "--model-args")
    if secrets := sorted(_SECRETS & {key.lower() for key in args}):
        raise HarnessError(
            f"--model-args {secrets[0]}=... would be written into run.json: give it by the environment variable that "
            "lm-eval reads (OPENAI_API_KEY, ANTHROPIC_API_KEY, HF_TOKEN, ...)"
        )
    return args


def _pairs(text: str, what: str) -> dict[str, str]:
    pairs: dict[str, str] = {}
    for part in filter(None, (part.strip() for part in text.split(","))):
        key, equals, value = part.partition("=")
        if not equals or not key.strip():
            raise HarnessError(
                f"{what}: {part!r} is not key=value (values cannot hold commas, as in lm-eval)"
            )
        if key.strip() in pairs:
            raise HarnessError(f"{what} gives {key.strip()} twice")
        pairs[key.strip()] = value.strip()
    return pairs


def _batch(options: Mapping[str, str], args: Mapping[str, str]) -> str | None:
    batch = options.get("batch")
    if batch is None:
        return None
    if "batch_size" in args:
        raise HarnessError(
            "give the batch size once: --sampler-option batch=N or batch_size=N in --model-args"
        )
    if not batch.startswith("auto"):
        positive_int(options, "batch")
    return batch


def _content(value: str) -> str:
    """An argument, or what a local model's folder holds: the same wherever the same files are."""
    folder = Path(value).expanduser()
    if value and folder.is_dir() and folder_problem(folder) is None:
        return str(ResolvedModel("", folder=folder).identity()["content"])
    return value


@hookimpl
def harness_samplers() -> Sequence[Sampler]:
    return [LMEval()]
