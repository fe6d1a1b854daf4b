"""The vllm sampler on the real engine, with a tiny model on the processor."""

from __future__ import annotations

import copy
import re
from collections import Counter
from collections.abc import Iterator

import pytest

from harness import Chain, ChainKey, Engine, HarnessError, Message, Prompt, Request, SamplingSettings
from harness.models import ResolvedModel
from harness_plugins.samplers.vllm import VLLM

from .conftest import CONTEXT, IN_FLIGHT, SETTINGS, needs_vllm

pytestmark = needs_vllm

GREEDY = SamplingSettings(temperature=0.0, top_p=1.0, max_tokens=40)
QUESTIONS = ["What is 1 + 4?", "What is 22 + 25? It is not 48. " * 4, "2 + 5?"]


def requests(n: int, prompts: list[Prompt] | None = None) -> list[Request]:
    prompts = prompts or [Prompt((Message("user", text),)) for text in QUESTIONS]
    return [
        Request(ChainKey("made-up", f"p{number}", index), prompt, seed=1000 * number + index)
        for number, prompt in enumerate(prompts)
        for index in range(n)
    ]


def at(engine: Engine, settings: SamplingSettings) -> Engine:
    """The same running vLLM, sampled at other settings."""
    twin = copy.copy(engine)
    twin._settings, twin._last = settings, None  # type: ignore[attr-defined]
    return twin


def sample(engine: Engine, wanted: list[Request]) -> dict[ChainKey, Chain]:
    chains = list(engine.sample(iter(wanted)))
    assert Counter(c.key for c in chains) == Counter(r.key for r in wanted)
    return {chain.key: chain for chain in chains}


def test_every_chain_comes_once_and_requests_are_taken_as_there_is_room(engine: Engine) -> None:
    wanted = requests(40)
    taken = 0

    def source() -> Iterator[Request]:
        nonlocal taken
        for request in wanted:
            taken += 1
            yield request

    given: list[ChainKey] = []
    ahead = 0
    for chain in engine.sample(source()):
        given.append(chain.key)
        ahead = max(ahead, taken - len(given))
    assert Counter(given) == Counter(request.key for request in wanted)
    assert given != [request.key for request in wanted]  # as they finish
    assert IN_FLIGHT < ahead < 3 * IN_FLIGHT


def test_a_chain_has_its_seed_and_comes_out_the_same_again(engine: Engine) -> None:
    """Alone, that is: in company the rounding of batched arithmetic may differ."""
    one, other = requests(2)[:2]
    first = sample(engine, [one])[one.key]
    assert sample(engine, [one])[one.key] == first
    assert first.seed == one.seed
    assert sample(engine, [other])[other.key].text != first.text
    assert len({chain.text for chain in sample(engine, requests(24)).values()}) > 60


def test_greedy_text_is_what_transformers_generate_gives(engine: Engine, model: ResolvedModel) -> None:
    import torch
    import transformers

    raw = [Prompt((), text="It is 48"), Prompt((), text=" 12 + 3 = <|im_end|>")]
    wanted = requests(1) + [
        Request(ChainKey("made-up", f"raw{i}", 0), prompt, seed=1) for i, prompt in enumerate(raw)
    ]
    chains = sample(at(engine, GREEDY), wanted)

    tokenizer = transformers.AutoTokenizer.from_pretrained(model.folder)
    reference = transformers.AutoModelForCausalLM.from_pretrained(model.folder, dtype=torch.float32)
    ends = set(reference.generation_config.eos_token_id)
    for request in wanted:
        if request.prompt.text is not None:
            ids = tokenizer(request.prompt.text)["input_ids"]
        else:
            messages = [{"role": "user", "content": request.prompt.messages[0].content}]
            ids = tokenizer.apply_chat_template(messages, add_generation_prompt=True)["input_ids"]
        out = reference.generate(
            torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=40
        )[0, len(ids) :].tolist()
        chain = chains[request.key]
        ended = out[-1] in ends
        assert chain.text == tokenizer.decode(out[:-1] if ended else out, skip_special_tokens=True)
        assert chain.finish_reason == ("stop" if ended else "length")
        assert (chain.prompt_tokens, chain.completion_tokens) == (len(ids), len(out))


def test_chains_end_at_an_end_token_or_at_the_budget(engine: Engine) -> None:
    chains = sample(engine, requests(24)).values()
    by_reason = Counter(chain.finish_reason for chain in chains)
    assert by_reason.keys() == {"stop", "length"}
    for chain in chains:
        assert (chain.completion_tokens == SETTINGS.max_tokens) >= chain.truncated
        assert 1 <= (chain.completion_tokens or 0) <= SETTINGS.max_tokens
        assert "<|im_end|>" not in chain.text


def test_the_context_cuts_a_chain_where_it_ends(engine: Engine) -> None:
    long = Prompt((), text="x" * (CONTEXT - 10))
    (chain,) = sample(engine, [Request(ChainKey("made-up", "p", 0), long, seed=3)]).values()
    assert (chain.completion_tokens or 0) <= 10
    assert (chain.prompt_tokens or 0) + (chain.completion_tokens or 0) <= CONTEXT


