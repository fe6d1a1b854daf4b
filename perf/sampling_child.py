"""One contender of sampling.py in a process of its own: reads the job from standard input, writes what came out.

Only the sampling is timed; loading the model is reported apart.
"""

from __future__ import annotations

import json
import os
import sys
import time
from collections.abc import Callable, Iterable
from contextlib import contextmanager
from pathlib import Path
from typing import Any


class Clock:
    """Wall and CPU seconds since it was made."""

    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), self._processor()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, self._processor() - self._cpu

    @staticmethod
    def _processor() -> float:
        times = os.times()
        return times.user + times.system


class Result:
    """What a contender made of the job."""

    def __init__(self) -> None:
        self.load = 0.0
        self.seconds = self.cpu = 0.0
        self.texts: list[str] = []
        self.tokens: int | None = 0
        """As the engine itself counts them, the end token included; None where it does not."""
        self.about = ""

    @contextmanager
    def timed(self) -> Any:
        clock = Clock()
        yield
        self.seconds, self.cpu = clock.read()


def main() -> None:
    job = json.load(sys.stdin)
    result = CONTENDERS[job["contender"]](job)
    Path(job["out"]).write_text(json.dumps(vars(result)), encoding="utf-8")


# -- ours --------------------------------------------------------------------------------------------


def ours(sampler: str) -> Callable[[dict[str, Any]], Result]:
    def run(job: dict[str, Any]) -> Result:
        from harness import ChainKey, Message, Prompt, Request, SamplingSettings
        from harness.models import resolve_model
        from harness.plugins import load_plugins

        result = Result()
        wanted = []
        for problem in job["problems"]:
            prompt = Prompt(tuple(Message(**message) for message in problem["messages"]))
            for index, seed in enumerate(problem["seeds"]):
                wanted.append(Request(ChainKey("perf", problem["id"], index), prompt, seed))
        longest = max(request.prompt.size for request in wanted)
        settings = SamplingSettings(
            job["temperature"], job["top_p"], job["max_tokens"], longest_prompt=longest
        )
        options = {}
        if sampler == "transformers":
            _torch(job)
            options = {"device": job["device"], "dtype": job["dtype"]}
            if job["in_flight"]:
                options["max_in_flight"] = str(job["in_flight"])
        elif job["threads"]:
            options = {"threads": str(job["threads"])}
        model = resolve_model(job["gguf"] if sampler == "openvino" else job["folder"], [])
        clock = Clock()
        with load_plugins().sampler(sampler).open(model, settings, options) as engine:
            result.load = clock.read()[0]
            with result.timed():
                chains = list(engine.sample(iter(wanted)))
            info = engine.info
            result.about = f"{info['engine']} {info['version']}, {info['precision']}"
        assert len({chain.key for chain in chains}) == len(wanted)
        result.texts = [chain.text for chain in chains]
        result.tokens = sum(chain.completion_tokens or 0 for chain in chains)
        return result

    return run


# -- transformers ------------------------------------------------------------------------------------


def generate(job: dict[str, Any]) -> Result:
    """A problem at a time, all its chains in one batch, as scripts do."""
    torch = _torch(job)
    import transformers

    result, clock = Result(), Clock()
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["folder"])
    model = transformers.AutoModelForCausalLM.from_pretrained(job["folder"], dtype=_dtype(job))
    model = model.to(job["device"]).eval()
    end = tokenizer.eos_token_id
    result.load = clock.read()[0]
    outputs = []
    with result.timed():
        for problem in job["problems"]:
            ids = tokenizer.apply_chat_template(
                problem["messages"], add_generation_prompt=True, return_tensors="pt", return_dict=True
            ).to(job["device"])
            out = model.generate(
                **ids,
                do_sample=True,
                temperature=job["temperature"],
                top_p=job["top_p"],
                top_k=0,
                max_new_tokens=job["max_tokens"],
                num_return_sequences=len(problem["seeds"]),
                pad_token_id=tokenizer.pad_token_id,
            )
            outputs.append(out[:, ids["input_ids"].shape[1] :].tolist())
        ids_of = [_until(row, end) for rows in outputs for row in rows]
        result.texts = [tokenizer.decode(row, skip_special_tokens=True) for row in ids_of]
    result.tokens = sum(map(len, ids_of))
    result.about = f"transformers {transformers.__version__}, torch {torch.__version__}, {job['dtype']}"
    return result


def _until(row: list[int], end: int) -> list[int]:
    return row[: row.index(end) + 1] if end in row else row


def lm_eval(job: dict[str, Any]) -> Result:
    """lm-eval's hf model, batches of 64."""
    _torch(job)
    import importlib.metadata

    from lm_eval.api.instance import Instance
    from lm_eval.models.huggingface import HFLM

    result, clock = Result(), Clock()
    model = HFLM(pretrained=job["folder"], device=job["device"], dtype=job["dtype"], batch_size=64)
    result.load = clock.read()[0]
    settings = {
        "until": [],
        "do_sample": True,
        "temperature": job["temperature"],
        "top_p": job["top_p"],
        "top_k": 0,
        "max_gen_toks": job["max_tokens"],
    }
    instances = []
    for problem in job["problems"]:
        text = model.apply_chat_template(problem["messages"], add_generation_prompt=True)
        for number in range(len(problem["seeds"])):
            instances.append(Instance("generate_until", {}, (text, dict(settings)), number))
    with result.timed():
        result.texts = model.generate_until(instances, disable_tqdm=True)
    result.tokens = None
    result.about = f"lm-eval {importlib.metadata.version('lm-eval')}, {job['dtype']}"
    return result


