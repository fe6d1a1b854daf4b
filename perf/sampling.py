"""Tokens per second of our samplers and of what others do with the same engines, each in a process of its own.

    python perf/sampling.py                                    # CPU: 8 problems x 64 chains, 256 tokens at most
    python perf/sampling.py --openvino-python VENV/bin/python  # where openvino-genai is in another environment
    python perf/sampling.py --device cuda --random-qwen2 1.5b --problems 1 --max-tokens 2048

Run it with a Python that has the harness, torch, transformers, gguf and lm-eval. See perf/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meter import processor
from sampling_common import SIZES, TEMPERATURE, TOP_P, random_qwen2, requests, safetensors_of, weights

NAMES = {
    "openvino": "openvino-genai, its batching scheduler",
    "ours-openvino": "our openvino sampler",
    "lm-eval": "lm-eval, hf model, batches of 64",
    "generate": "transformers, generate(num_return_sequences)",
    "generate-batch": "transformers, generate_batch",
    "ours-transformers": "our transformers sampler",
}
USUAL = ("openvino", "ours-openvino", "lm-eval", "generate", "ours-transformers")

TARGETS = (
    ("ours-openvino", "lm-eval", 3.0),
    ("ours-openvino", "openvino", 0.95),
    ("ours-transformers", "generate", 1.2),
)


class ChildFailed(Exception):
    """A contender did not give its chains."""


@dataclass(frozen=True, slots=True)
class Measured:
    load: float
    seconds: float
    cpu: float
    texts: list[str]
    own_count: int | None
    about: str
    busy: float
    """Load average when it began."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--model", default="smollm2-135m", help="a known model with a GGUF file")
    parser.add_argument("--problems", type=int, default=8)
    parser.add_argument("--chains", type=int, default=64, help="of each problem")
    parser.add_argument("--max-tokens", type=int, default=256)
    parser.add_argument("--threads", type=int, default=os.cpu_count(), help="of every engine")
    parser.add_argument("--device", default="cpu", help="of torch: cpu or cuda")
    parser.add_argument("--dtype", help="of torch (default: float32 on a processor, else bfloat16)")
    parser.add_argument("--in-flight", type=int, default=0, help="chains at once in our transformers sampler")
    parser.add_argument("--random-qwen2", choices=SIZES, help="random weights instead of --model")
    parser.add_argument("--only", default="", help=f"contenders, of {', '.join(NAMES)}")
    parser.add_argument("--openvino-python", default=sys.executable, help="a Python with openvino-genai")
    parser.add_argument("--timeout", type=float, default=3600, help="seconds for each contender")
    options = parser.parse_args()
    options.dtype = options.dtype or ("float32" if options.device == "cpu" else "bfloat16")
    names = _contenders(options, parser)
    wanted = requests(options.problems, options.chains)
    problems: dict[str, dict[str, Any]] = {}
    for request in wanted:
        messages = [{"role": m.role, "content": m.content} for m in request.prompt.messages]
        id_ = request.key.problem_id
        problem = problems.setdefault(id_, {"id": id_, "messages": messages, "seeds": []})
        problem["seeds"].append(request.seed)
    with tempfile.TemporaryDirectory(prefix="sampling-") as scratch:
        gguf: Path | None = None
        if options.random_qwen2:
            folder = random_qwen2(options.random_qwen2, Path(scratch, "model"))
        else:
            _, gguf = weights(options.model)
            folder = safetensors_of(gguf)
        job = {
            "folder": str(folder),
            "gguf": str(gguf),
            "problems": list(problems.values()),
            "temperature": TEMPERATURE,
            "top_p": TOP_P,
            "max_tokens": options.max_tokens,
            "threads": options.threads,
            "device": options.device,
            "dtype": options.dtype,
            "in_flight": options.in_flight,
        }
        done: dict[str, Measured] = {}
        failed: list[str] = []
        for name in names:
            python = options.openvino_python if "openvino" in name else sys.executable
            try:
                done[name] = _measure(name, python, job, Path(scratch), options.timeout)
            except (ChildFailed, subprocess.TimeoutExpired) as error:
                failed.append(f"{NAMES[name]}: {error}")
                print(f"sampling: {failed[-1]}", file=sys.stderr, flush=True)
            else:
                print(f"{name}: {done[name].seconds:.1f} s", file=sys.stderr, flush=True)
        texts = {name: measured.texts for name, measured in done.items()}
        counts = _child(sys.executable, {**job, "contender": "count", "texts": texts}, Path(scratch), 600)
    # Random weights write tokens that are no text: there the engines' own counts have to do.
    tokens = (
        {name: measured.own_count or 0 for name, measured in done.items()}
        if options.random_qwen2
        else counts["counts"]
    )
    if any(len(measured.texts) != len(wanted) for measured in done.values()):
        print("sampling: a contender did not give all chains", file=sys.stderr)
        return 1
    print(_report(done, tokens, options, len(wanted)))
    print("".join(f"\nNot measured: {why}" for why in failed))
    return 1 if failed else 0


