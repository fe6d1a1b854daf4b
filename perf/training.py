"""What a step of training costs on a processor: our `sft` and `grpo` beside TRL's trainers alone.

    python perf/training.py [--steps 40] [--grpo-steps 4] [--repeats 3] [--threads 2]

Prints a markdown table. A random Qwen2 of a million weights that has had a short pre-training, problems of `fresh`
level 1, float32. Each side runs in a process of its own, in turns; the first steps, in which memory is laid out, are
not counted. What both sides did is compared before their times are: see perf/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from meter import processor

SHAPE = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4}
SHAPE |= {"num_key_value_heads": 2, "max_position_embeddings": 512, "vocab_size": 1024}
PRETRAINING: dict[str, Any] = {"learning_rate": 2e-3, "per_device_train_batch_size": 16, "max_steps": 100}
"""So much that chains come to their ends at lengths of their own, as those of any model that is worth training do."""
COMMON: dict[str, Any] = {
    "learning_rate": 1e-4,
    "seed": 7,
    "save_strategy": "no",
    "activation_checkpointing": False,
}
SFT = COMMON | {
    "max_length": 512,
    "per_device_train_batch_size": 8,
    "train_sampling_strategy": "sequential",
}
GRPO = COMMON | {
    "per_device_train_batch_size": 64,
    "num_generations": 8,
    "max_completion_length": 160,
    "loss_type": "grpo",
    "beta": 0.0,
    "shuffle_dataset": False,
}
WARM = {"sft": 5, "grpo": 1}
"""Steps at the beginning that are not counted."""
SAME_LOSS = 1e-3
"""Share by which the loss of a step of `sft` may differ: rows, their order, what counts of them and the arithmetic are
the same, down to rounding."""
SAME_CHAINS = 0.15
"""Share by which the mean length of the chains of `grpo` may differ: both sample them, each with dice of its own."""
SIDES = ("ours", "trl")
NAMES = {"ours": "fathom-harness", "trl": "TRL alone"}


@dataclass(frozen=True, slots=True)
class Run:
    """One side's steps, those that count."""

    seconds: float
    """Of a step."""
    cpu: float
    """CPU seconds of a step, all threads together; those of grading processes are not among them."""
    tokens: float
    """Of a step: of rows that were learnt from, or of prompts and chains."""
    losses: list[float]
    lengths: list[float]
    """Mean tokens of the chains, step by step."""
    rewards: list[float]
    peak: float
    """Resident MiB of the process at its fullest."""


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--grpo-steps", type=int, default=4)
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--child", nargs=3, metavar=("SIDE", "KIND", "FOLDER"), help=argparse.SUPPRESS)
    options = parser.parse_args()
    steps = {"sft": options.steps, "grpo": options.grpo_steps}
    if min(*steps.values(), options.repeats, options.threads) < 1:
        parser.error("steps, repeats and threads are 1 or more")
    if options.child:
        side, kind, folder = options.child
        if side == "make":
            make_model(Path(folder))
            return 0
        print(json.dumps(child(side, kind, Path(folder), steps[kind], options.threads)))
        return 0
    print(
        f"{processor()}, {options.threads} threads; medians of {options.repeats} runs each, in turns (least-most)\n"
    )
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        # Not in this process: the kernel carries the peak memory of one that starts another over into that.
        _child("make", "", folder, options)
        lines = [line for kind in ("sft", "grpo") for line in compare(kind, folder, options)]
    print("| a step of | by | s | CPU s | tokens/s | peak MiB |")
    print("|---|---|---:|---:|---:|---:|")
    print("\n".join(line for line in lines if line.startswith("|")))
    print("\n" + "\n".join(line for line in lines if not line.startswith("|")))
    return 0


def compare(kind: str, folder: Path, options: argparse.Namespace) -> list[str]:
    """Rows of the table for one kind of training, and what is to be said of it."""
    found: dict[str, list[Run]] = {side: [] for side in SIDES}
    for _ in range(options.repeats):
        for side in SIDES:
            found[side].append(_run(side, kind, folder, options))
    ours, other = found.values()
    same = _same_losses(ours, other) if kind == "sft" else _same_chains(ours, other)
    what = {"sft": f"sft, {SFT['per_device_train_batch_size']} rows"}
    what["grpo"] = f"grpo, {GRPO['per_device_train_batch_size']} chains"
    ratios = ", ".join(f"{b.seconds / a.seconds:.2f}" for a, b in zip(ours, other, strict=True))
    return [
        *(_row(what[kind], side, found[side]) for side in SIDES),
        same,
        f"- {kind}: TRL's time over ours, run by run: {ratios}",
    ]


