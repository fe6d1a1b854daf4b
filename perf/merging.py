"""What a merge costs: `harness merge` beside mergekit, and beside `cp` of the result as the limit.

    python perf/merging.py [--gb 2] [--methods linear,slerp] [--weights 0.7,0.4] [--repeats 3] [--skip-peer]

Two synthetic checkpoints of a Qwen2 (and a base for ties), bf16, in several files, all in the page cache. Each command
is a process of its own, start-up included; they take turns. See perf/README.md.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import statistics
import struct
import sys
import tempfile
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from meter import CommandFailed, Cost, measure, processor
from peers import Installed, cache

from harness.safetensors import INDEX, opened

WALL, MEMORY = 0.5, 0.25
"""Targets: at most these shares of mergekit's wall time and peak memory."""

_HARNESS = Path(sys.executable).with_name("harness")
_WIDTH, _VOCABULARY = 2048, 32_000
_BLOCK = 1 << 24  # values made at a time


class Mergekit(Installed):
    distribution = "mergekit"
    version = "0.1.5"
    beside = ("torch", "transformers", "safetensors")

    def command(self, config: Path, out: Path, shard_values: int) -> list[str | Path]:
        program = self._venv / "bin" / "mergekit-yaml"
        return [program, config, out, "--copy-tokenizer", "--quiet", "--out-shard-size", str(shard_values)]


def main() -> int:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--gb", type=float, default=2.0, help="size of a checkpoint")
    parser.add_argument("--files", type=int, default=5, help="of a checkpoint")
    parser.add_argument("--methods", default="linear,slerp")
    parser.add_argument("--weights", default="0.7,0.4")
    parser.add_argument("--repeats", type=int, default=3)
    parser.add_argument("--peers", type=Path, default=cache(), help="where mergekit is installed")
    parser.add_argument("--skip-peer", action="store_true", help="measure only ours and cp")
    parser.add_argument(
        "--folder", type=Path, help="where the checkpoints are made; needs room for six of them"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="merging-", dir=options.folder) as folder:
        try:
            return 0 if _measure(options, Path(folder)) else 1
        except CommandFailed as error:
            print(error, file=sys.stderr)
            return 1


def _measure(options: argparse.Namespace, folder: Path) -> bool:
    peer = None if options.skip_peer else Mergekit(options.peers)
    if peer is not None:
        peer.install()
        print(", ".join(f"{name} {version}" for name, version in peer.versions().items()))
    for seed, name in enumerate("ABM"):
        values = _make(folder / name, options.gb, options.files, seed)
    shard_values = values // options.files
    print(f"{processor()}, {os.cpu_count()} cores, {values:,} weights, load {os.getloadavg()[0]:.1f}\n")
    print("| method | command | wall s | CPU s | peak MiB |\n|---|---|---:|---:|---:|")
    met = True
    for method in options.methods.split(","):
        config = folder / f"{method}.yml"
        config.write_text(json.dumps(_config(method, options.weights, folder)))  # JSON is YAML too
        ours, theirs = folder / "ours", folder / "theirs"
        commands: dict[str, tuple[list[str | Path], Path]] = {
            "harness merge": (
                [_HARNESS, "merge", config, "-o", ours, "--shard-size", str(2 * shard_values)],
                ours,
            ),
            "cp": (["/bin/cp", "-r", folder / "A", folder / "copy"], folder / "copy"),
            "cp and sync": (
                ["/bin/sh", "-c", 'cp -r "$0" "$1" && sync "$1"/*', folder / "A", folder / "copy"],
                folder / "copy",
            ),
        }
        if peer is not None:
            commands["mergekit"] = (peer.command(config, theirs, shard_values), theirs)
        costs = _in_turns(commands, options.repeats, folder)
        for name, found in costs.items():
            print(_row(method, name, found))
        if peer is not None:
            print(f"\n{method}: {_differences(ours, theirs)}")
            wall, peak = (
                _median(costs["harness merge"], figure) / _median(costs["mergekit"], figure)
                for figure in ("wall", "peak")
            )
            met &= wall <= WALL and peak <= MEMORY
            print(f"wall {wall:.2f} of mergekit's (target {WALL}), peak {peak:.3f} (target {MEMORY})\n")
    return met


def _in_turns(
    commands: dict[str, tuple[list[str | Path], Path]], repeats: int, folder: Path
) -> dict[str, list[Cost]]:
    costs: dict[str, list[Cost]] = {name: [] for name in commands}
    env = {"PATH": os.environ["PATH"], "HOME": str(folder / "home"), "HF_HUB_OFFLINE": "1"}
    (folder / "home").mkdir(exist_ok=True)
    for _ in range(repeats):
        for name, (command, out) in commands.items():
            shutil.rmtree(out, ignore_errors=True)
            os.sync()  # nobody pays for what others wrote
            costs[name].append(measure(command, env=env, cwd=folder))
    return costs


def _row(method: str, name: str, costs: Sequence[Cost]) -> str:
    cpu = statistics.median(cost.user + cost.system for cost in costs)
    return f"| {method} | {name} | {_median(costs, 'wall'):.2f} | {cpu:.2f} | {_median(costs, 'peak'):.0f} |"


