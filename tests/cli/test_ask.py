"""`harness ask`: one question, one answer that appears while it is written."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from ..conftest import Command, one_line_error

PLUGIN = '''
from contextlib import contextmanager
from harness import Engine, Fit, Sampler, hookimpl

class Parrot(Sampler):
    """Answers with its prompt, letter by letter, and a colour."""
    name = "parrot"
    needs_weights = False
    def fit(self, model): return Fit(0, "")
    @contextmanager
    def open(self, model, settings, options):
        print("the engine prints to standard output")
        yield ParrotEngine()

class ParrotEngine(Engine):
    def sample(self, requests):
        for request in requests:
            asked = request.prompt.messages[-1].content
            yield request.chain(asked + " \\x1b[31m \\\\boxed{42}", completion_tokens=7, prompt_tokens=3)

    def stream(self, request, on_text):
        (chain,) = self.sample([request])
        for letter in chain.text:
            on_text(letter)
        return chain

@hookimpl
def harness_samplers(): return [Parrot()]
'''


@pytest.fixture
def parrot(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "parrot.py").write_text(PLUGIN)
    info = tmp_path / "parrot-1.0.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: parrot\nVersion: 1.0\n")
    (info / "entry_points.txt").write_text("[harness]\nparrot = parrot\n")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))


ASK = ("ask", "--sampler", "parrot", "--model", "polly")


@pytest.mark.usefixtures("parrot")
def test_the_answer_alone_is_on_standard_output_and_no_escape_reaches_the_terminal(harness: Command) -> None:
    done = harness(*ASK, "What is 6 times 7?", "--gold", "42")
    assert done.returncode == 0
    assert done.stdout.startswith("What is 6 times 7?\n")
    assert done.stdout.endswith("\\boxed{42}\n")
    assert "\x1b" not in done.stdout
    assert "the engine prints" in done.stderr
    assert "7 tokens" in done.stderr
    assert "answer 42; correct (boxed/" in done.stderr


@pytest.mark.usefixtures("parrot")
def test_json_holds_the_answer_and_its_grade(harness: Command) -> None:
    answer = json.loads(harness(*ASK, "6 times 7", "--gold", "41", "--json").stdout)
    assert (answer["answer"], answer["status"], answer["completion_tokens"]) == ("42", "incorrect", 7)
    ungraded = json.loads(harness(*ASK, "6 times 7", "--json").stdout)
    assert (ungraded["answer"], ungraded["status"]) == ("42", None)


@pytest.mark.usefixtures("parrot")
@pytest.mark.parametrize(
    ("arguments", "error", "code"),
    [
        ([*ASK, "  "], "the question is empty", 2),
        ([*ASK, "x", "--kind", "maths"], "no normalizer is called 'maths': did you mean math?", 1),
        ([*ASK, "x", "--protocol", "fathm"], "no protocol is called 'fathm': did you mean fathom?", 1),
        (["ask", "--model", "m", "--base-url", "http://x", "x"], "--base-url needs a sampler", 1),
        (["ask", "--sampler", "parrot:green", "--model", "m", "x"], "sampler parrot has no variants", 1),
        (["ask", "--sampler", "parrot", "x"], "--model is missing", 2),
    ],
)
def test_what_is_wrong_is_said_in_one_line(
    harness: Command, arguments: list[str], error: str, code: int
) -> None:
    done = harness(*arguments)
    assert done.returncode == code
    assert error in one_line_error(done)
