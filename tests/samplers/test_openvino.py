"""The openvino sampler on a real model of 135 million weights."""

from __future__ import annotations

import json
import os
import re
import shutil
import threading
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from harness import Chain, ChainKey, Engine, HarnessError, Message, Prompt, Request, SamplingSettings
from harness.models import ResolvedModel, resolve_model
from harness_plugins.models import harness_models
from harness_plugins.samplers import openvino as plugin
from harness_plugins.samplers.openvino import OpenVINO
from harness_plugins.samplers.weights import openvino_gguf

SETTINGS = SamplingSettings(temperature=0.6, top_p=0.95, max_tokens=24)


@pytest.fixture(scope="module")
def model() -> ResolvedModel:
    pytest.importorskip("openvino_genai", reason="needs the cpu extra")
    model = resolve_model("smollm2-135m", harness_models())
    try:
        openvino_gguf(model)
    except HarnessError as error:
        pytest.skip(f"smollm2-135m cannot be had here: {error}")
    return model


@contextmanager
def opened(model: ResolvedModel, settings: SamplingSettings = SETTINGS, **options: str) -> Iterator[Engine]:
    with OpenVINO().open(model, settings, {"cache_gb": "0.5", **options}) as engine:
        yield engine


@pytest.fixture(scope="module")
def exact(model: ResolvedModel) -> Iterator[Engine]:
    """An engine in full precision."""
    with opened(model, precision="f32") as engine:
        yield engine


def requests(problems: int, n: int) -> list[Request]:
    prompts = [Prompt((Message("user", f"Say something about the number {i}."),)) for i in range(problems)]
    return [
        Request(ChainKey("made-up", f"p{i}", index), prompt, seed=1000 * i + index)
        for i, prompt in enumerate(prompts)
        for index in range(n)
    ]


def sample(engine: Engine, wanted: list[Request]) -> dict[ChainKey, Chain]:
    chains = list(engine.sample(wanted))
    assert Counter(c.key for c in chains) == Counter(r.key for r in wanted)
    return {chain.key: chain for chain in chains}


def test_in_full_precision_a_chain_depends_on_its_seed_alone(exact: Engine) -> None:
    """The same text in a crowd, alone, and after others: a run that is topped up equals one made at once."""
    wanted = requests(problems=3, n=6)
    together = sample(exact, wanted)
    assert len({chain.text for chain in together.values()}) == len(wanted)
    for request in wanted[::5]:
        assert sample(exact, [request])[request.key] == together[request.key]


def test_chains_that_wait_for_room_in_the_cache_come_out_the_same(
    model: ResolvedModel, exact: Engine
) -> None:
    wanted = requests(problems=2, n=4)
    with opened(model, precision="f32", cache_gb="0.03") as cramped:
        assert sample(cramped, wanted) == sample(exact, wanted)


def test_tokens_are_counted_and_cut_chains_are_said_to_be_cut(exact: Engine) -> None:
    chains = sample(exact, requests(problems=4, n=8)).values()
    cut = [c for c in chains if c.finish_reason == "length"]
    assert cut
    assert all(c.completion_tokens == SETTINGS.max_tokens and c.truncated for c in cut)
    assert all(1 <= (c.completion_tokens or 0) <= SETTINGS.max_tokens for c in chains)
    assert {c.prompt_tokens for c in chains} == {38}


def test_an_answer_that_ends_is_said_to_have_ended(model: ResolvedModel) -> None:
    prompt = Prompt((Message("user", "What is the capital of France?"),))
    request = Request(ChainKey("made-up", "p", 0), prompt, seed=1)
    with opened(model, SamplingSettings(0.0, 1.0, 100), precision="f32") as engine:
        chain = sample(engine, [request])[request.key]
        assert chain.finish_reason == "stop"
        assert chain.text == "The capital of France is Paris."
        assert chain.completion_tokens == 8  # seven of text and the one that ends it
        other = Request(request.key, prompt, seed=99)
        assert sample(engine, [other])[request.key].text == chain.text  # greedy: no seed matters


def test_the_weights_mean_here_what_they_mean_elsewhere(model: ResolvedModel) -> None:
    """The expected text is transformers' greedy one in float32, on the published file. OpenVINO by itself reads
    that file's 4-bit blocks so coarsely that the sum comes out as 33."""
    question = "What is 13 + 22?\nPlease reason step by step, and put your final answer within \\boxed{}."
    request = Request(ChainKey("made-up", "p", 0), Prompt((Message("user", question),)), seed=1)
    with opened(model, SamplingSettings(0.0, 1.0, 48), precision="f32") as engine:
        assert (
            sample(engine, [request])[request.key].text == "13 + 22 = 35\n\nThe answer is within \\boxed{}."
        )


