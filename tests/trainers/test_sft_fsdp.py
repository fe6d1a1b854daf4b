"""FSDP: weights, gradients and optimiser are shared out over processes, as on several GPUs.

accelerate does that for GPUs alone, so the two processes here, which have none, are told to them as if they had. All
else is the shipped configuration and the libraries' own.
"""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
import yaml

from harness.models import folder_problem
from harness_trainers.launch import CONFIGS, command
from harness_trainers.launch.stage import Job, write_job
from harness_trainers.loop.saving import state_bytes

from .tiny_training import SUMS, base_model, logged, stage, sums, weights

pytestmark = [
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]
ROOT = Path(__file__).parents[2]
PRETEND = """
import os
if os.environ.get("RANK"):
    from accelerate.state import DistributedType, PartialState

    usual = PartialState.__init__

    def init(self, *args, **kwargs):
        usual(self, *args, **kwargs)
        if self.distributed_type == DistributedType.MULTI_CPU:
            self.distributed_type = DistributedType.MULTI_GPU

    PartialState.__init__ = init
"""


@pytest.fixture(scope="module")
def base(tmp_path_factory):
    return base_model(tmp_path_factory.mktemp("fsdp") / "base")


def shared_out(job, folder):
    """Run a stage in two processes with the shipped configuration."""
    (folder / "site").mkdir()
    (folder / "site" / "sitecustomize.py").write_text(PRETEND)
    config = yaml.safe_load((CONFIGS / "fsdp.yaml").read_text())
    config |= {"use_cpu": True, "gpu_ids": "-1,-1", "mixed_precision": "no"}
    (folder / "fsdp.yaml").write_text(yaml.safe_dump(config))
    write_job(job.work / "job.json", Job(job, "sft", {}, None))
    more = {"HF_HUB_OFFLINE": "1", "OMP_NUM_THREADS": "1", "PYTHONPATH": str(folder / "site")}
    done = subprocess.run(
        command(job.work / "job.json", 2, str(folder / "fsdp.yaml")),
        cwd=ROOT,
        env={**os.environ, **more},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.parametrize("lora", [None, {"r": 2}], ids=["all weights", "adapters"])
def test_a_model_that_is_shared_out_learns_what_one_process_learns_and_is_written_whole(base, tmp_path, lora):
    from transformers import AutoModelForCausalLM

    from harness_trainers.loop.loading import with_adapters
    from harness_trainers.sft import SFT

    given = {**SUMS, "lora": lora, "save_steps": 2}
    one = stage(tmp_path / "one", base, sums(10), **given, gradient_accumulation_steps=2)
    SFT().train(one)
    two = stage(tmp_path / "two", base, one.data, devices=2, **given)
    shared_out(two, tmp_path)

    assert [entry["step"] for entry in logged(two)] == [1, 2, 3]
    for single, double in zip(logged(one), logged(two), strict=True):
        assert double["loss"] == pytest.approx(single["loss"], rel=1e-4)
    assert folder_problem(two.out) is None
    trained, alone, start = weights(two.out), weights(one.out), weights(base)
    assert trained.keys() == start.keys()
    moved = max(float((alone[name] - start[name]).abs().max()) for name in alone)
    apart = max(float((alone[name] - trained[name]).abs().max()) for name in alone)
    assert apart < 0.02 * moved

    # What was looked for on the disk before the save is what it took, but for the small files.
    state = two.work / "state" / "checkpoint-2"
    large = sum(path.stat().st_size for path in state.iterdir() if path.suffix in (".safetensors", ".bin"))
    model = with_adapters(AutoModelForCausalLM.from_pretrained(base), given)
    assert large == pytest.approx(state_bytes(model, twice=True), abs=40_000)
