"""Models in: a folder that was looked at before anything heavy happens, then its weights and tokenizer in memory."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from harness import HarnessError, StageJob, closest
from harness.errors import one_line
from harness.models import folder_problem
from harness.safetensors import check_finite, opened, read_headers

DTYPES: Final = ("float32", "bfloat16", "float16")
ATTENTION: Final = ("sdpa", "eager", "flash_attention_2", "flash_attention_3")

_FLOATS: Final = {"F32": "float32", "F16": "float16", "BF16": "bfloat16"}
_PICKLED: Final = ("pytorch_model.bin", "pytorch_model.bin.index.json")


@dataclass(frozen=True, slots=True)
class LoRA:
    """Parameters of low-rank adapters, as peft calls them."""

    r: int = 16
    alpha: float = 32
    dropout: float = 0.0
    target_modules: str | list[str] = field(default="all-linear")


def load_model(job: StageJob, *, index: int = 0) -> tuple[Any, Any]:
    """The model that a stage starts from, ready for a trainer, and its tokenizer.

    Args:
        index: which of the models that the stage starts from.

    Returns:
        a transformers model, with adapters of peft around it where the parameters have `lora`; and its tokenizer.

    Raises:
        HarnessError: the folder is no sound model: pickled, cut off, not finite, or without a tokenizer.
    """
    folder = job.starts_from[index]
    check_folder(folder, pickle=bool(job.parameters.get("allow_pickle")))
    tokenizer = load_tokenizer(folder, job.parameters)
    return with_adapters(load_weights(folder, job.parameters), job.parameters), tokenizer


def check_folder(folder: Path, *, pickle: bool = False) -> None:
    """Look at a model's files, every value of the weights included.

    Args:
        pickle: weights that are pickled, which can run code when they are read, are let pass.

    Raises:
        HarnessError: something is missing, cut off, pickled, or not a number.
    """
    if not folder.is_dir():
        raise HarnessError(f"model folder {folder} is not there")
    if pickle and any((folder / name).is_file() for name in _PICKLED):
        return
    if (problem := folder_problem(folder)) is not None:
        hint = " (or set the parameter allow_pickle: true)" if "pickled" in problem else ""
        raise HarnessError(f"model folder {folder} cannot be trained: {problem}{hint}")
    with opened(folder) as checkpoint:
        for stored in checkpoint.tensors.values():
            if stored.type in _FLOATS:
                for values in checkpoint.pieces(stored):
                    check_finite(stored, values)


def load_tokenizer(folder: Path, parameters: Mapping[str, Any]) -> Any:
    """The tokenizer that lies in a model's folder.

    Raises:
        HarnessError: it cannot be loaded, or has no token that ends a text.
    """
    import transformers

    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(
            str(folder),
            local_files_only=True,
            trust_remote_code=bool(parameters.get("trust_remote_code", False)),
        )
    except Exception as error:  # noqa: BLE001 - whatever a damaged file makes of it
        raise HarnessError(f"the tokenizer in {folder} cannot be loaded: {one_line(error)}") from None
    for name in ("is_local", "local_files_only", "trust_remote_code"):  # which it would save with itself
        tokenizer.init_kwargs.pop(name, None)
    if tokenizer.eos_token_id is None:
        raise HarnessError(f"the tokenizer in {folder} has no eos_token: a model could not learn to end")
    if tokenizer.pad_token_id is None:
        tokenizer.pad_token = tokenizer.eos_token
    return tokenizer


def load_weights(folder: Path, parameters: Mapping[str, Any]) -> Any:
    """A folder's weights as a model in training mode, in main memory.

    Raises:
        HarnessError: transformers cannot load it.
    """
    import torch
    import transformers

    from .products import speed_up

    pickle = bool(parameters.get("allow_pickle"))
    try:
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(folder),
            dtype=getattr(torch, load_dtype(folder, parameters)),
            attn_implementation=parameters.get("attn_implementation", ATTENTION[0]),
            use_safetensors=None if pickle else True,
            local_files_only=True,
            trust_remote_code=bool(parameters.get("trust_remote_code", False)),
        )
    except Exception as error:  # noqa: BLE001 - whatever a damaged file or a strange architecture makes of it
        raise HarnessError(f"transformers cannot load {folder}: {one_line(error)}") from None
    generation = model.generation_config
    if generation is not None and not generation.do_sample:
        try:
            generation.validate(strict=True)
        except ValueError:  # settings of sampling without do_sample: it would refuse to be saved
            generation.do_sample = True
    speed_up(model)
    return model


def load_dtype(folder: Path, parameters: Mapping[str, Any]) -> str:
    """What the weights are held in while they are trained.

    float32, unless the parameter `dtype` says otherwise: with bf16 the products are computed in bfloat16, but small
    updates would be lost on weights that are. Frozen ones under adapters get no updates and stay as they are stored.
    """
    wanted = parameters.get("dtype")
    if wanted is not None:
        return str(wanted)
    if parameters.get("lora") and wants_bf16(parameters):
        return stored_dtype(folder)
    return "float32"


def wants_bf16(parameters: Mapping[str, Any]) -> bool:
    """Whether products are computed in bfloat16: on a GPU that can unless told otherwise, on a processor that has
    instructions for it only where asked for.
    """
    import torch

    if torch.cuda.is_available():
        return bool(parameters.get("bf16", True)) and torch.cuda.is_bf16_supported()
    return bool(parameters.get("bf16", False)) and _processor_has_bf16()


def _processor_has_bf16() -> bool:
    import torch

    asked = ("_is_avx512_bf16_supported", "_is_amx_tile_supported")  # not part of torch's public interface
    return any(getattr(torch.cpu, name, bool)() for name in asked)


def stored_dtype(folder: Path) -> str:
    """The type that most values of a model's weights are stored in; float32 where they are pickled."""
    try:
        tensors = read_headers(folder)
    except HarnessError:
        return DTYPES[0]
    sizes: dict[str, int] = {}
    for stored in tensors.values():
        if stored.type in _FLOATS:
            sizes[stored.type] = sizes.get(stored.type, 0) + stored.values
    return _FLOATS[max(sizes, key=lambda name: sizes[name])] if sizes else DTYPES[0]


