"""What of the vllm sampler needs no vLLM: when it is chosen, its options, and its processes."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from harness import HarnessError, SamplingSettings
from harness.models import ResolvedModel, resolve_model
from harness_plugins.models import harness_models
from harness_plugins.samplers import vllm as plugin
from harness_plugins.samplers.vllm import VLLM
from harness_plugins.samplers.vllm._children import Children, first_error

SETTINGS = SamplingSettings(0.6, 0.95, 16)


@pytest.fixture
def installed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin.importlib.util, "find_spec", lambda name: object())
    monkeypatch.setattr(plugin, "_is_cpu_build", lambda: False)


@pytest.mark.usefixtures("installed")
def test_it_is_the_first_choice_where_there_is_a_gpu(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    model = resolve_model("Fathom-R1-14B", harness_models())
    monkeypatch.setattr(plugin, "gpu_visible", lambda: True)
    assert VLLM().fit(model).score == 90
    assert "GGUF" in VLLM().fit(ResolvedModel(name="m", file=tmp_path / "m.gguf")).reason
    monkeypatch.setattr(plugin, "gpu_visible", lambda: False)
    assert VLLM().fit(model).score == 0
    monkeypatch.setattr(plugin, "_is_cpu_build", lambda: True)
    assert 0 < VLLM().fit(model).score < 40


def test_a_missing_package_gives_the_command_that_mends_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(plugin.importlib.util, "find_spec", lambda name: None)
    model = ResolvedModel(name="m", folder=tmp_path)
    assert VLLM().fit(model).score == 0
    assert 'pip install "fathom-harness[vllm]"' in VLLM().fit(model).reason
    with (
        pytest.raises(HarnessError, match=re.escape('pip install "fathom-harness[vllm]"')),
        VLLM().open(model, SETTINGS, {}),
    ):
        pass


@pytest.mark.usefixtures("installed")
def test_wrong_options_are_named(tmp_path: Path) -> None:
    for options, message in (
        ({"gpu_memory": "1.5"}, "gpu_memory='1.5' is not a share"),
        ({"tensor_parallel": "0"}, "tensor_parallel='0' is not a number above 0"),
        ({"prefix_caching": "maybe"}, "prefix_caching='maybe': yes or no?"),
        ({"dtype": "float23"}, "dtype='float23': did you mean float32"),
        ({"engine_args": "{"}, "engine_args is not JSON"),
        ({"engine_args": "[]"}, "engine_args is not a JSON object"),
    ):
        model = ResolvedModel(name="m", folder=tmp_path)
        with pytest.raises(HarnessError, match=re.escape(message)), VLLM().open(model, SETTINGS, options):
            pass


@pytest.mark.usefixtures("installed")
def test_a_gguf_file_is_for_another_sampler(tmp_path: Path) -> None:
    model = ResolvedModel(name="m", file=tmp_path / "m.gguf")
    with pytest.raises(HarnessError, match="use --sampler openvino"), VLLM().open(model, SETTINGS, {}):
        pass


def test_what_decides_the_chains_is_in_the_fingerprint_and_parallelism_is_not() -> None:
    plain = VLLM().identity({})
    for name, value in (("tensor_parallel", "8"), ("data_parallel", "4"), ("gpu_memory", "0.5")):
        assert VLLM().identity({name: value}) == plain
    for name, value in (("dtype", "float16"), ("quantization", "fp8"), ("engine_args", '{"seed": 1}')):
        assert VLLM().identity({name: value}) != plain


def test_the_first_error_of_a_log_is_the_cause_and_its_echoes_are_not() -> None:
    log = """
(Worker pid=7) ERROR 11-23 04:05:43 [a.py:7] Traceback (most recent call last):
(Worker pid=7) ERROR 11-23 04:05:43 [a.py:7] torch.OutOfMemoryError: CUDA out of memory. Tried 2 GiB
(EngineCore pid=6) ERROR 11-23 04:05:44 [core.py:9] Exception: WorkerProc initialization failed due to ...
RuntimeError: Engine core initialization failed. See root cause above.
"""
    assert first_error(log) == "OutOfMemoryError: CUDA out of memory. Tried 2 GiB"
    assert first_error("INFO: 3 errors\nFutureWarning: old") is None


PARENT = """
import multiprocessing, sys, time
from harness_plugins.samplers.vllm._children import Children

if __name__ == "__main__":
    children = Children()
    with children.adopted():
        child = multiprocessing.get_context("spawn").Process(target=time.sleep, args=(1000,))
        child.start()
    print(child.pid, children.log, flush=True)
    time.sleep(1000)
"""


@pytest.mark.skipif(not hasattr(os, "pidfd_open"), reason="needs Linux")
def test_its_processes_do_not_outlive_a_harness_that_is_killed(tmp_path: Path) -> None:
    script = tmp_path / "parent.py"
    script.write_text(PARENT)
    with subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True) as parent:
        assert parent.stdout is not None
        pid, log = parent.stdout.readline().split()
        os.kill(parent.pid, signal.SIGKILL)
    deadline = time.monotonic() + 10
    while _runs(int(pid)):
        assert time.monotonic() < deadline
        time.sleep(0.1)
    Path(log).unlink()


def _runs(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes() != b""  # a zombie has none
    except OSError:
        return False


def test_a_signal_that_ended_a_process_is_told_and_its_words_are_kept_off_the_terminal(
    capfd: pytest.CaptureFixture[str],
) -> None:
    import multiprocessing

    children = Children()
    with children.adopted():
        child = multiprocessing.get_context("spawn").Process(target=_shout_and_die, name="Shouter")
        child.start()
    child.join(30)
    assert children.cause() == "its process Shouter was ended by signal 9, perhaps for want of memory"
    assert children.log is not None
    assert "aaargh" in children.log.read_text()
    children.close(keep_log=False)
    assert not children.log.exists()
    captured = capfd.readouterr()
    assert "aaargh" not in captured.out + captured.err


def _shout_and_die() -> None:
    print("aaargh", flush=True)
    os.kill(os.getpid(), signal.SIGKILL)
