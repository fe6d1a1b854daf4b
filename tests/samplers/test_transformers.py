"""The transformers sampler, on a tiny model with real files."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import pytest

from harness import Chain, ChainKey, HarnessError, Message, Prompt, Request, SamplingSettings
from harness.models import ResolvedModel, resolve_model
from harness_plugins.samplers import transformers as plugin
from harness_plugins.samplers.transformers import Transformers

torch = pytest.importorskip("torch", reason="needs the transformers extra")
pytest.importorskip("transformers", reason="needs the transformers extra")

from .tiny import make_tiny_model  # noqa: E402

QUESTIONS = ["What is 1 + 4?", "What is 22 + 25? It is not 48. " * 4, "2 + 5?"]


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> ResolvedModel:
    return resolve_model(str(make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")), [])


def requests(n: int, questions: list[str] = QUESTIONS) -> list[Request]:
    prompts = [Prompt((Message("user", text),)) for text in questions]
    return [
        Request(ChainKey("made-up", f"p{number}", index), prompt, seed=1000 * number + index)
        for number, prompt in enumerate(prompts)
        for index in range(n)
    ]


def sample(
    model: ResolvedModel,
    wanted: list[Request],
    temperature: float = 1.0,
    top_p: float = 0.95,
    max_tokens: int = 40,
    **options: str,
) -> dict[ChainKey, Chain]:
    settings = SamplingSettings(temperature, top_p, max_tokens)
    with Transformers().open(model, settings, {"device": "cpu", **options}) as engine:
        chains = list(engine.sample(wanted))
    assert Counter(c.key for c in chains) == Counter(r.key for r in wanted)
    return {chain.key: chain for chain in chains}


def test_greedy_text_is_what_the_librarys_own_generate_gives(model: ResolvedModel) -> None:
    import transformers

    chains = sample(model, requests(1), temperature=0)

    tokenizer = transformers.AutoTokenizer.from_pretrained(model.folder)
    reference = transformers.AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32)
    for request in requests(1):
        messages = [{"role": "user", "content": request.prompt.messages[0].content}]
        ids = tokenizer.apply_chat_template(
            messages, add_generation_prompt=True, return_tensors="pt", return_dict=True
        )
        out = reference.generate(**ids, do_sample=False, max_new_tokens=40)[0, ids["input_ids"].shape[1] :]
        chain = chains[request.key]
        assert chain.completion_tokens == len(out)
        assert chain.prompt_tokens == ids["input_ids"].shape[1]
        stopped = int(out[-1]) in reference.generation_config.eos_token_id
        assert chain.finish_reason == ("stop" if stopped else "length")
        assert chain.text == tokenizer.decode(out[:-1] if stopped else out, skip_special_tokens=True)


def test_a_chain_depends_on_its_seed_and_not_on_its_company(model: ResolvedModel) -> None:
    """Alone, with all others, and with rows that come and go: the same text, token for token."""
    wanted = requests(12)
    together = sample(model, wanted)
    in_turns = sample(model, wanted, max_in_flight="5")
    assert {k: c.text for k, c in in_turns.items()} == {k: c.text for k, c in together.items()}
    for request in wanted[::5]:
        assert sample(model, [request])[request.key] == together[request.key]
    assert len({c.text for c in together.values()}) == len(wanted)


def test_some_chains_stop_and_some_run_into_the_budget(model: ResolvedModel) -> None:
    chains = sample(model, requests(20)).values()
    assert {c.finish_reason for c in chains} == {"stop", "length"}
    assert all(c.completion_tokens == 40 for c in chains if c.finish_reason == "length")
    assert all(1 <= (c.completion_tokens or 0) <= 40 for c in chains)
    assert not any("<|im_end|>" in c.text for c in chains)


def test_chains_come_as_they_finish(model: ResolvedModel) -> None:
    with Transformers().open(model, SamplingSettings(1.0, 1.0, 60), {"device": "cpu"}) as engine:
        lengths = [chain.completion_tokens for chain in engine.sample(requests(16))]
    assert lengths == sorted(lengths)  # all set off together, so the short ones are home first


def test_the_iterator_can_be_closed_and_the_engine_used_again(model: ResolvedModel) -> None:
    with Transformers().open(model, SamplingSettings(1.0, 1.0, 20), {"device": "cpu"}) as engine:
        chains: Iterator[Chain] = engine.sample(requests(4))
        first = next(chains)
        chains.close()  # type: ignore[attr-defined]
        again = {c.key: c for c in engine.sample(requests(4))}
    assert again[first.key] == first
    assert len(again) == 12


def test_sampled_tokens_follow_the_distribution() -> None:
    from harness_plugins.samplers._draw import draw

    logits = torch.tensor([2.0, 1.0, 0.0, -1.0, -9.0]).repeat(40_000, 1)
    uniforms = torch.rand(40_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    for temperature, top_p in ((1.0, 1.0), (0.6, 0.95), (1.0, 0.7)):
        expected = torch.softmax(logits[0] / temperature, -1)
        kept = (expected.cumsum(0) - expected) < top_p  # already in descending order
        expected = expected * kept / (expected * kept).sum()
        drawn = draw(logits, uniforms, temperature, top_p)
        share = torch.bincount(drawn, minlength=5) / len(drawn)
        assert torch.allclose(share, expected, atol=0.01)
        assert set(drawn.tolist()) <= set(kept.nonzero().flatten().tolist())


def test_a_flat_distribution_needs_more_than_the_likeliest_few_hundred() -> None:
    from harness_plugins.samplers._draw import draw

    logits = torch.zeros(2000, 1000)
    logits[::2, 7] = 20.0  # every other row is certain of token 7
    uniforms = torch.linspace(0, 1, 2001, dtype=torch.float64)[:-1]
    drawn = draw(logits, uniforms, 1.0, 0.95)
    assert (drawn[::2] == 7).all()
    assert len(set(drawn[1::2].tolist())) > 900


def test_running_out_of_memory_means_smaller_batches(
    model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness_plugins.samplers._kv_cache import KeyValues

    wanted = requests(8)
    undisturbed = sample(model, wanted)
    forward = KeyValues.forward

    def small_machine(self: KeyValues, model: object, tokens: object) -> object:
        if self.mask.shape[0] > 6:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, model, tokens)

    monkeypatch.setattr(KeyValues, "forward", small_machine)
    assert sample(model, wanted) == undisturbed


def test_not_even_one_chain_fits(model: ResolvedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness_plugins.samplers._kv_cache import KeyValues

    def no_memory(*arguments: object) -> object:
        raise torch.OutOfMemoryError("out of memory")

    monkeypatch.setattr(KeyValues, "forward", no_memory)
    with pytest.raises(HarnessError, match="not enough memory for one chain"):
        sample(model, requests(8))


def test_the_budget_ends_where_the_context_ends(model: ResolvedModel) -> None:
    chains = sample(model, requests(2, ["2 + 5? " * 40]), max_tokens=16384)
    for chain in chains.values():
        assert (chain.prompt_tokens or 0) + (chain.completion_tokens or 0) <= 512
    with pytest.raises(HarnessError, match=r"prompt of problem p0 has [\d,]+ tokens .* context is 512"):
        sample(model, requests(1, ["2 + 5? " * 400]))


def test_wrong_options_are_named(model: ResolvedModel) -> None:
    with pytest.raises(HarnessError, match=r"dtype='float17'.*did you mean float16"):
        sample(model, requests(1), dtype="float17")
    with pytest.raises(HarnessError, match="max_in_flight='many' is not a number above 0"):
        sample(model, requests(1), max_in_flight="many")
    with pytest.raises(HarnessError, match="device='toaster' cannot be used here"):
        sample(model, requests(1), device="toaster")


def test_a_missing_package_gives_the_command_that_mends_it(
    model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(plugin, "_missing", lambda: ["torch"])
    with pytest.raises(HarnessError, match=re.escape('pip install "fathom-harness[transformers]"')):
        sample(model, requests(1))
    assert Transformers().fit(model).score == 0


def test_a_tokenizer_without_a_chat_template_is_refused(tmp_path: Path) -> None:
    folder = make_tiny_model(tmp_path / "bare")
    (folder / "chat_template.jinja").unlink()
    with pytest.raises(HarnessError, match="has no chat template"):
        sample(resolve_model(str(folder), []), requests(1))


def test_info_says_where_chains_came_from(model: ResolvedModel) -> None:
    with Transformers().open(model, SamplingSettings(1.0, 1.0, 20), {"device": "cpu"}) as engine:
        assert engine.info["precision"] == "float32"
        assert engine.info["version"]
        assert engine.info["torch"]
