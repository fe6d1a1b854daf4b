"""Processes of a stage: which command starts them, and that they find each other."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import yaml

from harness import HarnessError, StageJob
from harness_trainers.launch import CONFIGS, Machines, command, gpu_names, gpus, join, shipped_configs
from harness_trainers.launch.stage import Job, write_job
from harness_trainers.runner.machine import devices_for_training, devices_left

MACHINE_VARIABLES = ("NUM_MACHINES", "MACHINE_RANK", "MAIN_PROCESS_IP", "MAIN_PROCESS_PORT")

# What a user would write: ten lines that need both processes.
PLUGIN = """
from harness import Trainer, hookimpl

class Sum(Trainer):
    name = "sum"

    def train(self, job):
        import json
        from pathlib import Path
        import torch
        from accelerate import PartialState
        state = PartialState(cpu=True)
        value = torch.tensor(10 ** state.process_index)
        if state.num_processes > 1:
            torch.distributed.all_reduce(value)
        facts = {"sum": int(value), "processes": state.num_processes, "backend": state.backend}
        facts |= {"threads": torch.get_num_threads(), "devices": job.devices, "parameters": dict(job.parameters)}
        if state.is_main_process:
            made = job.out.with_name(".making")
            made.mkdir()
            (made / "facts.json").write_text(json.dumps(facts))
            made.rename(job.out)
        state.wait_for_everyone()
        state.destroy_process_group()

@hookimpl
def harness_trainers():
    return [Sum()]
"""


@pytest.fixture(autouse=True)
def _one_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in (*MACHINE_VARIABLES, "CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")


def with_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", ",".join(map(str, range(count))))


def after(flag: str, words: list[str]) -> str:
    return words[words.index(flag) + 1]


def job_of(folder: Path, devices: int) -> Path:
    """A job for the trainer above, with a plugin of the user's."""
    plugin = folder / "plugins"
    plugin.mkdir(exist_ok=True)
    (plugin / "sum_trainer.py").write_text(PLUGIN)
    installed = plugin / "sum_trainer-1.0.dist-info"
    installed.mkdir(exist_ok=True)
    (installed / "METADATA").write_text("Metadata-Version: 2.1\nName: sum-trainer\nVersion: 1.0\n")
    (installed / "entry_points.txt").write_text("[harness]\nsum = sum_trainer\n")
    work = folder / "stages" / "mine.sum"
    work.mkdir(parents=True, exist_ok=True)
    stage = StageJob(
        stage="mine:sum",
        starts_from=(),
        data=None,
        parameters={"learning_rate": 1e-5},
        out=folder / "out",
        work=work,
        devices=devices,
    )
    write_job(work / "job.json", Job(stage, "sum", {"block": [], "only": None}, None))
    return work / "job.json"


def environment(folder: Path, **more: str) -> dict[str, str]:
    own = {"PYTHONPATH": str(folder / "plugins"), "HF_HUB_OFFLINE": "1", "CUDA_VISIBLE_DEVICES": ""}
    return {**os.environ, **own, **more}


# -- real processes --------------------------------------------------------------------------------