def _contenders(options: argparse.Namespace, parser: argparse.ArgumentParser) -> Sequence[str]:
    if options.only:
        names = [name.strip() for name in options.only.split(",")]
        if unknown := set(names) - NAMES.keys():
            parser.error(f"--only: {', '.join(sorted(unknown))} is not one of {', '.join(NAMES)}")
        return names
    if options.random_qwen2 or options.device != "cpu":
        return ("generate", "ours-transformers")
    return USUAL


def _measure(name: str, python: str, job: Mapping[str, Any], scratch: Path, timeout: float) -> Measured:
    busy = os.getloadavg()[0]
    found = _child(python, {**job, "contender": name}, scratch, timeout)
    return Measured(
        found["load"], found["seconds"], found["cpu"], found["texts"], found["tokens"], found["about"], busy
    )


def _child(python: str, job: Mapping[str, Any], scratch: Path, timeout: float) -> dict[str, Any]:
    out = scratch / "result.json"
    out.unlink(missing_ok=True)
    child = Path(__file__).with_name("sampling_child.py")
    threads = {"OMP_NUM_THREADS": str(job["threads"])} if job["threads"] else {}
    environment = {**os.environ, **threads, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
    done = subprocess.run(
        [python, child],
        input=json.dumps({**job, "out": str(out)}).encode(),
        stdout=sys.stderr,
        env=environment,
        cwd=scratch,
        timeout=timeout,
    )
    if done.returncode or not out.exists():
        raise ChildFailed(f"it ended with exit code {done.returncode}")
    result: dict[str, Any] = json.loads(out.read_text(encoding="utf-8"))
    return result


def _report(
    done: Mapping[str, Measured], tokens: Mapping[str, int], options: argparse.Namespace, chains: int
) -> str:
    lines = [
        "| contender | tokens | tok/s | tok per CPU s | s | load s | load average before |",
        "|---|---:|---:|---:|---:|---:|---:|",
    ]
    for name, measured in done.items():
        speed, thrift = tokens[name] / measured.seconds, tokens[name] / max(measured.cpu, 1e-9)
        lines.append(
            f"| {NAMES[name]} ({measured.about}) | {tokens[name]:,} | {speed:.1f} | {thrift:.1f} | "
            f"{measured.seconds:.1f} | {measured.load:.1f} | {measured.busy:.2f} |"
        )
    lines.append("")
    for ours, theirs, target in TARGETS:
        if ours in done and theirs in done:
            ratio = tokens[ours] / done[ours].seconds / (tokens[theirs] / done[theirs].seconds)
            verdict = "met" if ratio >= target else "MISSED"
            lines.append(f"- {NAMES[ours]} / {NAMES[theirs]}: {ratio:.2f}, target {target:g}: {verdict}")
    model = f"random Qwen2 {options.random_qwen2}" if options.random_qwen2 else options.model
    lines += [
        "",
        f"{model}, {options.problems} problems x {options.chains} chains ({chains:,}), at most {options.max_tokens:,} "
        f"tokens, temperature {TEMPERATURE:g}, top_p {TOP_P:g}; {processor()}, {options.threads} threads, "
        f"torch on {options.device}.",
    ]
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