def test_chains_come_while_others_are_still_being_sampled(model: ResolvedModel) -> None:
    wanted = requests(problems=2, n=8)
    with opened(model, SamplingSettings(0.6, 0.95, 120)) as engine:
        start = time.monotonic()
        arrivals = [time.monotonic() - start for _ in engine.sample(wanted)]
    assert arrivals[0] < 0.9 * arrivals[-1]


def test_the_iterator_can_be_closed_and_the_engine_used_again(exact: Engine) -> None:
    wanted = requests(problems=2, n=5)
    chains = exact.sample(wanted)
    first = next(chains)
    start = time.monotonic()
    chains.close()  # type: ignore[attr-defined]
    assert time.monotonic() - start < 2
    assert sample(exact, wanted)[first.key] == first


def test_a_prompt_longer_than_the_context(exact: Engine) -> None:
    prompt = Prompt((Message("user", "many words " * 5000),))
    with pytest.raises(HarnessError, match=r"prompt of problem p has [\d,]+ tokens .* context is 8,192"):
        next(exact.sample([Request(ChainKey("made-up", "p", 0), prompt, seed=1)]))


def test_a_budget_that_memory_cannot_hold(model: ResolvedModel) -> None:
    with (
        pytest.raises(HarnessError, match=r"a chain of [\d,]+ tokens needs .* GB of cache.*raise cache_gb"),
        opened(model, SamplingSettings(0.6, 0.95, 4096), cache_gb="0.01"),
    ):
        pass


# -- what the run asks of an engine -----------------------------------------------------------------


class Feed:
    """An input that counts what was taken from it."""

    def __init__(self, wanted: list[Request]) -> None:
        self.wanted = wanted
        self.taken = 0

    def __iter__(self) -> Iterator[Request]:
        for request in self.wanted:
            self.taken += 1
            yield request


def test_requests_are_taken_only_as_room_comes(model: ResolvedModel) -> None:
    wanted = requests(problems=4, n=4)
    feed = Feed(wanted)
    seen = []
    with opened(model, precision="f32", max_in_flight="3") as engine:
        assert engine.lazy
        for chain in engine.sample(feed):
            seen.append(chain.key)
            assert feed.taken <= len(seen) + 3
    assert Counter(seen) == Counter(request.key for request in wanted)


def test_chains_do_not_depend_on_how_they_are_fed(model: ResolvedModel, exact: Engine) -> None:
    """One at a time, a few in flight, or all at once: in full precision the texts are the same."""
    wanted = requests(problems=3, n=3)
    together = sample(exact, wanted)
    assert {c.key: c for c in exact.sample(iter(reversed(wanted)))} == together
    with opened(model, precision="f32", max_in_flight="2") as engine:
        assert {c.key: c for c in engine.sample(iter(wanted))} == together


def test_the_budget_of_memory_is_kept_while_chains_are_fed(exact: Engine) -> None:
    """Room that a chain has taken is given back when it ends, is dropped, or is never begun."""
    wanted = requests(problems=2, n=6)
    whole = sample(exact, wanted)
    chains = exact.sample(iter(wanted))
    first = next(chains)
    dropped = {r.key for r in wanted if r.key != first.key and r.key.index % 2}
    exact.drop(dropped)
    rest = {chain.key: chain for chain in chains}
    assert rest.keys() | dropped | {first.key} == whole.keys()
    assert all(whole[key] == chain for key, chain in rest.items())
    assert sample(exact, wanted) == whole  # what was dropped is wanted again


def test_dropped_chains_are_stopped_and_never_begun(model: ResolvedModel) -> None:
    wanted = requests(problems=1, n=12)
    with opened(model, SamplingSettings(0.6, 0.95, 400), max_in_flight="4") as engine:
        feed = Feed(wanted)
        chains = engine.sample(feed)
        kept = wanted[-1].key
        first = next(chains)
        stopper = threading.Thread(target=engine.drop, args=({r.key for r in wanted} - {kept, first.key},))
        stopper.start()
        stopper.join()
        landed = [chain.key for chain in chains]
        assert kept in landed
        assert len(landed) <= 4  # those that ended in the step in which the first did, at most