def _row(what: str, side: str, runs: list[Run]) -> str:
    seconds = [run.seconds for run in runs]
    return (
        f"| {what} | {NAMES[side]} | {statistics.median(seconds):.3f} ({min(seconds):.3f}-{max(seconds):.3f}) "
        f"| {statistics.median(run.cpu for run in runs):.3f} "
        f"| {statistics.median(run.tokens / run.seconds for run in runs):,.0f} "
        f"| {statistics.median(run.peak for run in runs):,.0f} |"
    )


def _same_losses(ours: list[Run], other: list[Run]) -> str:
    worst = max(
        abs(a - b) / abs(b)
        for one, two in zip(ours, other, strict=True)
        for a, b in zip(one.losses, two.losses, strict=True)
    )
    tokens = {run.tokens for run in [*ours, *other]}
    if worst > SAME_LOSS or len(tokens) > 1:
        raise SystemExit(
            f"not the same work: losses differ by {worst:.2g}, tokens of a step {sorted(tokens)}: no figures"
        )
    losses = ours[0].losses
    return (
        f"- sft: the losses of all {len(losses)} steps ({losses[0]:.3f} to {losses[-1]:.3f}) differ by {worst:.1g} "
        f"at most, and the tokens ({tokens.pop():,.0f} a step) not at all"
    )


def _same_chains(ours: list[Run], other: list[Run]) -> str:
    lengths, rewards = (
        [statistics.mean(value for run in side for value in getattr(run, name)) for side in (ours, other)]
        for name in ("lengths", "rewards")
    )
    if abs(lengths[0] - lengths[1]) > SAME_CHAINS * lengths[1]:
        raise SystemExit(
            f"not the same work: chains of {lengths[0]:.1f} and {lengths[1]:.1f} tokens: no figures"
        )
    return (
        f"- grpo: chains of {lengths[0]:.1f} tokens on average and {lengths[1]:.1f} with TRL alone (limit "
        f"{GRPO['max_completion_length']}), rewards of {rewards[0]:.3f} and {rewards[1]:.3f}"
    )


def _run(side: str, kind: str, folder: Path, options: argparse.Namespace) -> Run:
    return Run(**json.loads(_child(side, kind, folder, options).strip().rpartition("\n")[2]))


def _child(side: str, kind: str, folder: Path, options: argparse.Namespace) -> str:
    arguments = ["--steps", str(options.steps), "--grpo-steps", str(options.grpo_steps)]
    arguments += ["--threads", str(options.threads), "--child", side, kind, str(folder)]
    done = subprocess.run(
        [sys.executable, __file__, *arguments],
        capture_output=True,
        text=True,
        check=False,
        env={**os.environ, "HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"},
    )
    if done.returncode:
        raise SystemExit(f"{side} {kind} failed:\n{done.stderr[-2000:]}")
    return done.stdout


def child(side: str, kind: str, folder: Path, steps: int, threads: int) -> dict[str, Any]:
    """The values of a `Run`, measured in this process."""
    import resource

    warm = WARM[kind]
    clock = _clock()
    log = {"ours": ours, "trl": trl}[side](kind, folder, steps + warm, threads, clock)
    assert [entry["step"] for entry in log] == list(range(1, steps + warm + 1))
    (began, cpu_began), (ended, cpu_ended) = clock.ended[warm - 1], clock.ended[-1]
    counted = log[warm:]
    return {
        "seconds": (ended - began) / steps,
        "cpu": (cpu_ended - cpu_began) / steps,
        "tokens": (log[-1]["tokens"] - log[warm - 1]["tokens"]) / steps,
        "losses": [entry["loss"] for entry in log],
        "lengths": [entry["mean_tokens"] for entry in counted if "mean_tokens" in entry],
        "rewards": [entry["reward"] for entry in counted if "reward" in entry],
        "peak": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
    }


