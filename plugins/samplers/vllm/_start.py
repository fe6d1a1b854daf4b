"""Starts vLLM's engine and shuts it down. Imports vLLM when called, not before."""

from __future__ import annotations

import asyncio
import contextlib
import dataclasses
import gc
import logging
import os
import re
import secrets
import threading
import warnings
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

from harness import HarnessError, SamplingSettings, closest

from .._device import available_memory
from ._children import STREAM_NAME, Children
from ._engine import VLLMEngine
from ._options import EngineOptions

T = TypeVar("T")

_TEMPLATE_SLACK = 1024  # tokens that chat templates add: roles, dates, a default system message
_MEMORY_SHARE = 0.5  # of a processor's free memory, for the key-value cache
_KNOWN_ERRORS = (
    ArithmeticError,
    AssertionError,
    AttributeError,
    ImportError,
    LookupError,
    NotImplementedError,
    OSError,
    RuntimeError,
    TypeError,
    ValueError,
)

_HINTS = (
    ("out of memory", "lower --sampler-option gpu_memory or max_in_flight, or raise tensor_parallel"),
    ("OutOfMemory", "lower --sampler-option gpu_memory or max_in_flight, or raise tensor_parallel"),
    ("max seq len", "lower --max-tokens or --sampler-option context, or raise gpu_memory or tensor_parallel"),
    ("KV cache", "lower --max-tokens or --sampler-option context, or raise gpu_memory or tensor_parallel"),
    ("memory utilization", "lower --sampler-option gpu_memory"),
    ("torchvision", "pip uninstall -y torchvision torchaudio torchcodec"),
    ("trust_remote_code", "if you trust the model's authors, --sampler-option trust_remote_code=yes"),
)


class EngineThread:
    """The thread in which vLLM's event loop runs."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self.loop.set_exception_handler(lambda loop, context: None)  # told where the chain is waited for
        self._thread = threading.Thread(target=self.loop.run_forever, daemon=True, name="vllm-stream")
        self._thread.start()

    def call(self, coroutine: Coroutine[Any, Any, T], timeout: float | None = None) -> T:
        """Run something in the loop and wait for it."""
        return asyncio.run_coroutine_threadsafe(coroutine, self.loop).result(timeout)

    def close(self) -> None:
        async def finish() -> None:
            others = asyncio.all_tasks() - {asyncio.current_task()}
            for task in others:
                task.cancel()
            await asyncio.gather(*others, return_exceptions=True)

        with contextlib.suppress(TimeoutError):
            self.call(finish(), 10)
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join(10)
        if not self._thread.is_alive():
            self.loop.close()


@contextlib.contextmanager
def started(folder: Path, settings: SamplingSettings, options: EngineOptions) -> Iterator[VLLMEngine]:
    """A running engine; its processes are gone when this is left.

    Raises:
        HarnessError: vLLM cannot run this model here; with its own words and what to do about it.
    """
    debug = bool(os.environ.get("HARNESS_DEBUG"))
    children = Children(shown=debug)
    thread: EngineThread | None = None
    engine: VLLMEngine | None = None
    llm: Any = None
    failed = False
    with _environment(debug):
        try:
            try:
                llm, tokenizer, config = _start(folder, settings, options, children)
            except _KNOWN_ERRORS as error:
                failed = children.cause() is not None
                raise _failure(folder, error, children) from None
            children.started()
            thread = EngineThread()
            thread.call(llm.get_supported_tasks(), 60)  # vLLM asks for it with the first request, and waits
            engine = VLLMEngine(
                llm,
                thread.loop,
                tokenizer,
                settings,
                info=_info(config, options),
                seeded=options.seeds == "chain",
                death=children.death,
            )
            yield engine
        finally:
            if llm is not None:
                with contextlib.suppress(*_KNOWN_ERRORS):
                    llm.shutdown()
            if thread is not None:
                thread.close()
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", ResourceWarning)  # vLLM leaves its ZeroMQ context open
                if engine is not None:
                    engine.close()
                llm = None
                gc.collect()
            children.close(keep_log=failed or (engine is not None and engine.died))


def _start(
    folder: Path, settings: SamplingSettings, options: EngineOptions, children: Children
) -> tuple[Any, Any, Any]:
    """vLLM's engine, a tokenizer, and the engine's configuration."""
    children.capture()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # those of vLLM's own imports
        from vllm.v1.engine.async_llm import AsyncLLM

        config = _config(folder, settings, options)
        tokenizer = _tokenizer(folder, options)
        logging.getLogger("harness.vllm").warning(
            f"vLLM is starting with {folder.name}: half a minute for a small model, minutes for a big one"
        )
        with children.adopted():
            return AsyncLLM.from_vllm_config(config, disable_log_stats=True), tokenizer, config


def _config(folder: Path, settings: SamplingSettings, options: EngineOptions) -> Any:
    """vLLM's own configuration object."""
    from vllm import AsyncEngineArgs
    from vllm.platforms import current_platform
    from vllm.usage.usage_lib import UsageContext

    cpu = bool(current_platform.is_cpu())
    eager = cpu if options.enforce_eager is None else options.enforce_eager
    arguments: dict[str, Any] = {
        "model": str(folder),
        "tensor_parallel_size": options.tensor_parallel,
        "data_parallel_size": options.data_parallel,
        "dtype": options.dtype,
        "quantization": options.quantization,
        "kv_cache_dtype": options.kv_cache_dtype,
        "enable_prefix_caching": options.prefix_caching,
        "max_num_seqs": options.max_in_flight,
        "max_model_len": options.context,
        "enforce_eager": eager,
        "trust_remote_code": options.trust_remote_code,
        # Without seeds of their own chains must not repeat those of an earlier session of the run.
        "seed": 0 if options.seeds == "chain" else secrets.randbelow(2**31),
        "disable_log_stats": True,
    }
    if cpu and options.seeds == "chain":
        # A prompt read in parts has the token drawn after each part taken back, and its random stream with it: on
        # processors that kills vLLM ("CPU Generator does not use offset").
        arguments["enable_chunked_prefill"] = False
    if options.gpu_memory is not None:
        arguments["gpu_memory_utilization"] = options.gpu_memory
    known = {field.name for field in dataclasses.fields(AsyncEngineArgs)}
    for name in options.engine_args:
        if name not in known:
            raise HarnessError(f"vLLM's engine has no argument {name!r}: {closest(name, known)}")
    arguments |= options.engine_args
    args = AsyncEngineArgs(**arguments)
    if args.max_model_len is None and settings.longest_prompt:
        own = int(args.create_model_config().max_model_len)
        args.max_model_len = min(own, settings.max_tokens + settings.longest_prompt + _TEMPLATE_SLACK)
    # The defaults for a batch job: more tokens a step than for a server that must answer soon.
    config = args.create_engine_config(UsageContext.LLM_CLASS)
    if cpu and config.cache_config.kv_cache_memory_bytes is None and options.gpu_memory is None:
        config.cache_config.kv_cache_memory_bytes = _cache_bytes(config, folder)
    return config