def test_a_dropped_leader_takes_nobody_with_it(exact: Engine) -> None:
    wanted = requests(problems=1, n=4)
    exact.drop({wanted[0].key})
    assert {c.key for c in exact.sample(wanted)} == {r.key for r in wanted[1:]}


def test_all_chains_can_be_dropped(exact: Engine) -> None:
    wanted = requests(problems=2, n=3)
    chains = exact.sample(wanted)
    exact.drop({r.key for r in wanted})
    assert list(chains) == []
    assert len(sample(exact, wanted)) == 6


def greedy(model: ResolvedModel, prompt: Prompt, tokens: int = 40) -> Chain:
    with opened(model, SamplingSettings(0.0, 1.0, tokens), precision="f32") as engine:
        return next(iter(engine.sample([Request(ChainKey("made-up", "p", 0), prompt, seed=1)])))


def test_a_chain_ends_at_a_stop_text(model: ResolvedModel) -> None:
    messages = (Message("user", "What is the capital of France?"),)
    with opened(model, SamplingSettings(0.0, 1.0, 100), precision="f32") as engine:

        def ask(*stop: str) -> Chain:
            request = Request(ChainKey("made-up", "p", 0), Prompt(messages, stop=stop), seed=1)
            return next(iter(engine.sample([request])))

        whole = ask()
        assert whole.text == "The capital of France is Paris."
        cut = ask("nowhere", "is Pa")  # begins in one token and ends in the midst of another
        assert (cut.text, cut.finish_reason) == ("The capital of France ", "stop")
        assert cut.completion_tokens == 6  # up to the token that made the stop text whole
        assert ask("Rome") == whole
        assert ask("The").text == ""
        assert ask("France", "capital").text == "The "
        together = [Request(ChainKey("made-up", "p", i), Prompt(messages, stop=("is",)), i) for i in range(9)]
        assert {c.text for c in engine.sample(together)} == {"The capital of France "}
        assert ask() == whole


def test_a_raw_prompt_is_continued_as_it_stands(model: ResolvedModel) -> None:
    chain = greedy(model, Prompt((), text="one, two, three, four,", stop=("\n",)), tokens=12)
    assert chain.text.startswith(" five, six")
    assert chain.prompt_tokens == 8


def test_an_empty_prompt_is_one_clear_line(exact: Engine) -> None:
    request = Request(ChainKey("made-up", "p", 0), Prompt((), text=""), seed=1)
    with pytest.raises(HarnessError, match="the prompt of problem p is empty"):
        next(iter(exact.sample([request])))


def test_an_answer_is_told_as_it_is_written(exact: Engine) -> None:
    request = requests(1, 1)[0]
    pieces: list[str] = []
    chain = exact.stream(request, pieces.append)
    assert "".join(pieces) == chain.text
    assert len(pieces) > 5
    assert sample(exact, [request])[request.key] == chain


def test_a_problem_that_does_not_fit_costs_the_others_nothing(exact: Engine) -> None:
    fine = requests(problems=2, n=2)
    bad = Request(ChainKey("made-up", "long", 0), Prompt((Message("user", "many words " * 5000),)), seed=1)
    chains = exact.sample([*fine, bad])
    assert {next(chains).key for _ in fine} == {r.key for r in fine}
    with pytest.raises(HarnessError, match="prompt of problem long has"):
        next(chains)


def test_a_folder_of_openvino_ir_gives_the_same_chains(
    model: ResolvedModel, exact: Engine, tmp_path: Path
) -> None:
    """As OpenVINO GenAI itself saves a model: without our tokenizer's files."""
    folder = save_as_ir(openvino_gguf(model), tmp_path / "ir")
    wanted = requests(problems=2, n=2)
    expected = sample(exact, wanted)
    with opened(resolve_model(str(folder), []), precision="f32") as engine:
        assert {key: chain.text for key, chain in sample(engine, wanted).items()} == {
            key: chain.text for key, chain in expected.items()
        }
    with (
        pytest.raises(HarnessError, match="weights=q8_0 is for safetensors, and this model is OpenVINO IR"),
        opened(resolve_model(str(folder), []), weights="q8_0"),
    ):
        pass


def save_as_ir(gguf: Path, folder: Path) -> Path:
    import openvino_genai

    folder.mkdir()
    copy = folder / gguf.name
    shutil.copyfile(gguf, copy)
    openvino_genai.LLMPipeline(str(copy), "CPU", enable_save_ov_model=True)
    copy.unlink()
    config = {
        "model_type": "llama",
        "num_attention_heads": 9,
        "num_key_value_heads": 3,
        "num_hidden_layers": 30,
    }
    config |= {"hidden_size": 576, "max_position_embeddings": 8192}
    (folder / "config.json").write_text(json.dumps(config))
    return folder


