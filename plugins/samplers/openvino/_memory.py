"""How much key-value cache a model needs, and how much there is room for."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from harness import HarnessError, SamplingSettings

from .._device import available_memory
from ..weights._gguf import read_header
from ._admission import BLOCK

_USUAL_PROMPT = 512  # tokens, where nothing is known of the prompts
_TEMPLATE = 256  # tokens that a chat template adds to a prompt, generously
_MEMORY_SHARE = 0.5  # of the memory that is free once the weights are in: others live on this machine too

# What reading the weights takes at most, in times the size of their files (measured). A GGUF is there packed, unpacked
# and laid out for the processor; in full precision bf16 weights become twice as large beside their file.
_READING = 3


@dataclass(frozen=True, slots=True)
class CacheShape:
    """What of a model decides the size of its key-value cache, and the longest sequence it takes."""

    layers: int
    kv_heads: int
    head_size: int
    context: int

    def block_bytes(self, precision: str) -> int:
        """Bytes of one cache block of `BLOCK` tokens, keys and values together.

        At 8 bits there is a scale and a zero point besides (float32 each): for every token of a head's values,
        and for every channel of a head's keys in a block. The engine's own metrics agree to the byte.
        """
        if precision == "f32":
            head = 2 * self.head_size * 4 * BLOCK
        else:
            head = (self.head_size + 8) * BLOCK + self.head_size * (BLOCK + 8)
        return self.layers * self.kv_heads * head


def cache_shape(path: Path) -> CacheShape:
    """The shape of the model in a GGUF file or a folder of OpenVINO IR.

    Raises:
        HarnessError: the file or its config.json does not say it.
    """
    if path.is_file():
        header = read_header(path)
        heads, width = header.number("attention.head_count"), header.number("embedding_length")
        found = {
            "layers": header.number("block_count"),
            "kv_heads": header.number("attention.head_count_kv") or heads,
            "head_size": header.number("attention.key_length")
            or (width // heads if width and heads else None),
            "context": header.number("context_length"),
        }
    else:
        try:
            config = json.loads((path / "config.json").read_bytes())
            heads = config["num_attention_heads"]
            found = {
                "layers": config["num_hidden_layers"],
                "kv_heads": config.get("num_key_value_heads") or heads,
                "head_size": config.get("head_dim") or config["hidden_size"] // heads,
                "context": config["max_position_embeddings"],
            }
        except (OSError, ValueError, KeyError, TypeError, ZeroDivisionError):
            raise HarnessError(f"{path}: config.json does not say the model's shape") from None
    numbers = {name: value for name, value in found.items() if isinstance(value, int) and value > 0}
    if missing := found.keys() - numbers:
        raise HarnessError(f"{path}: it does not say the model's {', '.join(sorted(missing))}")
    return CacheShape(**numbers)


def cache_blocks(
    shape: CacheShape,
    settings: SamplingSettings,
    max_in_flight: int,
    cache_gb: float | None,
    precision: str,
    path: Path,
) -> int:
    """Blocks of key-value cache: enough for all chains in flight at full length, or what memory allows.

    Args:
        path: the weights, not yet read.

    Raises:
        HarnessError: not even one chain of the wanted length fits.
    """
    block_bytes = shape.block_bytes(precision)
    free = (available_memory() - _READING * _size(path)) * _MEMORY_SHARE
    most = cache_gb * 1e9 if cache_gb is not None else free
    # A prompt has at most as many tokens as bytes and usually a quarter: enough is reckoned with the bound, and
    # only what cannot do even with a short prompt is refused here.
    bound = settings.longest_prompt + _TEMPLATE if settings.longest_prompt else _USUAL_PROMPT
    longest = min(settings.max_tokens + bound, shape.context)
    least = min(settings.max_tokens + min(bound, _USUAL_PROMPT), shape.context)
    blocks = min(max_in_flight * _blocks(longest), int(most // block_bytes))
    if blocks < _blocks(least):
        needed = _blocks(least) * block_bytes / 1e9
        room = (
            f"cache_gb={cache_gb:g}"
            if cache_gb is not None
            else f"{max(free, 0) / 1e9:.1f} GB of memory to use"
        )
        raise HarnessError(
            f"a chain of {least:,} tokens needs {needed:.2f} GB of cache and there is {room}: lower --max-tokens"
            + (" or raise cache_gb" if cache_gb is not None else ", use a smaller model or a larger machine")
        )
    return blocks


def _blocks(tokens: int) -> int:
    return -(-tokens // BLOCK) + 2


def _size(path: Path) -> int:
    files = [path] if path.is_file() else path.glob("*.bin")
    return sum(file.stat().st_size for file in files)