def _cache_bytes(config: Any, folder: Path) -> int:
    """Key-value cache on a processor: all chains at full length, or half of the memory that the weights leave free.
    Left alone, vLLM takes nine tenths of the machine's memory."""
    model, parallel = config.model_config, config.parallel_config
    size = 4 if "float32" in str(model.dtype) else 2
    heads = model.get_num_kv_heads(parallel) * model.get_head_size()
    token = 2 * model.get_num_layers(parallel) * heads * size
    block = config.cache_config.block_size or 128
    blocks = -(-model.max_model_len // block) + 1
    wanted = (config.scheduler_config.max_num_seqs + 1) * blocks * block * token
    copies = parallel.data_parallel_size * parallel.tensor_parallel_size
    weights = sum(file.stat().st_size for file in folder.glob("*.safetensors"))
    free = (available_memory() - 2 * weights) * _MEMORY_SHARE / copies
    return int(max(2 * blocks * block * token, min(wanted, free)))


def _tokenizer(folder: Path, options: EngineOptions) -> Any:
    """A tokenizer of our own: vLLM uses its one in another thread."""
    from transformers import AutoTokenizer

    return AutoTokenizer.from_pretrained(
        str(folder), local_files_only=True, trust_remote_code=options.trust_remote_code
    )


def _info(config: Any, options: EngineOptions) -> dict[str, Any]:
    import torch
    import vllm
    from vllm.platforms import current_platform

    model, parallel = config.model_config, config.parallel_config
    copies = parallel.data_parallel_size
    return {
        "engine": "vllm",
        "version": str(vllm.__version__),
        "torch": str(torch.__version__),
        "device": str(current_platform.get_device_name()),
        "devices": parallel.world_size * copies,
        "tensor_parallel": parallel.tensor_parallel_size,
        "data_parallel": copies,
        "precision": str(model.dtype).removeprefix("torch."),
        "quantization": model.quantization,
        "kv_cache_precision": str(config.cache_config.cache_dtype),
        "context": int(model.max_model_len),
        "max_in_flight": config.scheduler_config.max_num_seqs * copies,
        "prefix_caching": bool(config.cache_config.enable_prefix_caching),
        "seeds": options.seeds,
        "batch_invariant": os.environ.get("VLLM_BATCH_INVARIANT") == "1",
    }


@contextlib.contextmanager
def _environment(debug: bool) -> Iterator[None]:
    """vLLM's settings that are environment variables, while it runs; those that the user has set stay."""
    wanted = {
        "VLLM_LOGGING_STREAM": "ext://sys.stderr"
        if debug
        else STREAM_NAME,  # left alone, it is standard output
        "VLLM_LOGGING_LEVEL": "INFO",
        "VLLM_NO_USAGE_STATS": "1",
        # Forked, the engine would inherit our open files, the run folder's lock among them, and outlive us with it.
        "VLLM_WORKER_MULTIPROC_METHOD": "spawn",
        "VLLM_CPU_NUM_OF_RESERVED_CPU": "0",
        "TOKENIZERS_PARALLELISM": "false",
    }
    added = {name: value for name, value in wanted.items() if name not in os.environ}
    os.environ.update(added)
    try:
        yield
    finally:
        for name in added:
            os.environ.pop(name, None)


def _failure(folder: Path, error: BaseException, children: Children) -> HarnessError:
    if isinstance(error, HarnessError):
        return error
    cause = children.cause() or one_line(error)
    hint = next((f"; {hint}" for word, hint in _HINTS if word in cause), "")
    more = f" (vLLM's log: {children.log})" if children.log is not None and children.cause() else ""
    return HarnessError(f"vLLM cannot start with {folder}: {cause[:400]}{hint}{more}")


def one_line(error: BaseException) -> str:
    """The telling part of an exception: pydantic's come with a page of input and a link."""
    text = " ".join(str(error).split())
    if found := re.search(r"(?:Value error|Assertion failed), (.*?)(?: \[type=|$)", text):
        text = found[1]
    return text[:400] or type(error).__name__