def test_info_says_where_chains_came_from(exact: Engine) -> None:
    assert exact.info["precision"] == "f32"
    assert exact.info["batch_invariant"] is True
    assert exact.info["version"]
    assert exact.info["devices"] == 1
    assert exact.info["context"] == 8192
    assert exact.info["max_in_flight"] == 256
    assert exact.info["weights"].startswith("SmolLM2-135M")


def test_the_cache_takes_the_memory_that_was_reckoned(exact: Engine, model: ResolvedModel) -> None:
    with opened(model) as engine:
        for each in (engine, exact):
            sample(each, requests(1, 1))
            used = each._pipeline.get_metrics().kv_cache_size_in_bytes  # type: ignore[attr-defined]
            assert used / 1e9 == pytest.approx(each.info["kv_cache_gb"], abs=0.01)


def test_wrong_options_are_named(model: ResolvedModel) -> None:
    for options, message in (
        ({"precision": "f23"}, "precision='f23': did you mean f32"),
        ({"threads": "2.5"}, "threads='2.5' is not a whole number"),
        ({"max_in_flight": "-1"}, "max_in_flight='-1' is not a number above 0"),
    ):
        with pytest.raises(HarnessError, match=re.escape(message)), opened(model, **options):
            pass


def test_a_damaged_model_is_one_clear_line(model: ResolvedModel, tmp_path: Path) -> None:
    whole = openvino_gguf(model).read_bytes()
    file = tmp_path / "half.gguf"
    file.write_bytes(whole[: len(whole) // 2])
    with (
        pytest.raises(HarnessError, match=r"half\.gguf is damaged: it is cut off"),
        opened(ResolvedModel(name="half", file=file)),
    ):
        pass


# -- which sampler suits ----------------------------------------------------------------------------


def test_it_suits_models_with_a_gguf_where_there_is_no_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino_genai", reason="needs the cpu extra")
    known = harness_models()
    monkeypatch.setattr(plugin, "gpu_visible", lambda: False)
    fit = OpenVINO().fit(resolve_model("qwen2.5-coder-0.5b", known))
    assert fit.score > 50
    assert "no GPU" in fit.reason
    monkeypatch.setattr(plugin, "gpu_visible", lambda: True)
    assert OpenVINO().fit(resolve_model("qwen2.5-coder-0.5b", known)).score < 50


def test_it_converts_checkpoints_of_known_families(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("openvino_genai", reason="needs the cpu extra")
    monkeypatch.setattr(plugin, "gpu_visible", lambda: False)
    (tmp_path / "tokenizer.json").write_text("{}")

    def fit(**config: object) -> tuple[int, str]:
        (tmp_path / "config.json").write_text(json.dumps(config))
        found = OpenVINO().fit(ResolvedModel(name="m", folder=tmp_path))
        return found.score, found.reason

    for family in ("llama", "qwen2", "qwen3"):
        assert fit(model_type=family)[0] == 70
    score, reason = fit(model_type="mamba")
    assert (score, "mamba model; the openvino sampler converts llama, qwen2, qwen3" in reason) == (0, True)
    assert fit(model_type="qwen2", quantization_config={"bits": 4})[0] == 0
    assert OpenVINO().fit(resolve_model("Fathom-R1-14B", harness_models())).score == 70
    assert 0 < OpenVINO().fit(resolve_model("someone/unknown", [])).score < 40
    monkeypatch.setattr(plugin, "gpu_visible", lambda: True)
    assert fit(model_type="llama")[0] == 30


def test_a_missing_package_gives_the_command_that_mends_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(plugin.importlib.util, "find_spec", lambda name: None)
    model = resolve_model("smollm2-135m", harness_models())
    assert 'pip install "fathom-harness[cpu]"' in OpenVINO().fit(model).reason
    with pytest.raises(HarnessError, match=re.escape('pip install "fathom-harness[cpu]"')), opened(model):
        pass


def test_hidden_devices_do_not_count(monkeypatch: pytest.MonkeyPatch) -> None:
    from harness_plugins.samplers._device import available_memory, gpu_visible

    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", "")
    assert gpu_visible() is False
    assert 1 << 20 < available_memory() <= os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