def generate_batch(job: dict[str, Any]) -> Result:
    """The library's own continuous batching."""
    torch = _torch(job)
    import transformers
    from transformers import GenerationConfig
    from transformers.generation.configuration_utils import ContinuousBatchingConfig

    result, clock = Result(), Clock()
    tokenizer = transformers.AutoTokenizer.from_pretrained(job["folder"])
    model = transformers.AutoModelForCausalLM.from_pretrained(job["folder"], dtype=_dtype(job))
    model = model.to(job["device"]).eval()
    result.load = clock.read()[0]
    # On a processor it would take nearly all of the machine's memory for its cache, and be killed for it.
    memory = None if job["device"] != "cpu" else 0.2
    config = GenerationConfig(
        do_sample=True,
        temperature=job["temperature"],
        top_p=job["top_p"],
        top_k=0,
        max_new_tokens=job["max_tokens"],
        eos_token_id=tokenizer.eos_token_id,
        pad_token_id=tokenizer.pad_token_id,
    )
    with result.timed():
        inputs = []
        for problem in job["problems"]:
            ids = tokenizer.apply_chat_template(
                problem["messages"], add_generation_prompt=True, return_dict=True
            )["input_ids"]
            inputs += [ids] * len(problem["seeds"])
        outputs = model.generate_batch(
            inputs,
            generation_config=config,
            continuous_batching_config=ContinuousBatchingConfig(max_memory_percent=memory),
        )
        rows = [list(output.generated_tokens) for output in outputs.values()]
        result.texts = [tokenizer.decode(row, skip_special_tokens=True) for row in rows]
    if len(rows) != len(inputs):
        raise SystemExit(f"generate_batch gave {len(rows)} of {len(inputs)} chains")
    result.tokens = sum(map(len, rows))
    result.about = f"transformers {transformers.__version__}, torch {torch.__version__}, {job['dtype']}"
    return result


def _torch(job: dict[str, Any]) -> Any:
    import torch
    import transformers

    transformers.utils.logging.disable_progress_bar()
    if job["threads"]:
        torch.set_num_threads(job["threads"])
    return torch


def _dtype(job: dict[str, Any]) -> Any:
    import torch

    return getattr(torch, job["dtype"])


# -- openvino ----------------------------------------------------------------------------------------


def raw_openvino(job: dict[str, Any]) -> Result:
    """openvino-genai's batching scheduler, all requests handed over at once."""
    import importlib.metadata

    import openvino_genai as genai

    result, clock = Result(), Clock()
    scheduler = genai.SchedulerConfig()
    scheduler.max_num_seqs = 256
    scheduler.cache_size = 4
    scheduler.max_num_batched_tokens = 2048
    scheduler.enable_prefix_caching = True
    properties = {"INFERENCE_NUM_THREADS": job["threads"]} if job["threads"] else {}
    pipeline = genai.ContinuousBatchingPipeline(job["gguf"], scheduler, "CPU", properties)
    result.load = clock.read()[0]
    tokenizer = pipeline.get_tokenizer()
    with result.timed():
        prompts, configs = [], []
        for problem in job["problems"]:
            text = tokenizer.apply_chat_template(problem["messages"], True)
            for seed in problem["seeds"]:
                config = genai.GenerationConfig()
                config.max_new_tokens = job["max_tokens"]
                config.do_sample, config.rng_seed = True, seed
                config.temperature, config.top_p = job["temperature"], job["top_p"]
                config.apply_chat_template = False
                config.stop_token_ids = {tokenizer.get_eos_token_id()}
                prompts.append(text)
                configs.append(config)
        result.texts = [output.m_generation_ids[0] for output in pipeline.generate(prompts, configs)]
    result.tokens = None
    result.about = f"openvino-genai {importlib.metadata.version('openvino-genai')}"
    return result


# -- after all ---------------------------------------------------------------------------------------


def count(job: dict[str, Any]) -> Any:
    """Tokens of each contender's texts by one tokenizer, the end token not counted."""
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(job["folder"])

    def tokens(texts: Iterable[str]) -> int:
        ids = tokenizer(list(texts), add_special_tokens=False)["input_ids"]
        return sum(map(len, ids))

    class Counted:
        def __init__(self) -> None:
            self.counts = {name: tokens(texts) for name, texts in job["texts"].items()}

    return Counted()


CONTENDERS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "ours-transformers": ours("transformers"),
    "generate": generate,
    "generate-batch": generate_batch,
    "lm-eval": lm_eval,
    "ours-openvino": ours("openvino"),
    "openvino": raw_openvino,
    "count": count,
}

if __name__ == "__main__":
    main()
