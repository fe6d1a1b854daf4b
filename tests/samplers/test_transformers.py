"""The transformers sampler, on a tiny model with real files."""

from __future__ import annotations

import os
import random
import re
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from harness import Chain, ChainKey, HarnessError, Message, Prompt, Request, SamplingSettings
from harness.models import ResolvedModel, resolve_model
from harness_plugins.samplers import transformers as plugin
from harness_plugins.samplers.transformers import Transformers

torch = pytest.importorskip("torch", reason="needs the transformers extra")
pytest.importorskip("transformers", reason="needs the transformers extra")

from ..conftest import ROOT  # noqa: E402
from .tiny import make_tiny_model  # noqa: E402

QUESTIONS = ["What is 1 + 4?", "What is 22 + 25? It is not 48. " * 4, "2 + 5?"]


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Threads that wait for each other crawl on a busy machine, and this model needs none."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


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
    from harness_plugins.samplers.transformers._draw import draw

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
    from harness_plugins.samplers.transformers._draw import draw

    logits = torch.zeros(2000, 1000)
    logits[::2, 7] = 20.0  # every other row is certain of token 7
    uniforms = torch.linspace(0, 1, 2001, dtype=torch.float64)[:-1]
    drawn = draw(logits, uniforms, 1.0, 0.95)
    assert (drawn[::2] == 7).all()
    assert len(set(drawn[1::2].tolist())) > 900


def test_half_precision_draws_are_made_in_single_precision() -> None:
    """In bfloat16 itself the cumulated probabilities of many small ones would stop growing at a half."""
    from harness_plugins.samplers.transformers._draw import draw

    logits = torch.zeros(20_000, 500, dtype=torch.bfloat16)
    uniforms = torch.rand(20_000, dtype=torch.float64, generator=torch.Generator().manual_seed(1))
    drawn = draw(logits, uniforms, 0.6, 1.0)
    assert abs(float((drawn < 250).float().mean()) - 0.5) < 0.02
    assert len(drawn.unique()) == 500
    assert (draw(logits * 1e4 + 3e38, uniforms, 0.01, 0.95) >= 0).all()


def test_many_rows_are_drawn_a_few_at_a_time(monkeypatch: pytest.MonkeyPatch) -> None:
    """So that what drawing takes has a bound; the tokens are the same."""
    from harness_plugins.samplers.transformers import _draw

    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(50, 1000, generator=generator)
    logits[::7] *= 0.01  # flat: these are sorted whole
    uniforms = torch.rand(50, dtype=torch.float64, generator=generator)
    at_once = _draw.draw(logits, uniforms, 0.6, 0.95)
    monkeypatch.setattr(_draw, "_CELLS", 8000)
    assert (_draw.draw(logits, uniforms, 0.6, 0.95) == at_once).all()


def test_bfloat16_weights_are_sampled_as_such(model: ResolvedModel) -> None:
    chains = sample(model, requests(3), dtype="bfloat16")
    assert len({chain.text for chain in chains.values()}) == 9
    with Transformers().open(
        model, SamplingSettings(1.0, 1.0, 20), {"device": "cpu", "dtype": "bfloat16"}
    ) as engine:
        assert engine.info["precision"] == "bfloat16"


