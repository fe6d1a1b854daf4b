"""A GGUF file as a folder of safetensors: `python -m harness_trainers.runner.dequantise FILE OUT`."""

from __future__ import annotations

import copy
import os
import shutil
import sys
from pathlib import Path
from typing import Any, Final

from harness import HarnessError
from harness.errors import one_line
from harness.models import folder_problem

NEEDED: Final = "converting a GGUF file needs {}: pip install 'fathom-harness[train]' gguf"


def dequantise(file: Path, out: Path) -> None:
    """Write the weights of a GGUF file as bfloat16, with config and tokenizer; the folder appears whole, by rename.

    Raises:
        HarnessError: transformers cannot read the file, or there is no room.
    """
    try:
        import gguf  # noqa: F401
        import torch
        import transformers
    except ModuleNotFoundError as error:
        raise HarnessError(NEEDED.format(error.name)) from None
    transformers.utils.logging.set_verbosity_error()
    transformers.utils.logging.disable_progress_bar()
    options: dict[str, Any] = {"gguf_file": file.name, "local_files_only": True, "trust_remote_code": False}
    making = out.with_name(f".saving-{out.name}")
    try:
        tokenizer = transformers.AutoTokenizer.from_pretrained(str(file.parent), **options)
        model = transformers.AutoModelForCausalLM.from_pretrained(
            str(file.parent), dtype=torch.float32, use_safetensors=True, **options
        )
        plain = _plain(model, tokenizer).to(torch.bfloat16)
        shutil.rmtree(making, ignore_errors=True)
        plain.save_pretrained(making)
        tokenizer.save_pretrained(making)
        if (problem := folder_problem(making)) is not None:
            raise HarnessError(f"what came of {file} is no whole model: {problem}")
        for part in making.iterdir():
            with part.open("rb") as stream:
                os.fsync(stream.fileno())
        making.rename(out)
    except (OSError, ValueError, KeyError, ImportError, RuntimeError) as error:
        raise HarnessError(f"transformers cannot convert {file}: {one_line(error)}") from None
    finally:
        shutil.rmtree(making, ignore_errors=True)


def _plain(model: Any, tokenizer: Any) -> Any:
    """The same weights in a model that knows nothing of GGUF: the one that read it refuses to be saved."""
    from transformers import GenerationConfig

    config = copy.deepcopy(model.config)
    if hasattr(config, "quantization_config"):
        del config.quantization_config
    config._name_or_path = ""
    config.architectures = [type(model).__name__]
    if config.pad_token_id is None:
        config.pad_token_id = tokenizer.pad_token_id
    plain = type(model)._from_config(config, dtype=model.dtype)
    plain.load_state_dict(model.state_dict())
    plain.tie_weights()
    plain.generation_config = GenerationConfig(
        bos_token_id=config.bos_token_id,
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    return plain


def main() -> int:
    try:
        dequantise(Path(sys.argv[1]), Path(sys.argv[2]))
    except HarnessError as error:
        print(f"harness: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