def test_two_processes_share_a_stage_over_gloo(tmp_path: Path, no_gpu: None) -> None:
    words = command(job_of(tmp_path, 2), 2)
    done = subprocess.run(words, env=environment(tmp_path), capture_output=True, text=True, timeout=100)
    assert done.returncode == 0, done.stderr[-3000:]
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    assert (facts["sum"], facts["processes"], facts["devices"]) == (11, 2, 2)
    assert facts["backend"] == "gloo"
    assert facts["parameters"] == {"learning_rate": 1e-5}
    assert facts["threads"] == max(1, len(os.sched_getaffinity(0)) // 2)


def test_one_process_is_started_without_accelerate(no_gpu: None) -> None:
    assert command(Path("job.json"), 1) == [sys.executable, "-m", "harness_trainers.launch.stage", "job.json"]


def test_a_second_machine_joins_each_stage_until_the_recipe_is_done(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, no_gpu: None
) -> None:
    """Both are this machine; each starts its own process, as two would."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    recipe = {
        "name": "mine",
        "base": "smollm2-135m",
        "stages": {"sum": {"trainer": "sum", "init_from": "base"}},
    }
    (tmp_path / "recipe.yaml").write_text(yaml.safe_dump(recipe))
    job = job_of(tmp_path, 2)
    monkeypatch.setenv("NUM_MACHINES", "2")
    monkeypatch.setenv("MACHINE_RANK", "0")
    monkeypatch.setenv("MAIN_PROCESS_IP", "127.0.0.1")
    monkeypatch.setenv("MAIN_PROCESS_PORT", str(port))
    joining = subprocess.Popen(
        [sys.executable, "-m", "harness_trainers.launch.join", str(tmp_path)],
        env=environment(tmp_path, MACHINE_RANK="1"),
        stderr=subprocess.PIPE,
        text=True,
    )
    try:
        words = command(job, 2)
        assert (after("--num_processes", words), after("--machine_rank", words)) == ("2", "0")
        done = subprocess.run(words, env=environment(tmp_path), capture_output=True, text=True, timeout=100)
        assert done.returncode == 0, done.stderr[-3000:]
        (job.parent / "done.json").write_text("{}")
        _, said = joining.communicate(timeout=30)
        assert joining.returncode == 0, said[-3000:]
    finally:
        joining.kill()
    facts = json.loads((tmp_path / "out" / "facts.json").read_text())
    assert (facts["sum"], facts["processes"]) == (11, 2)
    assert "mine:sum: joining, 2 processes on all machines" in said


def test_the_first_machine_trains_and_does_not_join(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert join.main([str(tmp_path)]) == 1
    assert "this is for machines other than the first" in capsys.readouterr().err
    assert join.main([]) == 1
    assert "name the folder" in capsys.readouterr().err


def test_only_the_last_unfinished_job_is_joined(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert join.newest(tmp_path) is None
    job = job_of(tmp_path, 2)
    monkeypatch.syspath_prepend(str(tmp_path / "plugins"))
    found = join.newest(tmp_path)
    assert found is not None
    assert found.job.job.stage == "mine:sum"
    job_of(tmp_path, 4)  # the first machine was started again, with more devices
    again = join.newest(tmp_path)
    assert again is not None
    assert again.written != found.written
    assert again.job.job.devices == 4
    (tmp_path / "out").mkdir()  # the model stands, the first machine is about to say so
    assert join.newest(tmp_path) is None
    (tmp_path / "out").rmdir()
    (job.parent / "done.json").write_text("{}")
    assert join.newest(tmp_path) is None


# -- which command ---------------------------------------------------------------------------------


@pytest.mark.parametrize(("count", "config"), [(0, "cpu"), (2, "fsdp"), (8, "fsdp")])
def test_the_configuration_follows_from_the_devices(
    monkeypatch: pytest.MonkeyPatch, count: int, config: str
) -> None:
    with_gpus(monkeypatch, count)
    words = command(Path("job.json"), 2)
    assert after("--config_file", words) == str(CONFIGS / f"{config}.yaml")
    assert after("--main_process_port", words) == "0"
    assert words[:3] == [sys.executable, "-m", "accelerate.commands.launch"]
    assert words[-3:] == ["-m", "harness_trainers.launch.stage", "job.json"]
    assert ("--num_cpu_threads_per_process" in words) == (count == 0)


def test_more_processes_than_gpus_are_refused_unless_one_says_how(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 2)
    with pytest.raises(
        HarnessError, match="4 processes need 4 GPUs, and this machine shows 2: train with --devices 2"
    ):
        command(Path("job.json"), 4)
    assert after("--config_file", command(Path("job.json"), 4, "cpu")) == str(CONFIGS / "cpu.yaml")


def test_a_configuration_of_ones_own_is_used_as_it_is(tmp_path: Path, no_gpu: None) -> None:
    own = tmp_path / "own.yaml"
    own.write_text(yaml.safe_dump({"distributed_type": "MULTI_GPU", "main_process_port": 1234}))
    words = command(Path("job.json"), 4, str(own))
    assert after("--config_file", words) == str(own)
    assert after("--num_processes", words) == "4"
    assert "--main_process_port" not in words


def test_one_gpu_can_be_told_to_offload(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 1)
    monkeypatch.setattr("harness_trainers.launch.commands.find_spec", lambda name: object())
    words = command(Path("job.json"), 1, "zero3-offload")
    assert after("--config_file", words) == str(CONFIGS / "zero3-offload.yaml")


@pytest.mark.parametrize(
    ("accelerate", "said"),
    [
        ("fsdpp", "no accelerate configuration is called 'fsdpp': did you mean fsdp"),
        ("missing.yaml", "missing.yaml is no file"),
        ("zero3", "training in several processes needs deepspeed: pip install deepspeed"),
    ],
)
def test_a_configuration_that_cannot_be_used_is_one_line(no_gpu: None, accelerate: str, said: str) -> None:
    with pytest.raises(HarnessError) as caught:
        command(Path("job.json"), 2, accelerate)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_no_process_is_no_stage() -> None:
    with pytest.raises(HarnessError, match="devices is at least 1"):
        command(Path("job.json"), 0)


# -- machines --------------------------------------------------------------------------------------


def test_machines_are_told_by_the_environment() -> None:
    assert Machines.here({}) == Machines(1, 0)
    said = {"NUM_MACHINES": "2", "MACHINE_RANK": "1", "MAIN_PROCESS_IP": "10.0.0.1"}
    assert Machines.here(said) == Machines(2, 1, "10.0.0.1", 29_500)
    assert Machines.here({**said, "MAIN_PROCESS_PORT": "4000"}).port == 4000


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"MACHINE_RANK": ""}, "MACHINE_RANK is not set: give a whole number from 0 to 1"),
        ({"MACHINE_RANK": "2"}, "MACHINE_RANK is '2'"),
        ({"NUM_MACHINES": "two"}, "NUM_MACHINES is 'two'"),
        ({"MAIN_PROCESS_IP": ""}, "set MAIN_PROCESS_IP to the address of the machine of rank 0"),
        ({"MAIN_PROCESS_PORT": "99999"}, "MAIN_PROCESS_PORT is '99999'"),
    ],
)
def test_half_told_machines_are_refused(changed: dict[str, str], said: str) -> None:
    usual = {"NUM_MACHINES": "2", "MACHINE_RANK": "1", "MAIN_PROCESS_IP": "10.0.0.1"}
    with pytest.raises(HarnessError, match=said):
        Machines.here({**usual, **changed})


def test_processes_are_shared_evenly_among_machines(monkeypatch: pytest.MonkeyPatch) -> None:
    with_gpus(monkeypatch, 8)
    for name, value in zip(MACHINE_VARIABLES, ("2", "1", "10.0.0.1", "4000"), strict=True):
        monkeypatch.setenv(name, value)
    words = command(Path("job.json"), 16)
    assert after("--num_processes", words) == "16"
    assert after("--num_machines", words) == "2"
    assert after("--main_process_ip", words) == "10.0.0.1"
    assert after("--main_process_port", words) == "4000"
    with pytest.raises(HarnessError, match="9 processes cannot be shared among 2 machines"):
        command(Path("job.json"), 9)


@pytest.mark.parametrize(
    ("visible", "count"), [("0,1,2,3", 4), ("", 0), ("-1", 0), ("0,-1,2", 1), ("GPU-8932f937,GPU-2", 2)]
)
def test_gpus_are_counted_as_cuda_shows_them(visible: str, count: int) -> None:
    assert gpus({"CUDA_VISIBLE_DEVICES": visible}) == count


def test_a_stage_is_shown_the_gpus_that_it_uses_and_no_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """One process that sees several would split each batch among them, and energy is that of its own."""
    with_gpus(monkeypatch, 8)
    shown = os.environ["CUDA_VISIBLE_DEVICES"].split(",")
    assert devices_for_training(1) == shown[:1]
    assert devices_for_training(8) == shown
    assert devices_for_training(2, ",".join(shown[:6])) == shown[6:]
    assert devices_left(6) == ",".join(shown[6:])
    assert devices_left(8) is None
    with pytest.raises(HarnessError, match=r"training takes 8 devices and --evaluate-devices .* leaves 2"):
        devices_for_training(8, ",".join(shown[:6]))
    for name, value in zip(MACHINE_VARIABLES, ("2", "0", "10.0.0.1", "4000"), strict=True):
        monkeypatch.setenv(name, value)
    assert devices_for_training(8) == shown[:4]


@pytest.mark.parametrize(
    ("environ", "names"),
    [
        ({"CUDA_VISIBLE_DEVICES": "GPU-8932f937, 3,-1,2"}, ["GPU-8932f937", "3"]),
        ({"CUDA_VISIBLE_DEVICES": ""}, []),
        ({"HIP_VISIBLE_DEVICES": "4,5"}, []),
    ],
)
def test_gpus_have_the_names_that_cuda_knows(environ: dict[str, str], names: list[str]) -> None:
    assert gpu_names(environ) == names


# -- accelerate's own reading of the configurations ------------------------------------------------


def test_all_configurations_are_there() -> None:
    assert shipped_configs() == ("cpu", "ddp", "fsdp", "zero3", "zero3-offload")


@pytest.fixture(scope="module")
def launcher() -> Any:
    pytest.importorskip("accelerate")
    from accelerate.commands import launch

    return launch


@pytest.mark.parametrize("name", ["cpu", "ddp", "fsdp", "zero3", "zero3-offload"])
def test_accelerate_takes_every_key_of_a_configuration(launcher: Any, name: str) -> None:
    """It ignores those of fsdp_config and deepspeed_config that it does not know."""
    from accelerate.commands.config.config_args import load_config_from_file
    from accelerate.utils import DeepSpeedPlugin, FullyShardedDataParallelPlugin

    path = CONFIGS / f"{name}.yaml"
    config = load_config_from_file(str(path))
    assert config.num_machines == 1
    known = vars(launcher.launch_command_parser().parse_args(["script"]))
    for key in (*config.fsdp_config, *config.deepspeed_config):
        assert key in known
    fields = {
        "offload_params",
        *FullyShardedDataParallelPlugin.__dataclass_fields__,
    }  # cpu_offload, by that name
    assert all(key in fields or key.removeprefix("fsdp_") in fields for key in config.fsdp_config)
    launching = {"deepspeed_multinode_launcher"}
    assert set(config.deepspeed_config) - launching <= set(DeepSpeedPlugin.__dataclass_fields__)


def launched(launcher: Any, name: str, monkeypatch: pytest.MonkeyPatch) -> dict[str, str]:
    """The environment that accelerate gives to the processes of a configuration."""
    from accelerate.utils import launch as preparing

    arguments = launcher.launch_command_parser().parse_args(
        [
            "--config_file",
            str(CONFIGS / f"{name}.yaml"),
            "--num_processes",
            "8",
            "--main_process_port",
            "0",
            "script",
        ]
    )
    arguments, _, _ = launcher._validate_launch_command(arguments)
    if arguments.use_deepspeed:
        arguments.deepspeed_fields_from_accelerate_config = ""
        _, variables = preparing.prepare_deepspeed_cmd_env(arguments)
    else:
        variables = preparing.prepare_multi_gpu_env(arguments)
    assert arguments.nproc_per_node == "8"
    return dict(variables)


def test_fsdp_shares_everything_out_and_saves_whole_models(
    launcher: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    from accelerate.utils import FullyShardedDataParallelPlugin
    from torch.distributed.fsdp.fully_sharded_data_parallel import StateDictType
    from torch.distributed.fsdp.wrap import transformer_auto_wrap_policy

    variables = launched(launcher, "fsdp", monkeypatch)
    for name, value in variables.items():
        if name.startswith(("FSDP_", "ACCELERATE_")):
            monkeypatch.setenv(name, value)
    assert variables["ACCELERATE_USE_FSDP"] == "true"
    assert variables["ACCELERATE_MIXED_PRECISION"] == "bf16"
    plugin = FullyShardedDataParallelPlugin()
    assert plugin.fsdp_version == 2
    assert plugin.reshard_after_forward is True
    assert plugin.auto_wrap_policy is transformer_auto_wrap_policy
    assert plugin.state_dict_type == StateDictType.FULL_STATE_DICT
    assert plugin.cpu_ram_efficient_loading
    # The trainer's own, of which TRL's default is on, would collide with it.
    assert plugin.activation_checkpointing is False


@pytest.mark.parametrize(("name", "device"), [("zero3", "none"), ("zero3-offload", "cpu")])
def test_zero3_shares_out_and_offloads_only_where_it_says_so(
    launcher: Any, monkeypatch: pytest.MonkeyPatch, name: str, device: str
) -> None:
    variables = launched(launcher, name, monkeypatch)
    assert variables["ACCELERATE_DEEPSPEED_ZERO_STAGE"] == "3"
    assert variables["ACCELERATE_DEEPSPEED_ZERO3_SAVE_16BIT_MODEL"] == "true"
    assert variables["ACCELERATE_DEEPSPEED_OFFLOAD_OPTIMIZER_DEVICE"] == device
    assert variables["ACCELERATE_DEEPSPEED_OFFLOAD_PARAM_DEVICE"] == device
    assert variables["ACCELERATE_MIXED_PRECISION"] == "bf16"
    # Filled in from the recipe: a figure here would win over it, or clash with it.
    assert "ACCELERATE_GRADIENT_ACCUMULATION_STEPS" not in variables
    assert "ACCELERATE_GRADIENT_CLIPPING" not in variables


def test_ddp_and_cpu_hold_the_whole_model(launcher: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    ddp, cpu = (launched(launcher, name, monkeypatch) for name in ("ddp", "cpu"))
    for variables in (ddp, cpu):
        assert "ACCELERATE_USE_FSDP" not in variables
        assert "ACCELERATE_USE_DEEPSPEED" not in variables
    assert ddp["ACCELERATE_MIXED_PRECISION"] == "bf16"
    assert cpu["ACCELERATE_MIXED_PRECISION"] == "no"
    # Its GPUs are hidden even where a machine has them.
    assert gpus(cpu) == 0