def lora(parameters: Mapping[str, Any]) -> LoRA | None:
    """The adapters that the parameters ask for; None where all weights are trained.

    Raises:
        HarnessError: unknown or impossible settings.
    """
    given = parameters.get("lora")
    if given is None or given is False:
        return None
    if given is True:
        return LoRA()
    if not isinstance(given, Mapping):
        raise HarnessError(f"lora is {given!r:.40}: it holds r, alpha, dropout and target_modules")
    names = ("r", "alpha", "dropout", "target_modules")
    for name in given:
        if name not in names:
            raise HarnessError(f"unknown parameter lora.{name!s:.60}: {closest(str(name), names)}")
    found = LoRA(**given)
    if type(found.r) is not int or not 0 < found.r <= 65536:
        raise HarnessError(f"lora.r is {found.r!r:.40}, not a whole number above 0")
    for name in ("alpha", "dropout"):
        value = getattr(found, name)
        if isinstance(value, bool) or not isinstance(value, int | float) or not value >= 0:
            raise HarnessError(f"lora.{name} is {value!r:.40}, not a number from 0 on")
    return found


def with_adapters(model: Any, parameters: Mapping[str, Any]) -> Any:
    """The model with adapters of peft around it, or as it is where the parameters have no `lora`."""
    settings = lora(parameters)
    if settings is None:
        return model
    try:
        import peft
        import torch
    except ModuleNotFoundError as error:
        raise HarnessError(f"lora needs {error.name}: pip install 'fathom-harness[train]'") from None
    torch.manual_seed(int(parameters.get("seed", 0)))  # adapters begin at random, the same in each process
    try:
        return peft.get_peft_model(
            model,
            peft.LoraConfig(
                task_type="CAUSAL_LM",
                r=settings.r,
                lora_alpha=settings.alpha,
                lora_dropout=settings.dropout,
                target_modules=settings.target_modules,
            ),
        )
    except (ValueError, TypeError) as error:
        raise HarnessError(f"lora does not fit this model: {one_line(error)}") from None
