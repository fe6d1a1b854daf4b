"""The lm-eval sampler: any of lm-eval's model types writes the chains."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("lm_eval")

from lm_eval.api.model import LM
from lm_eval.api.registry import model_registry, register_model

from harness import ChainKey, HarnessError, Message, Prompt, Request, SamplingSettings
from harness.models import ResolvedModel
from harness.plugins import PluginManager

from ..conftest import Command, one_line_error

RAW = Prompt((), text="What is 1 + 4?")
CHAT = Prompt((Message("system", "Be brief."), Message("user", "What is 1 + 4?")))


class Scribe(LM):
    """Answers with what it was asked, and fails after as many answers as it is told to."""

    def __init__(self, fail_after: int = 10**9, batch_size: int = 2) -> None:
        super().__init__()
        self.batch_size = batch_size
        self.calls: list[list[tuple[Any, dict[str, Any]]]] = []
        self.fail_after = int(fail_after)

    def generate_until(self, requests: list[Any], disable_tqdm: bool = False) -> list[str]:
        self.calls.append([request.args for request in requests])
        texts = []
        for number, request in enumerate(requests):
            if sum(map(len, self.calls[:-1])) + number >= self.fail_after:
                raise RuntimeError("the device fell off the bus")
            text = f"{request.args[0]} -> {len(self.calls)}.{number} Question: more"
            texts.append(text)
            self.cache_hook.add_partial("generate_until", request.args, text)
        return texts

    def loglikelihood(self, requests: list[Any]) -> Any:
        raise NotImplementedError

    def loglikelihood_rolling(self, requests: list[Any]) -> Any:
        raise NotImplementedError

    def apply_chat_template(
        self, chat_history: list[dict[str, str]], add_generation_prompt: bool = True
    ) -> str:
        turns = "".join(f"<{m['role']}>{m['content']}" for m in chat_history)
        return turns + ("<assistant>" if add_generation_prompt else "")


if "scribe" not in model_registry:
    register_model("scribe")(Scribe)


def requests_for(prompt: Prompt, count: int, problem: str = "p") -> list[Request]:
    return [Request(ChainKey("b", problem, i), prompt, seed=1000 + i) for i in range(count)]


def opened(plugins: PluginManager, temperature: float = 0.7, max_tokens: int = 40, **options: str) -> Any:
    sampler = plugins.sampler("lm-eval")
    return sampler.open(ResolvedModel("m"), SamplingSettings(temperature, 0.95, max_tokens), options)


def test_a_raw_prompt_reaches_the_model_as_it_stands_with_the_runs_settings(plugins: PluginManager) -> None:
    with opened(plugins, variant="scribe") as engine:
        list(engine.sample(requests_for(RAW, 1)))
        ((context, settings),) = engine._lm.calls[0]
    assert context == "What is 1 + 4?"
    assert settings == {"until": [], "max_gen_toks": 40, "do_sample": True, "temperature": 0.7, "top_p": 0.95}


def test_messages_are_rendered_by_the_models_chat_template(plugins: PluginManager) -> None:
    begun = Prompt((*CHAT.messages, Message("assistant", "It is")))
    with opened(plugins, variant="scribe") as engine:
        list(engine.sample([*requests_for(CHAT, 1), *requests_for(begun, 1, "q")]))
        contexts = [context for call in engine._lm.calls for context, _ in call]
    assert contexts[0] == "<system>Be brief.<user>What is 1 + 4?<assistant>"
    assert contexts[1].endswith("<assistant>It is")


def test_temperature_zero_asks_for_greedy_decoding(plugins: PluginManager) -> None:
    with opened(plugins, temperature=0, variant="scribe", gen_kwargs="top_k=20") as engine:
        list(engine.sample(requests_for(RAW, 1)))
        settings = engine._lm.calls[0][0][1]
    assert settings["do_sample"] is False
    assert settings["temperature"] == 0
    assert settings["top_k"] == 20


def test_a_chain_ends_before_its_stop_text(plugins: PluginManager) -> None:
    prompt = Prompt((), text="1 + 4?", stop=("Question:",))
    with opened(plugins, variant="scribe") as engine:
        (chain,) = engine.sample(requests_for(prompt, 1))
        assert engine._lm.calls[0][0][1]["until"] == ["Question:"]
    assert chain.text == "1 + 4? -> 1.0 "


def test_requests_are_pulled_a_batch_at_a_time(plugins: PluginManager) -> None:
    pulled = []

    def arriving() -> Iterator[Request]:
        for request in requests_for(RAW, 10):
            pulled.append(request.key.index)
            yield request

    with opened(plugins, variant="scribe") as engine:
        assert engine.lazy
        chains = engine.sample(arriving())
        assert next(chains).index == 0
        assert pulled == [0, 1]
        assert [chain.index for chain in chains] == list(range(1, 10))
    with opened(plugins, variant="scribe", max_in_flight="5") as engine:
        list(engine.sample(requests_for(RAW, 10)))
        assert [len(call) for call in engine._lm.calls] == [5, 5]


def test_chains_that_are_no_longer_wanted_are_not_asked_for(plugins: PluginManager) -> None:
    with opened(plugins, variant="scribe") as engine:
        chains = engine.sample(requests_for(RAW, 6))
        next(chains)
        engine.drop([ChainKey("b", "p", 3), ChainKey("b", "p", 4)])
        assert [chain.index for chain in chains] == [1, 2, 5]


def test_what_was_finished_when_the_model_fails_is_not_lost(plugins: PluginManager) -> None:
    with opened(plugins, variant="scribe", model_args="fail_after=5", max_in_flight="8") as engine:
        chains = engine.sample(requests_for(RAW, 8))
        kept = [next(chains).text for _ in range(5)]
        with pytest.raises(RuntimeError, match="fell off"):
            next(chains)
    assert len(set(kept)) == 5  # one call of eight, of which five were done


def test_a_model_that_writes_one_text_for_all_chains_of_a_problem_is_told_to_readers(
    plugins: PluginManager,
) -> None:
    with opened(plugins, variant="dummy") as engine:
        assert engine.warnings == ()
        assert [chain.text for chain in engine.sample(requests_for(RAW, 3))] == ["lol"] * 3
        (warning,) = engine.warnings
        assert "same text" in warning
    with opened(plugins, variant="scribe") as engine:
        list(engine.sample(requests_for(RAW, 4)))
        assert engine.warnings == ()
    with opened(plugins, temperature=0, variant="dummy") as engine:
        list(engine.sample(requests_for(RAW, 3)))
        assert engine.warnings == ()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"variant": "hff"}, "no model type 'hff': did you mean hf"),
        ({}, "as in --sampler lm-eval:hf"),
        (
            {"variant": "scribe", "model_args": "fail_aftr=3"},
            "no argument 'fail_aftr': did you mean fail_after",
        ),
        ({"variant": "scribe", "model_args": "fail_after"}, "'fail_after' is not key=value"),
        ({"variant": "scribe", "model_args": "fail_after=x"}, "cannot open its model scribe: ValueError"),
        ({"variant": "scribe", "model_args": "api_key=sk-1"}, "would be written into run.json"),
        ({"variant": "scribe", "model_args": "batch_size=3", "batch": "4"}, "the batch size once"),
        ({"variant": "scribe", "batch": "few"}, "batch='few'"),
    ],
)
def test_what_cannot_be_opened_is_told_in_one_line(
    plugins: PluginManager, options: dict[str, str], said: str
) -> None:
    with pytest.raises(HarnessError) as error, opened(plugins, **options):
        pass
    assert said in str(error.value)
    assert "\n" not in str(error.value)
    assert "sk-1" not in str(error.value)


def test_a_missing_argument_of_a_model_type_is_named(plugins: PluginManager) -> None:
    pytest.importorskip("torch")
    with pytest.raises(HarnessError, match="hf needs pretrained"), opened(plugins, variant="hf"):
        pass


def test_results_stand_under_the_name_of_the_model(plugins: PluginManager, tmp_path: Path) -> None:
    sampler = plugins.sampler("lm-eval")
    folder = tmp_path / "mine"
    folder.mkdir()
    named = {
        "pretrained=org/model-1b,dtype=bfloat16": "org/model-1b",
        f"pretrained={folder}": "mine",
        "model=served,base_url=http://localhost:1": "served",
        "": "hf",
    }
    for args, name in named.items():
        assert sampler.default_model({"variant": "hf", "model_args": args}) == name


def test_a_run_is_known_by_what_decides_its_texts(plugins: PluginManager) -> None:
    sampler = plugins.sampler("lm-eval")

    def identity(args: str, **more: str) -> Any:
        return sampler.identity({"variant": "hf", "model_args": args, **more})

    assert identity("pretrained=a,device=cpu,batch_size=4") == identity("pretrained=a,device=cuda", batch="8")
    assert identity("pretrained=a") != identity("pretrained=b")
    assert identity("pretrained=a,dtype=float32") != identity("pretrained=a")
    assert identity("pretrained=a") != identity("pretrained=a", gen_kwargs="top_k=1")


def test_a_model_type_without_a_chat_template_at_hand_says_so(harness: Command) -> None:
    # The template of lm-eval's dummy model is that of a model on the Hub.
    done = harness(
        "run", "--bench", "fresh:size=2", "--sampler", "lm-eval:dummy", "--n", "1", HF_HUB_OFFLINE="1"
    )
    assert done.returncode == 1
    assert "cannot render problem fresh-l1-s0-0000 with its chat template" in last_line(done.stderr)


def last_line(stderr: str) -> str:
    assert "Traceback" not in stderr
    return [line for line in stderr.split("\n") if line][-1]


def test_an_unknown_model_type_stops_the_command_with_the_closest_name(harness: Command) -> None:
    done = harness("run", "--bench", "fresh:size=2", "--sampler", "lm-eval:dumy", "--n", "1")
    assert done.returncode == 1
    assert "did you mean dummy?" in last_line(done.stderr)
    missing = harness("run", "--bench", "fresh:size=2", "--sampler", "lm-eval")
    assert "--sampler lm-eval:hf" in one_line_error(missing)


# -- a real model --------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from .tiny import make_tiny_model

    return make_tiny_model(tmp_path_factory.mktemp("models") / "tiny")


def hf(plugins: PluginManager, tiny: Path, **options: Any) -> Any:
    given = {"variant": "hf", "model_args": f"pretrained={tiny},dtype=float32", "device": "cpu", "batch": "4"}
    return opened(plugins, **{**given, **options})


def test_chains_of_one_prompt_differ_and_their_lengths_are_exact(plugins: PluginManager, tiny: Path) -> None:
    with hf(plugins, tiny, max_tokens=12) as engine:
        chains = list(engine.sample([*requests_for(RAW, 8), *requests_for(CHAT, 8, "q")]))
        info = engine.info
    assert len({chain.text for chain in chains}) > 12
    assert [chain.index for chain in chains] == [*range(8), *range(8)]
    for chain in chains:
        assert chain.completion_tokens is not None
        assert 1 <= chain.completion_tokens <= 12
        if chain.finish_reason == "length":
            assert chain.completion_tokens == 12
    assert {chain.finish_reason for chain in chains} == {"stop", "length"}
    assert {chain.prompt_tokens for chain in chains if chain.problem_id == "p"} == {chains[0].prompt_tokens}
    assert info["context"] == 512
    assert info["max_in_flight"] == 4
    assert info["precision"] == "float32"
    json.dumps(info)


def test_greedy_text_is_that_of_the_transformers_sampler(plugins: PluginManager, tiny: Path) -> None:
    prompts = [Prompt((Message("user", f"What is {n} + {n + 3}?"),)) for n in range(4)]
    requests = [request for n, prompt in enumerate(prompts) for request in requests_for(prompt, 1, str(n))]
    from harness.models import resolve_model

    sampler = plugins.sampler("transformers")
    model = resolve_model(str(tiny), ())
    with sampler.open(model, SamplingSettings(0, 1.0, 40), {"device": "cpu", "dtype": "float32"}) as engine:
        own = {chain.problem_id: (chain.text, chain.finish_reason) for chain in engine.sample(requests)}
    with hf(plugins, tiny, temperature=0, batch="1") as engine:
        theirs = {chain.problem_id: (chain.text, chain.finish_reason) for chain in engine.sample(requests)}
    # lm-eval leaves the token that ends a text in it, where that is an ordinary one.
    assert {k: v[1] for k, v in own.items()} == {k: v[1] for k, v in theirs.items()}
    assert all(theirs[key][0].startswith(text) for key, (text, _) in own.items())
    assert all(len(theirs[key][0]) - len(text) <= 4 for key, (text, _) in own.items())


def test_a_run_from_the_start_gives_the_same_texts_again(plugins: PluginManager, tiny: Path) -> None:
    texts = []
    for _ in range(2):
        with hf(plugins, tiny) as engine:
            texts.append([chain.text for chain in engine.sample(requests_for(RAW, 6))])
    assert texts[0] == texts[1]


def test_a_stop_text_ends_a_chain_of_a_real_model(plugins: PluginManager, tiny: Path) -> None:
    with hf(plugins, tiny) as engine:
        free = list(engine.sample(requests_for(RAW, 8)))
    letter = max(set("".join(c.text for c in free)) - {"\ufffd"}, key="".join(c.text for c in free).count)
    with hf(plugins, tiny) as engine:
        chains = list(engine.sample(requests_for(Prompt((), text=RAW.text, stop=(letter,)), 8)))
    assert not any(letter in chain.text for chain in chains)
    stopped = [chain for chain in chains if chain.finish_reason == "stop"]
    assert stopped
    assert all(chain.completion_tokens is not None and chain.completion_tokens < 40 for chain in stopped)


def test_a_budget_beyond_the_context_is_cut_to_it_and_a_prompt_beyond_it_is_told(
    plugins: PluginManager, tiny: Path
) -> None:
    long = Prompt((), text="What is 1 + 4? " * 52)
    with hf(plugins, tiny, max_tokens=100_000, batch="1") as engine:
        (chain,) = engine.sample(requests_for(long, 1))
        assert chain.prompt_tokens is not None
        assert chain.completion_tokens is not None
        assert chain.prompt_tokens + chain.completion_tokens <= 512
        with pytest.raises(HarnessError, match=r"problem p has .* context is 512"):
            list(engine.sample(requests_for(Prompt((), text="What is 1 + 4? " * 600), 1)))


def test_a_copied_model_is_the_same_model_and_a_changed_one_is_not(
    plugins: PluginManager, tiny: Path, tmp_path: Path
) -> None:
    import shutil

    sampler = plugins.sampler("lm-eval")
    copy = shutil.copytree(tiny, tmp_path / "copy")

    def identity(folder: Path) -> Any:
        return sampler.identity({"variant": "hf", "model_args": f"pretrained={folder}"})

    assert identity(tiny) == identity(copy)
    weights = copy / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-4] + b"\0\1\2\3")
    assert identity(tiny) != identity(copy)


# -- a server --------------------------------------------------------------------------------------


class Server(ThreadingHTTPServer):
    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.asked: list[dict[str, Any]] = []


class Handler(BaseHTTPRequestHandler):
    server: Server

    def log_message(self, *args: Any) -> None:
        pass

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.asked.append(body)
        text = f"seed {body['seed']}"  # a server that honours seeds: one seed, one text
        choice = {"index": 0, "text": text, "message": {"role": "assistant", "content": text}}
        data = json.dumps({"choices": [choice]}).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)


@pytest.fixture
def server() -> Iterator[Server]:
    for module in ("aiohttp", "requests", "tenacity"):
        pytest.importorskip(module)
    with Server() as made:
        thread = threading.Thread(target=made.serve_forever, daemon=True)
        thread.start()
        yield made
        made.shutdown()
        thread.join()


@pytest.mark.parametrize("connections", [1, 4])
def test_chains_of_one_problem_are_asked_of_a_server_with_seeds_of_their_own(
    plugins: PluginManager, server: Server, connections: int
) -> None:
    args = f"model=m,base_url=http://127.0.0.1:{server.server_port}/v1/chat/completions,num_concurrent={connections}"
    with opened(plugins, variant="local-chat-completions", model_args=args) as engine:
        chains = list(engine.sample(requests_for(CHAT, 16)))
        assert engine.info["max_in_flight"] == (16 if connections == 4 else 1)
        assert engine.warnings == ()
        with pytest.raises(HarnessError, match="chat=true"):
            list(engine.sample(requests_for(RAW, 1)))
    assert len({chain.text for chain in chains}) == 16
    assert {body["seed"] for body in server.asked} == {1000 + i for i in range(16)}
    assert all(body["messages"][0]["content"] == "Be brief." for body in server.asked)
    if connections == 1:
        assert [chain.text for chain in chains] == [f"seed {chain.seed}" for chain in chains]


def test_lm_eval_is_not_imported_to_list_components(harness: Command) -> None:
    code = (
        "import sys\nfrom harness.plugins import load_plugins\np = load_plugins()\n"
        "p.samplers, p.benchmarks, p.normalizers\n"
        "assert not [m for m in sys.modules if m.split('.')[0] == 'lm_eval']"
    )
    import subprocess

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