def _clock() -> Any:
    """Notes when each step has ended; the same for both sides."""
    from transformers import TrainerCallback

    class Clock(TrainerCallback):
        def __init__(self) -> None:
            self.ended: list[tuple[float, float]] = []

        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            self.ended.append((time.perf_counter(), time.process_time()))

    return Clock()


def rows() -> list[dict[str, Any]]:
    from harness.plugins import load_plugins

    problems = list(load_plugins().benchmark("fresh:level=1,size=2000,seed=31").problems(None))
    return [
        {
            "id": problem.id,
            "prompt": [{"role": "user", "content": problem.text}],
            "completion": f"<think>\n{problem.solution}\n</think>\n\n\\boxed{{{problem.gold}}}",
            "gold": problem.gold,
            "normalizer": "math",
        }
        for problem in problems
    ]


def make_model(folder: Path) -> None:
    """The model that all begin with, and the rows."""
    (folder / "rows.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows()))
    from harness_trainers.pretrain import Pretrain

    _train(Pretrain(), folder, folder / "model", (), COMMON | SHAPE | PRETRAINING)


def _train(
    trainer: Any, folder: Path, out: Path, parents: tuple[Path, ...], parameters: dict[str, Any]
) -> Path:
    from harness import StageJob

    work = Path(tempfile.mkdtemp(dir=folder))
    trainer.train(StageJob("perf:stage", parents, folder / "rows.jsonl", parameters, out, work))
    return work


def ours(kind: str, folder: Path, steps: int, threads: int, clock: Any) -> list[dict[str, Any]]:
    """Train as a recipe does; returns the stage's log."""
    import transformers

    from harness_trainers.grpo import GRPO as Grpo
    from harness_trainers.sft import SFT as Sft

    usual = transformers.Trainer.__init__

    def with_clock(self: Any, *args: Any, **kwargs: Any) -> None:
        usual(self, *args, **kwargs)
        self.add_callback(clock)

    transformers.Trainer.__init__ = with_clock  # a stage takes no callbacks from outside
    trainer, parameters = (Sft(), SFT) if kind == "sft" else (Grpo(), GRPO)
    out = Path(tempfile.mkdtemp(dir=folder)) / "out"
    given = parameters | {"max_steps": steps, "threads": threads}
    work = _train(trainer, folder, out, (folder / "model",), given)
    return [json.loads(line) for line in (work / "log.jsonl").read_text().split("\n") if line]


def trl(kind: str, folder: Path, steps: int, threads: int, clock: Any) -> list[dict[str, Any]]:
    """Train as TRL's documentation does; returns what it logs, by our names."""
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    torch.set_num_threads(threads)
    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    chosen = {"output_dir": str(folder / "trl"), "max_steps": steps, "bf16": False, "use_cpu": True}
    chosen |= {"report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False, "logging_steps": 1}
    data = [json.loads(line) for line in (folder / "rows.jsonl").read_text().split("\n") if line]
    if kind == "sft":
        # Rendered beforehand, as the end of the template's turn would be learnt with it ("\\n"), which ours leaves out.
        shown = [
            {
                "prompt": tokenizer.apply_chat_template(
                    row["prompt"], tokenize=False, add_generation_prompt=True
                ),
                "completion": row["completion"],
            }
            for row in data
        ]
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**SFT, **chosen),
            train_dataset=Dataset.from_list(shown),
            processing_class=tokenizer,
            callbacks=[clock],
        )
    else:
        problems = [{"prompt": row["prompt"], "gold": row["gold"]} for row in data]
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=_reward,
            args=GRPOConfig(**GRPO, **chosen),
            train_dataset=Dataset.from_list(problems),
            processing_class=tokenizer,
            callbacks=[clock],
        )
    trainer.train()
    names = {"completions/mean_length": "mean_tokens", "reward": "reward"}
    return [
        {"step": entry["step"], "loss": entry["loss"], "tokens": entry["num_tokens"]}
        | {name: entry[key] for key, name in names.items() if key in entry}
        for entry in trainer.state.log_history
        if "loss" in entry
    ]


def _reward(completions: list[Any], gold: list[str], **others: Any) -> list[float]:
    found = [re.findall(r"\\boxed\{([^{}]*)\}", chain[0]["content"]) for chain in completions]
    return [float(bool(boxed) and boxed[-1] == right) for boxed, right in zip(found, gold, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
