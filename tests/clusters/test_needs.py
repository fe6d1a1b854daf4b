"""How replicas map to processors and GPUs, and clusters as a kind of plugin."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from harness import Fit, HarnessError, Opening, Sampler, SamplingSettings
from harness.models import ResolvedModel
from harness.plugins import load_plugins
from harness_plugins.clusters._needs import Needs, needs

from .stranger import install

DGX = {"CPU": 128.0, "GPU": 8.0}


class Bare(Sampler):
    name = "any"

    def fit(self, model):
        return Fit(1, "")

    def open(self, model, settings, options):
        raise AssertionError


class Server(Bare):
    runs_here = False


class Wide(Bare):
    def devices(self, options: Mapping[str, str]) -> int:
        return int(options["wide"])


def of(nodes: list[dict[str, float]], replicas: int, sampler: type[Sampler] = Bare, **options: str) -> Needs:
    opening = Opening(sampler(), ResolvedModel("m"), SamplingSettings(1.0, 1.0, 10), options)
    return needs(opening, nodes, replicas)


@pytest.fixture(autouse=True)
def _no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("HARNESS_RAY_NUM_GPUS", raising=False)
    monkeypatch.delenv("HARNESS_RAY_NUM_CPUS", raising=False)


def test_a_replica_takes_one_gpu_where_there_are_some() -> None:
    assert of([DGX, DGX], 16) == Needs(cpus=1, gpus=1)


@pytest.mark.parametrize(
    ("options", "gpus"),
    [
        ({"wide": "4"}, 4),
        ({"wide": "0"}, 0),
        ({"wide": "4", "device": "cpu"}, 0),
        ({"wide": "4", "device": "cuda"}, 4),
    ],
)
def test_the_sampler_says_over_how_many_gpus_its_engine_spreads(options: dict[str, str], gpus: float) -> None:
    assert of([DGX], 2, Wide, **options).gpus == gpus


def test_what_computes_elsewhere_takes_no_gpu() -> None:
    assert of([DGX], 2, Server).gpus == 0


def test_the_vllm_sampler_takes_the_product_of_its_parallel_sizes() -> None:
    vllm = load_plugins().sampler("vllm")
    assert vllm.devices({}) == 1
    assert vllm.devices({"tensor_parallel": "4", "data_parallel": "2"}) == 8
    assert load_plugins().sampler("openvino").devices({}) == 0


@pytest.mark.parametrize(
    ("cpus", "replicas", "each"),
    [
        ([2], 1, 2),
        ([2], 3, 1),  # more replicas than processors: those that find no room wait for it
        ([8, 8], 2, 8),
        ([8, 8], 3, 4),  # not 5, of which only two would fit
        ([0, 16, 4], 3, 5),
        ([], 2, 1),
    ],
)
def test_processors_are_shared_out_so_that_all_replicas_fit(
    cpus: list[float], replicas: int, each: int
) -> None:
    assert of([{"CPU": count} for count in cpus], replicas) == Needs(cpus=each, gpus=0)


def test_the_environment_has_the_last_word(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HARNESS_RAY_NUM_GPUS", "0.5")
    monkeypatch.setenv("HARNESS_RAY_NUM_CPUS", "6")
    assert of([DGX], 16, tensor_parallel="4") == Needs(cpus=6, gpus=0.5)


@pytest.mark.parametrize("value", ["-1", "two", "nan", "1.5"])
def test_settings_that_make_no_sense_are_refused(monkeypatch: pytest.MonkeyPatch, value: str) -> None:
    monkeypatch.setenv("HARNESS_RAY_NUM_GPUS", value)
    with pytest.raises(HarnessError, match=f"HARNESS_RAY_NUM_GPUS='?{value}"):
        of([DGX], 1)


def test_the_ray_cluster_is_found_by_name_and_does_not_import_ray() -> None:
    code = "import sys, harness.plugins as p; p.load_plugins().cluster('ray'); print('ray' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def test_a_missing_ray_is_named_with_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    cluster = load_plugins().cluster("ray")
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    opening = Opening(Bare(), ResolvedModel("m"), SamplingSettings(1.0, 1.0, 10), {})
    with pytest.raises(HarnessError, match=r'--replicas needs Ray: pip install "fathom-harness\[ray\]"'):
        cluster.open(opening, 2, None).__enter__()


def test_a_strangers_cluster_is_found_by_name(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Through the hook harness_clusters, as the built-in one."""
    monkeypatch.syspath_prepend(install("crowd", tmp_path).split(":")[0])
    cluster = load_plugins().cluster("crowd")
    opening: Any = Opening(_Echoes(), ResolvedModel("m"), SamplingSettings(1.0, 1.0, 10), {})
    with cluster.open(opening, 3, None) as engine:
        from harness import ChainKey, Message, Prompt, Request

        prompt = Prompt((Message("user", "hello"),))
        requests = [Request(ChainKey("bench", "p", index), prompt, seed=index) for index in range(10)]
        assert sorted(chain.index for chain in engine.sample(requests)) == list(range(10))
    with pytest.raises(HarnessError, match="no cluster is called 'crwd': did you mean crowd"):
        load_plugins().cluster("crwd")


class _Echoes(Bare):
    def open(self, model, settings, options):
        from contextlib import nullcontext

        from harness import Engine

        class Echo(Engine):
            def sample(self, requests):
                return (request.chain("echo") for request in requests)

        return nullcontext(Echo())