def test_memory_that_runs_out_at_any_moment_changes_no_chain(
    model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """In the middle of a layer, of a prompt, or while slots are made: fewer chains at once, the same texts."""
    from harness_plugins.samplers.transformers import _kv_cache

    wanted = requests(8)
    undisturbed = sample(model, wanted)
    total = 0
    for seed in range(6):
        dice = random.Random(seed)
        failures: list[str] = []

        def sometimes(
            kind: Any, name: str, chance: float, dice: random.Random = dice, failures: list[str] = failures
        ) -> Any:
            method = getattr(kind, name)

            def fails(self: Any, *arguments: Any) -> Any:
                if len(failures) < 3 and dice.random() < chance:
                    failures.append(name)
                    raise torch.OutOfMemoryError("out of memory")
                return method(self, *arguments)

            return fails

        settings = SamplingSettings(1.0, 0.95, 40)
        with (
            Transformers().open(model, settings, {"device": "cpu"}) as engine,
            monkeypatch.context() as patch,
        ):
            for kind, name, chance in (
                (_kv_cache.Slots, "attend", 0.05),
                (_kv_cache.Slots, "_allocate", 0.5),
                (_kv_cache.Slots, "_copy", 0.2),
                (_kv_cache.ReadPrompt, "attend", 0.05),
            ):
                patch.setattr(kind, name, sometimes(kind, name, chance))
            chains = list(engine.sample(wanted))
        total += len(failures)
        assert len(chains) == len(wanted)
        assert {chain.key: chain for chain in chains} == undisturbed
    assert total >= 12


def test_the_longest_chains_stay_when_memory_runs_out(
    model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness_plugins.samplers.transformers._kv_cache import Slots

    forward, sizes = Slots.forward, []

    def small_machine(self: Any, model: Any, tokens: Any, *arguments: Any) -> Any:
        sizes.append(len(tokens))
        if len(sizes) == 12:
            raise torch.OutOfMemoryError("out of memory")
        return forward(self, model, tokens, *arguments)

    wanted = requests(4)
    undisturbed = sample(model, wanted)
    monkeypatch.setattr(Slots, "forward", small_machine)
    with Transformers().open(model, SamplingSettings(1.0, 0.95, 40), {"device": "cpu"}) as engine:
        assert {chain.key: chain for chain in engine.sample(wanted)} == undisturbed
        drawn, kept = (
            engine.usage["completion_tokens"],
            sum(c.completion_tokens for c in undisturbed.values()),
        )
    # Of at most 12 chains, half lost at most 11 tokens each.
    assert kept < drawn <= kept + 6 * 11


def test_not_even_one_chain_fits(model: ResolvedModel, monkeypatch: pytest.MonkeyPatch) -> None:
    from harness_plugins.samplers.transformers._kv_cache import Slots

    settings = SamplingSettings(1.0, 0.95, 40)
    with Transformers().open(model, settings, {"device": "cpu"}) as engine:

        def no_memory(*arguments: object) -> object:
            raise torch.OutOfMemoryError("out of memory")

        monkeypatch.setattr(Slots, "forward", no_memory)
        with pytest.raises(HarnessError, match="not enough memory for one chain"):
            list(engine.sample(requests(8)))


def test_a_batch_is_as_large_as_memory_allows_at_full_length() -> None:
    """A model of 14 billion weights in bfloat16, chains of 16,384 tokens, on GPUs of 80 and of 141 GB."""
    from harness_plugins.samplers.transformers._kv_cache import LayerShape
    from harness_plugins.samplers.transformers._memory import Footprint

    footprint = Footprint(
        [LayerShape(8, 128, 128)] * 48,
        heads=40,
        width=8 * 5120 + 4 * 13824 + 3 * 2 * 40 * 128,
        vocabulary=152_064,
        itemsize=2,
    )
    assert footprint.token == 196_608
    columns, weights = 16_384 + 512, 29.6e9
    for memory, least, most in ((80e9, 11, 14), (141e9, 26, 31)):
        free = 0.9 * (memory - weights)
        rows = footprint.rows(free, columns, 16_384, 512)
        assert least <= rows <= most
        assert rows * columns * footprint.token < footprint.total(rows, columns, 16_384, 512) <= free
    assert footprint.rows(1e9, columns, 16_384, 512) == 0


_FRESH = "HARNESS_TEST_IN_A_FRESH_PROCESS"


def _peak_of(work: Any) -> int:
    """Bytes by which the process grew at most while it did some work."""
    status, reset = Path("/proc/self/status"), Path("/proc/self/clear_refs")
    if not reset.exists():
        pytest.skip("the peak of memory is read from Linux's /proc")

    def field(name: str) -> int:
        line = next(line for line in status.read_text().split("\n") if line.startswith(name))
        return int(line.split()[1]) << 10

    try:
        reset.write_text("5")
    except OSError:
        pytest.skip("the peak of memory cannot be reset here")
    before = field("VmRSS")
    work()
    return field("VmHWM") - before


def _with_large_keys(folder: Path) -> Path:
    """A model whose keys and values outweigh all else."""
    import transformers

    config = transformers.AutoConfig.from_pretrained(folder)
    config.update({"hidden_size": 512, "num_attention_heads": 8, "num_key_value_heads": 4})
    config.max_position_embeddings = 900
    transformers.Qwen2ForCausalLM(config).save_pretrained(folder)
    return folder


def test_chains_of_full_length_take_no_more_memory_than_was_reckoned(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness_plugins.samplers.transformers import _batch, _engine

    if _FRESH not in os.environ:
        # Memory that other tests have given back would hide what this one takes.
        name = "test_chains_of_full_length_take_no_more_memory_than_was_reckoned"
        again = [sys.executable, "-m", "pytest", "-q", "-p", "no:xdist", "-p", "no:cacheprovider"]
        done = subprocess.run(
            [*again, f"{__file__}::{name}"],
            env={**os.environ, _FRESH: "1"},
            cwd=ROOT,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout
        return
    # Every chain runs to its full length, in rows that are moved about.
    monkeypatch.setattr(_engine, "_stop_ids", lambda model, tokenizer: set())
    monkeypatch.setattr(_batch, "_LEAST_SAVING", 1)
    monkeypatch.setattr(_batch, "_CUT_EVERY", 4)
    monkeypatch.setattr(_batch, "_SORT_EVERY", 4)
    model = resolve_model(str(_with_large_keys(make_tiny_model(tmp_path / "model"))), [])
    settings = SamplingSettings(1.0, 0.95, 300, longest_prompt=200)
    with Transformers().open(model, settings, {"device": "cpu", "max_in_flight": "16"}) as engine:
        list(engine.sample(requests(1)))  # what the libraries take once
        peak = _peak_of(lambda: list(engine.sample(requests(6))))
        footprint = engine._footprint  # type: ignore[attr-defined]
        assert footprint.token == 2 * 2 * 4 * 64 * 4
    from harness_plugins.samplers.transformers._draw import WORKSPACE

    # Drawing takes its share of the workspace only from large vocabularies; it must not hide what the rest takes.
    bound = footprint.total(16, 300 + 350, 300, 200) - WORKSPACE
    slots = 16 * 330 * footprint.token
    assert 0.7 * slots < peak < bound < 5 * slots


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
    options = {"device": "cpu", "max_in_flight": "7"}
    with Transformers().open(model, SamplingSettings(1.0, 1.0, 20), options) as engine:
        info = engine.info
        assert info["precision"] == "float32"
        assert info["version"]
        assert info["torch"]
        assert (info["device"], info["devices"], info["context"]) == ("cpu", 1, 512)
        assert info["max_in_flight"] == 7
        assert info["batch_invariant"] is False


# -- requests as they come -------------------------------------------------------------------------


def test_a_request_is_taken_only_when_there_is_room_for_it(model: ResolvedModel) -> None:
    taken = 0

    def coming() -> Iterator[Request]:
        nonlocal taken
        for request in requests(10):
            taken += 1
            yield request

    options = {"device": "cpu", "max_in_flight": "4"}
    with Transformers().open(model, SamplingSettings(1.0, 1.0, 30), options) as engine:
        assert engine.lazy
        for done, _ in enumerate(engine.sample(coming())):
            assert taken <= done + 4 + 1  # one that does not share the prompt of the last may be waiting
        assert done == 29


def test_a_prompt_is_read_once_for_its_chains(model: ResolvedModel) -> None:
    """Also where they do not all fit in at once."""
    options = {"device": "cpu", "max_in_flight": "3"}
    with Transformers().open(model, SamplingSettings(1.0, 1.0, 30), options) as engine:
        chains = list(engine.sample(requests(10)))
        lengths = {chain.problem_id: chain.prompt_tokens for chain in chains}
        assert engine.usage["prompt_tokens"] == sum(length or 0 for length in lengths.values())
        assert engine.usage["completion_tokens"] == sum(chain.completion_tokens or 0 for chain in chains)


def test_a_prompt_longer_than_was_foreseen_gets_its_place(model: ResolvedModel) -> None:
    questions = ["2 + 5?", "What is 22 + 25? " * 20, "2 + 6?"]
    wanted = requests(3, questions)
    settings = SamplingSettings(1.0, 0.95, 20, longest_prompt=10)
    with Transformers().open(model, settings, {"device": "cpu", "max_in_flight": "4"}) as engine:
        chains = {chain.key: chain for chain in engine.sample(wanted)}
    assert chains == sample(model, wanted, max_tokens=20)


def test_rows_of_different_length_are_attended_to_apart(
    model: ResolvedModel, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Rows are sorted by length and cut into runs, over and over; no chain changes by it."""
    from harness_plugins.samplers.transformers import _batch as batch
    from harness_plugins.samplers.transformers._kv_cache import Run, columns_of, runs_of

    wanted = [
        request for number in range(5) for request in requests(2, [f"{number} + 5? " * (1 + 7 * number)])
    ]
    wanted = [Request(ChainKey("b", f"p{n // 2}", n % 2), r.prompt, r.seed) for n, r in enumerate(wanted)]
    alone = {}
    for request in wanted:
        alone |= sample(model, [request])
    seen = set()

    def spy(*arguments: Any) -> list[Run]:
        runs = runs_of(*arguments)
        seen.add(len(runs))
        return runs

    for name, value in (("_LEAST_SAVING", 1), ("_CUT_EVERY", 1), ("_SORT_EVERY", 3), ("runs_of", spy)):
        monkeypatch.setattr(batch, name, value)
    together = sample(model, wanted, max_in_flight="7")
    assert max(seen) >= 3
    assert {k: c.text for k, c in together.items()} == {k: c.text for k, c in alone.items()}

    runs = runs_of([16_000] * 2 + [200] * 30 + [0] * 4, 4, 100)
    assert columns_of(runs) == 2 * 16_001 + 34 * 201 or columns_of(runs) < 2 * 16_001 + 34 * 202
    assert [run.even for run in runs][:2] == [True, True]
    assert runs_of([10, 12, 11], 4, 100) == [Run(0, 3, 13, even=False)]


# -- prompts and where chains end ------------------------------------------------------------------


def test_a_raw_prompt_gets_no_chat_template(model: ResolvedModel) -> None:
    import transformers

    tokenizer = transformers.AutoTokenizer.from_pretrained(model.folder)
    text = "What is 1 + 4? It is"
    request = Request(ChainKey("b", "p", 0), Prompt((), text), seed=1)
    chain = sample(model, [request])[request.key]
    assert chain.prompt_tokens == len(tokenizer(text)["input_ids"])


def stopped(wanted: list[Request], *stop: str) -> list[Request]:
    prompts = {request.prompt: Prompt(request.prompt.messages, stop=stop) for request in wanted}
    return [Request(request.key, prompts[request.prompt], request.seed) for request in wanted]


def test_a_stop_text_ends_a_chain_and_is_no_part_of_it(model: ResolvedModel) -> None:
    """Also one that begins in one token and ends in another."""
    wanted = requests(6)
    free = sample(model, wanted)
    texts = [chain.text for chain in free.values() if len(chain.text) > 30]
    for stop in (texts[0][10:12], texts[1][8:13], texts[2][20:21]):
        chains = sample(model, stopped(wanted, stop, "never said"))
        assert any(stop in chain.text for chain in free.values())
        for key, chain in chains.items():
            before, found, _ = free[key].text.partition(stop)
            assert chain.text == before
            if found:
                assert chain.finish_reason == "stop"
                assert (chain.completion_tokens or 0) <= (free[key].completion_tokens or 0)
            else:
                assert chain == free[key]


def test_a_stop_text_may_be_a_special_token(model: ResolvedModel) -> None:
    wanted = requests(20)
    chains = sample(model, stopped(wanted, "<|endoftext|>"), max_tokens=100)
    free = sample(model, wanted, max_tokens=100)
    shorter = [k for k in chains if (chains[k].completion_tokens or 0) < (free[k].completion_tokens or 0)]
    assert shorter  # this model says it now and then
    for key in shorter:
        assert free[key].text.startswith(chains[key].text)


def test_text_is_made_of_whole_characters_and_stop_texts_are_never_told() -> None:
    from harness_plugins.samplers._token_text import TokenText

    dice = random.Random(1)
    data = "Größe: 4 ⋅ 𝟚 = 8 ✓ STOP it".encode()
    for _ in range(200):
        told: list[str] = []

        def hear(piece: str, told: list[str] = told) -> None:
            told.append(piece)

        pieces, at = [], 0
        while at < len(data):  # tokens are byte strings of any length, as in byte-level vocabularies
            size = dice.choice((1, 1, 1, 2, 3, 5))
            pieces.append(data[at : at + size])
            at += size
        text = TokenText(
            lambda ids, pieces=pieces: b"".join(pieces[i] for i in ids).decode("utf-8", "replace"),
            ("STOP", "8 ✗"),
            hear,
        )
        ended = False
        for token in range(len(pieces)):
            ended = text.add(token)
            assert "Größe: 4 ⋅ 𝟚 = 8 ✓ ".startswith("".join(told))
            if ended:
                break
        assert ended
        assert text.finish() == "".join(told) == "Größe: 4 ⋅ 𝟚 = 8 ✓ "


def test_bytes_that_are_no_text_are_not_waited_for() -> None:
    from harness_plugins.samplers._token_text import TokenText

    sizes = []

    def decode(ids: Any) -> str:
        sizes.append(len(ids))
        return bytes(ids).decode("utf-8", "replace")

    text = TokenText(decode, ("stop",))
    for _ in range(500):
        assert not text.add(0x9F)
    assert text.finish() == "\ufffd" * 500
    assert max(sizes) <= 100


def test_streamed_text_is_the_chains_text(model: ResolvedModel) -> None:
    wanted = requests(8)
    chains = sample(model, wanted)
    with Transformers().open(model, SamplingSettings(1.0, 0.95, 40), {"device": "cpu"}) as engine:
        for request in wanted:
            pieces: list[str] = []
            chain = engine.stream(request, pieces.append)
            assert chain == chains[request.key]
            assert "".join(pieces) == chain.text
            assert len(pieces) > 1 or (chain.completion_tokens or 0) < 12
        assert list(engine.sample([wanted[0]])) == [chains[wanted[0].key]]


# -- chains that are no longer wanted --------------------------------------------------------------


def test_dropped_chains_do_not_come_and_the_others_do(model: ResolvedModel) -> None:
    wanted = requests(10)
    undisturbed = sample(model, wanted)
    options = {"device": "cpu", "max_in_flight": "8"}
    with Transformers().open(model, SamplingSettings(1.0, 0.95, 40), options) as engine:
        seen = {}
        dropped: set[ChainKey] = set()
        for chain in engine.sample(wanted):
            assert chain.key not in dropped
            seen[chain.key] = chain
            if not dropped:
                dropped = {r.key for r in wanted if r.key.problem_id in ("p0", "p2")} - seen.keys()
                worker = threading.Thread(target=engine.drop, args=(dropped,))
                worker.start()
                worker.join()
        assert seen.keys() == undisturbed.keys() - dropped
        assert all(undisturbed[key] == chain for key, chain in seen.items())
        again = {chain.key: chain for chain in engine.sample(wanted)}  # another call wants them again
    assert again == undisturbed


# -- architectures ---------------------------------------------------------------------------------


def _tiny(family: str) -> Any:
    import transformers

    config_class, model_class, extra = {
        "llama": ("LlamaConfig", "LlamaForCausalLM", {}),
        "qwen3": ("Qwen3Config", "Qwen3ForCausalLM", {"head_dim": 32}),
        "mistral": ("MistralConfig", "MistralForCausalLM", {"sliding_window": 9}),
        "gemma2": ("Gemma2Config", "Gemma2ForCausalLM", {"head_dim": 16, "sliding_window": 8}),
        "gpt_oss": (
            "GptOssConfig",
            "GptOssForCausalLM",
            {"head_dim": 16, "sliding_window": 8, "num_local_experts": 4, "num_experts_per_tok": 2},
        ),
    }[family]
    config = getattr(transformers, config_class)(
        vocab_size=300,
        hidden_size=64,
        intermediate_size=96,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=256,
        initializer_range=0.2,
        pad_token_id=0,
        **extra,
    )
    torch.manual_seed(0)
    return getattr(transformers, model_class)(config).eval()


@pytest.mark.parametrize("family", ["llama", "qwen3", "mistral", "gemma2", "gpt_oss"])
def test_logits_are_those_of_the_librarys_own_attention(family: str) -> None:
    """Grouped heads, windows, capped logits and attention sinks, with rows of different length."""
    from harness_plugins.samplers.transformers._kv_cache import ATTENTION, ReadPrompt, Slots, runs_of
    from harness_plugins.samplers.transformers._load import check

    model = _tiny(family)
    check_me = _tiny(family)
    check_me.set_attn_implementation(ATTENTION)
    model.set_attn_implementation("eager")
    check(check_me, None)
    generator = torch.Generator().manual_seed(3)
    texts = [torch.randint(1, 300, (length,), generator=generator).tolist() for length in (40, 25, 14)]
    store, steps = Slots(3, 48), 6
    with torch.inference_mode():
        expected = [model(torch.tensor([ids])).logits[0] for ids in texts]
        for slot, ids in enumerate(texts):
            prompt = ReadPrompt.read(check_me, ids[:-steps])
            assert torch.allclose(prompt.logits[0], expected[slot][-steps - 1], atol=2e-3)
            store.place(prompt, [slot])
        for step in range(steps, 0, -1):
            lengths = [len(ids) - step for ids in texts]
            logits = store.forward(
                check_me,
                torch.tensor([ids[-step] for ids in texts]),
                torch.tensor(lengths),
                runs_of(lengths, 2, 1),
            )
            for slot in range(3):
                assert torch.allclose(logits[slot], expected[slot][-step], atol=2e-3)


def test_models_with_other_kinds_of_layers_are_refused() -> None:
    import transformers

    from harness_plugins.samplers.transformers._kv_cache import ATTENTION
    from harness_plugins.samplers.transformers._load import check

    mamba = transformers.MambaForCausalLM(
        transformers.MambaConfig(vocab_size=300, hidden_size=32, num_hidden_layers=2, state_size=4)
    )
    with pytest.raises(HarnessError, match="does not run mamba models: "):
        check(mamba, None)
    hybrid = transformers.Lfm2Config(
        vocab_size=300,
        hidden_size=32,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        layer_types=["conv", "full_attention"],
    )
    conv = transformers.Lfm2ForCausalLM(hybrid)
    conv.set_attn_implementation(ATTENTION)
    with pytest.raises(HarnessError, match="does not run lfm2 models: they have layers other than attention"):
        check(conv, None)