def _median(costs: Sequence[Cost], figure: str) -> float:
    return statistics.median(getattr(cost, figure) for cost in costs)


def _config(method: str, weights: str, folder: Path) -> dict[str, object]:
    numbers = [float(weight) for weight in weights.split(",")]
    parameters = [{"weight": weight} for weight in numbers]
    if method != "linear":
        parameters = [{**own, "density": 0.5} if method == "ties" else {} for own in parameters]
    models = [
        {"model": str(folder / name), "parameters": own} for name, own in zip("AB", parameters, strict=True)
    ]
    # In float32, as ours computes: mergekit would merge differences in bf16 otherwise.
    config: dict[str, object] = {
        "merge_method": method,
        "models": models,
        "dtype": "float32",
        "out_dtype": "bfloat16",
    }
    if method == "linear":
        config |= {"dtype": "bfloat16"}
    if method == "slerp":
        config |= {"base_model": str(folder / "A"), "parameters": {"t": 0.3}}
    if method == "ties":
        config |= {"base_model": str(folder / "M")}
    return config


def _make(folder: Path, gb: float, files: int, seed: int) -> int:
    """Write a checkpoint of random weights in the shapes of a Qwen2; returns how many."""
    inner, few = 3 * _WIDTH, _WIDTH // 4
    layer = {
        "input_layernorm.weight": (_WIDTH,),
        "mlp.down_proj.weight": (_WIDTH, inner),
        "mlp.gate_proj.weight": (inner, _WIDTH),
        "mlp.up_proj.weight": (inner, _WIDTH),
        "post_attention_layernorm.weight": (_WIDTH,),
        "self_attn.k_proj.bias": (few,),
        "self_attn.k_proj.weight": (few, _WIDTH),
        "self_attn.o_proj.weight": (_WIDTH, _WIDTH),
        "self_attn.q_proj.bias": (_WIDTH,),
        "self_attn.q_proj.weight": (_WIDTH, _WIDTH),
        "self_attn.v_proj.bias": (few,),
        "self_attn.v_proj.weight": (few, _WIDTH),
    }
    outside = {
        "lm_head.weight": (_VOCABULARY, _WIDTH),
        "model.embed_tokens.weight": (_VOCABULARY, _WIDTH),
        "model.norm.weight": (_WIDTH,),
    }
    a_layer = sum(int(np.prod(shape)) for shape in layer.values())
    layers = max(1, -(-int(gb * 1e9 / 2 - 2 * _VOCABULARY * _WIDTH) // a_layer))
    tensors = outside | {
        f"model.layers.{i}.{name}": shape for i in range(layers) for name, shape in layer.items()
    }
    folder.mkdir()
    weight_map = {}
    random = np.random.default_rng(seed)
    names = sorted(tensors)
    for number in range(files):
        file = f"model-{number + 1:05}-of-{files:05}.safetensors"
        part = names[number::files]
        weight_map |= dict.fromkeys(part, file)
        _write(folder / file, {name: tensors[name] for name in part}, random)
    (folder / INDEX).write_text(json.dumps({"metadata": {}, "weight_map": weight_map}))
    config = {
        "architectures": ["Qwen2ForCausalLM"],
        "model_type": "qwen2",
        "hidden_size": _WIDTH,
        "intermediate_size": inner,
        "num_hidden_layers": layers,
        "num_attention_heads": 16,
        "num_key_value_heads": 4,
        "vocab_size": _VOCABULARY,
        "max_position_embeddings": 4096,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
    }
    (folder / "config.json").write_text(json.dumps(config))
    return sum(int(np.prod(shape)) for shape in tensors.values())


def _write(file: Path, tensors: dict[str, tuple[int, ...]], random: np.random.Generator) -> None:
    header, end = {}, 0
    for name, shape in tensors.items():
        begin, end = end, end + 2 * int(np.prod(shape))
        header[name] = {"dtype": "BF16", "shape": shape, "data_offsets": [begin, end]}
    text = json.dumps(header).encode()
    text += b" " * (-len(text) % 8)
    with file.open("wb") as stream:
        stream.write(struct.pack("<Q", len(text)) + text)
        left = end // 2
        while left:
            values = 0.02 * random.standard_normal(min(left, _BLOCK), np.float32)
            stream.write((values.view(np.uint32) >> 16).astype(np.uint16))
            left -= len(values)


def _differences(ours: Path, theirs: Path) -> str:
    """How many of the merged weights differ, and by how many steps of bf16."""
    total = apart = far = 0
    with opened(ours) as mine, opened(theirs) as other:
        if mine.tensors.keys() != other.tensors.keys():
            raise CommandFailed("the merged checkpoints hold different tensors")
        for name, stored in mine.tensors.items():
            a = mine.raw(stored).ravel().view(np.int16)
            b = other.raw(other.tensors[name]).ravel().view(np.int16)
            different = np.flatnonzero(a != b)
            total, apart = total + len(a), apart + len(different)
            far += int((np.abs(a[different].astype(np.int32) - b[different]) > 1).sum())
    return f"{apart:,} of {total:,} weights differ from mergekit's, {far:,} by more than one step of bf16"


if __name__ == "__main__":
    sys.exit(main())
