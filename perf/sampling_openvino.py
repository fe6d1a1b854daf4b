"""Our openvino sampler against raw openvino-genai with its batching scheduler, in this process, on the same requests.

    python perf/sampling_openvino.py                        # smollm2-135m, 8 problems, 64 chains each
    python perf/sampling_openvino.py --model DIR --rounds 5 # a checkpoint, a .gguf file or a known model

Run it with a Python that has the harness with its cpu extra.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meter import processor
from sampling_common import TEMPERATURE, TOP_P, requests

from harness import Engine, Request, SamplingSettings
from harness.models import resolve_model
from harness.plugins import load_plugins

TARGET = 0.95
BUDGET = 256
CACHE_GB = 3
IN_FLIGHT = 256
BATCHED_TOKENS = 2048


@dataclass(frozen=True, slots=True)
class Outcome:
    """What one side made of all requests."""

    seconds: float
    cpu: float
    """Seconds of processor time, of all threads."""
    chains: int
    tokens: int
    distinct: int

    @property
    def speed(self) -> float:
        """Generated tokens per second, end tokens included."""
        return self.tokens / self.seconds

    @property
    def thrift(self) -> float:
        """Generated tokens per second of processor time, which other work on the machine disturbs less."""
        return self.tokens / self.cpu


class Clock:
    def __init__(self) -> None:
        self._wall, self._cpu = time.perf_counter(), time.process_time()

    def read(self) -> tuple[float, float]:
        return time.perf_counter() - self._wall, time.process_time() - self._cpu


class Raw:
    """openvino-genai as a script would use it: everything handed to `generate` at once."""

    name = "openvino-genai, generate"

    def __init__(self, engine: Any, weights: Path) -> None:
        import openvino_genai as genai

        scheduler = genai.SchedulerConfig()
        scheduler.cache_size = CACHE_GB
        scheduler.max_num_seqs = IN_FLIGHT
        scheduler.max_num_batched_tokens = BATCHED_TOKENS
        scheduler.enable_prefix_caching = True
        from harness_plugins.samplers.openvino._tokenizer import placeholder_tokenizer

        tokenizer = placeholder_tokenizer()  # tokens in, tokens out: text costs this side nothing
        self._pipeline = genai.ContinuousBatchingPipeline(str(weights), tokenizer, scheduler, "CPU")
        self._codec = engine._codec

    def run(self, wanted: Sequence[Request]) -> Outcome:
        import numpy as np
        import openvino
        import openvino_genai as genai

        clock = Clock()
        inputs, configs = [], []
        for request in wanted:
            inputs.append(openvino.Tensor(np.array([self._codec.encode(request.prompt)], np.int64)))
            config = genai.GenerationConfig()
            config.max_new_tokens, config.rng_seed = BUDGET, request.seed
            config.do_sample, config.temperature, config.top_p = True, TEMPERATURE, TOP_P
            config.eos_token_id = min(self._codec.end_ids)
            config.stop_token_ids = set(self._codec.end_ids)
            configs.append(config)
        outputs = [result.m_generation_ids[0] for result in self._pipeline.generate(inputs, configs)]
        texts = [self._codec.decode(ids) for ids in outputs]
        return Outcome(*clock.read(), len(outputs), sum(map(len, outputs)), len(set(texts)))


class Ours:
    name = "our openvino sampler"

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    def run(self, wanted: Sequence[Request]) -> Outcome:
        clock = Clock()
        chains = list(self._engine.sample(iter(wanted)))
        seconds, cpu = clock.read()
        tokens = sum(chain.completion_tokens or 0 for chain in chains)
        return Outcome(seconds, cpu, len(chains), tokens, len({chain.text for chain in chains}))


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m", help="a folder, a .gguf file or a known model")
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--chains", type=int, default=64, help="of each problem")
    parser.add_argument("--rounds", type=int, default=3, help="of both sides, in turns")
    arguments = parser.parse_args()

    plugins = load_plugins()
    model = resolve_model(arguments.model, plugins.models.values())
    wanted = requests(arguments.problems, arguments.chains)
    longest = max(request.prompt.size for request in wanted)
    settings = SamplingSettings(TEMPERATURE, TOP_P, BUDGET, longest_prompt=longest)
    options = {"cache_gb": str(CACHE_GB), "max_in_flight": str(IN_FLIGHT)}
    sampler: Any = plugins.sampler("openvino")
    with sampler.open(model, settings, options) as engine:
        from harness_plugins.samplers.openvino import _weights

        sides = (Raw(engine, _weights(model, "auto")[0]), Ours(engine))
        warm = wanted[:: max(1, len(wanted) // 16)]
        for side in sides:
            side.run(warm)
        return _compare(sides, wanted, arguments.rounds, f"{model.name}, {engine.info['precision']}")


def _compare(sides: tuple[Raw, Ours], wanted: Sequence[Request], rounds: int, about: str) -> int:
    print("| round | side | tokens | tok/s | tok per CPU s | s | load average before |")
    print("|---:|---|---:|---:|---:|---:|---:|")
    done: dict[str, list[Outcome]] = {side.name: [] for side in sides}
    for number in range(1, rounds + 1):
        for side in sides if number % 2 else sides[::-1]:
            busy = os.getloadavg()[0]
            outcome = side.run(wanted)
            if outcome.chains != len(wanted) or outcome.distinct < 2:
                print(f"{side.name} gave {outcome.chains} chains of {len(wanted)}", file=sys.stderr)
                return 1
            done[side.name].append(outcome)
            print(
                f"| {number} | {side.name} | {outcome.tokens:,} | {outcome.speed:.0f} | {outcome.thrift:.0f} | "
                f"{outcome.seconds:.1f} | {busy:.2f} |",
                flush=True,
            )
    raw, ours = (done[side.name] for side in sides)
    ratios = [ours.speed / raw.speed for raw, ours in zip(raw, ours, strict=True)]
    thrift = statistics.median(ours.thrift / raw.thrift for raw, ours in zip(raw, ours, strict=True))
    ratio = statistics.median(ratios)
    print(
        f"\ntokens/s, ours / raw: median {ratio:.3f} of {rounds} rounds ({min(ratios):.3f} to {max(ratios):.3f}), "
        f"per CPU second {thrift:.3f}; target {TARGET}: {'met' if ratio >= TARGET else 'MISSED'}"
    )
    print(f"{about}; {len(wanted):,} chains, at most {BUDGET} tokens; {processor()}, {os.cpu_count()} cores")
    return 0


if __name__ == "__main__":
    sys.exit(main())