def test_a_prompt_longer_than_the_context(engine: Engine) -> None:
    wanted = requests(1, [Prompt((Message("user", "What is it? " * 400),))])
    with pytest.raises(HarnessError, match=r"prompt of problem p0 has [\d,]+ tokens .* context is 512"):
        sample(engine, wanted)
    sample(engine, requests(1))  # and the engine is as good as new


def test_stop_texts_end_a_chain_and_are_not_part_of_it(engine: Engine) -> None:
    """With the same seed the chain is the same up to there."""
    prompt = Prompt((Message("user", QUESTIONS[0]),))
    plain = [Request(ChainKey("made-up", "p", i), prompt, seed=i) for i in range(40)]
    found = None
    for request in plain:
        free = sample(engine, [request])[request.key]
        if found := re.search(r"(?<=.{12})[ -~]{2}(?=.{6})", free.text):
            break
    assert found is not None
    stop = found[0]
    stopping = Request(request.key, Prompt(prompt.messages, stop=("no such text", stop)), request.seed)
    chain = sample(engine, [stopping])[request.key]
    assert chain.text == free.text[: free.text.index(stop)]
    assert chain.finish_reason == "stop"
    assert (chain.completion_tokens or 0) < (free.completion_tokens or 0)


def test_dropped_chains_are_stopped_and_do_not_come(engine: Engine) -> None:
    wanted = requests(60)
    slow = at(engine, SamplingSettings(1.0, 0.95, 300))
    before = slow.usage
    given: list[ChainKey] = []
    dropped: set[ChainKey] = set()
    for chain in slow.sample(iter(wanted)):
        given.append(chain.key)
        if not dropped:
            # All that is left, in flight or not yet taken.
            dropped = {request.key for request in wanted if request.key.index % 3 != chain.key.index % 3}
            slow.drop(dropped)
    late = dropped.intersection(given)  # those that had come out of vLLM by then
    assert len(late) < len(dropped) // 4
    assert set(given) == {request.key for request in wanted} - dropped | late
    assert before is not None
    assert slow.usage is not None
    assert slow.usage["completion_tokens"] > before["completion_tokens"]
    sample(engine, requests(2))


def test_the_iterator_can_be_closed_and_the_engine_used_again(engine: Engine) -> None:
    chains = engine.sample(iter(requests(40)))
    next(chains)
    chains.close()  # type: ignore[attr-defined]
    sample(engine, requests(2))


def test_streaming_tells_the_text_as_it_is_written(engine: Engine) -> None:
    (request,) = requests(1, [Prompt((Message("user", QUESTIONS[1]),))])
    greedy = at(engine, GREEDY)
    pieces: list[str] = []
    chain = greedy.stream(request, pieces.append)
    assert "".join(pieces) == chain.text
    assert len(pieces) > 3
    assert chain == sample(greedy, [request])[request.key]


def test_prompts_are_read_once_for_all_their_chains(engine: Engine) -> None:
    prompt = Prompt((), text="x" * 300)
    before = engine.usage
    chains = sample(engine, requests(12, [prompt])).values()
    assert before is not None
    assert engine.usage is not None
    read = engine.usage["prompt_tokens"] - before["prompt_tokens"]
    assert {chain.prompt_tokens for chain in chains} == {300}
    assert 300 <= read < 12 * 300 / 2


def test_more_prompts_than_fit_in_a_step(engine: Engine) -> None:
    """They are not read in parts, which vLLM's seeded chains do not survive on a processor."""
    prompts = [Prompt((), text=letter * 450) for letter in "abcdefghijklmnop"]
    sample(engine, requests(1, prompts))


def test_info_says_where_chains_came_from(engine: Engine) -> None:
    info = engine.info
    assert info["engine"] == "vllm"
    assert info["version"]
    assert (info["device"], info["devices"]) == ("cpu", 1)
    assert (info["precision"], info["context"], info["max_in_flight"]) == ("float32", CONTEXT, IN_FLIGHT)
    assert info["batch_invariant"] is False
    assert info["prefix_caching"] is True


def test_what_vllm_refuses_is_one_clear_line(model: ResolvedModel) -> None:
    for options, message in (
        ({"quantization": "fp9"}, r"vLLM cannot start with .*fp9"),
        ({"context": "100000"}, r"vLLM cannot start with .*max_model_len"),
        ({"tensor_parallel": "3"}, r"vLLM cannot start with .*attention heads .* tensor parallel size"),
        (
            {"engine_args": '{"max_num_sequences": 3}'},
            r"no argument 'max_num_sequences': did you mean max_num_seqs",
        ),
    ):
        with pytest.raises(HarnessError, match=message) as caught, VLLM().open(model, SETTINGS, options):
            pass
        assert "\n" not in str(caught.value)
