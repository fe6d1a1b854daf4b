"""What a step of training costs on a processor: our `sft` and `grpo` beside TRL's trainers alone.

    python perf/training.py [--steps 40] [--grpo-steps 4] [--repeats 3] [--threads 2]

A random Qwen2 of a million weights, problems of `fresh` level 1, float32, the same settings on both sides. Each side
runs in a process of its own, in turns; the first steps, in which memory is laid out, are not counted. Ours writes its
log and grades with the harness's grader; TRL's reward is a regular expression. See perf/README.md.
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
from pathlib import Path
from typing import Any

from meter import processor

SHAPE = {"hidden_size": 128, "intermediate_size": 384, "num_hidden_layers": 4, "num_attention_heads": 4}
SHAPE |= {"num_key_value_heads": 2, "max_position_embeddings": 512, "vocab_size": 1024}
COMMON: dict[str, Any] = {
    "learning_rate": 1e-4,
    "seed": 7,
    "save_strategy": "no",
    "activation_checkpointing": False,
}
SFT = COMMON | {
    "max_length": 512,
    "per_device_train_batch_size": 8,
    "train_sampling_strategy": "group_by_length",
}
GRPO = COMMON | {"per_device_train_batch_size": 64, "num_generations": 8, "max_completion_length": 160}
WARM = {"sft": 5, "grpo": 1}
"""Steps at the beginning that are not counted."""


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
    if options.child:
        side, kind, folder = options.child
        run = {"ours": ours, "trl": trl}[side]
        print(json.dumps(run(kind, Path(folder), steps[kind] + WARM[kind], options.threads)))
        return 0
    print(f"{processor()}, {options.threads} threads, {options.repeats} runs each, in turns")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        make_model(folder)
        for kind in ("sft", "grpo"):
            found: dict[str, list[float]] = {"ours": [], "trl": []}
            for _ in range(options.repeats):
                for side in found:
                    found[side].append(_child(side, kind, folder, options))
            one, other = (statistics.median(found[side]) for side in ("ours", "trl"))
            ratios = ", ".join(f"{b / a:.2f}" for a, b in zip(found["ours"], found["trl"], strict=True))
            print(
                f"{kind:5} ours {one * 1000:7.0f} ms a step, TRL alone {other * 1000:7.0f} ms: "
                f"{other / one:.2f} times (run by run: {ratios})"
            )
    return 0


def _child(side: str, kind: str, folder: Path, options: argparse.Namespace) -> float:
    """Seconds of a step."""
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
    return float(json.loads(done.stdout.strip().rpartition("\n")[2]))


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

    # One step, so that it ends its chains no sooner and no later than a model that has learnt nothing.
    _train(Pretrain(), folder, folder / "model", (), SFT | SHAPE | {"max_steps": 1, "threads": 1})


def _train(
    trainer: Any, folder: Path, out: Path, parents: tuple[Path, ...], parameters: dict[str, Any]
) -> Path:
    from harness import StageJob

    work = Path(tempfile.mkdtemp(dir=folder))
    trainer.train(StageJob("perf:stage", parents, folder / "rows.jsonl", parameters, out, work))
    return work


def ours(kind: str, folder: Path, steps: int, threads: int) -> float:
    from harness_trainers.grpo import GRPO as Grpo
    from harness_trainers.sft import SFT as Sft

    trainer, parameters = (Sft(), SFT) if kind == "sft" else (Grpo(), GRPO)
    out = Path(tempfile.mkdtemp(dir=folder)) / "out"
    work = _train(
        trainer, folder, out, (folder / "model",), parameters | {"max_steps": steps, "threads": threads}
    )
    log = [json.loads(line) for line in (work / "log.jsonl").read_text().split("\n") if line]
    return (log[-1]["seconds"] - log[WARM[kind] - 1]["seconds"]) / (steps - WARM[kind])


def trl(kind: str, folder: Path, steps: int, threads: int) -> float:
    import torch
    from datasets import Dataset
    from transformers import AutoModelForCausalLM, AutoTokenizer, TrainerCallback
    from trl import GRPOConfig, GRPOTrainer, SFTConfig, SFTTrainer

    torch.set_num_threads(threads)
    ended: list[float] = []

    class Clock(TrainerCallback):
        def on_step_end(self, *args: Any, **kwargs: Any) -> None:
            ended.append(time.perf_counter())

    tokenizer = AutoTokenizer.from_pretrained(folder / "model")
    model = AutoModelForCausalLM.from_pretrained(folder / "model", dtype=torch.float32)
    chosen = {"output_dir": str(folder / "trl"), "max_steps": steps, "bf16": False, "use_cpu": True}
    chosen |= {"report_to": "none", "disable_tqdm": True, "dataloader_pin_memory": False, "logging_steps": 1}
    data = [json.loads(line) for line in (folder / "rows.jsonl").read_text().split("\n") if line]
    if kind == "sft":
        shown = [
            {"prompt": row["prompt"], "completion": [{"role": "assistant", "content": row["completion"]}]}
            for row in data
        ]
        trainer = SFTTrainer(
            model=model,
            args=SFTConfig(**{**SFT, **chosen}),
            train_dataset=Dataset.from_list(shown),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
    else:
        problems = [{"prompt": row["prompt"], "gold": row["gold"]} for row in data]
        settings = {"loss_type": "grpo", "beta": 0.0, "shuffle_dataset": False}
        trainer = GRPOTrainer(
            model=model,
            reward_funcs=_reward,
            args=GRPOConfig(**{**GRPO, **settings, **chosen}),
            train_dataset=Dataset.from_list(problems),
            processing_class=tokenizer,
            callbacks=[Clock()],
        )
    trainer.train()
    return (ended[-1] - ended[WARM[kind] - 1]) / (steps - WARM[kind])


def _reward(completions: list[Any], gold: list[str], **others: Any) -> list[float]:
    found = [re.findall(r"\\boxed\{([^{}]*)\}", chain[0]["content"]) for chain in completions]
    return [float(bool(boxed) and boxed[-1] == right) for boxed, right in zip(found, gold, strict=True)]


if __name__ == "__main__":
    sys.exit(main())
