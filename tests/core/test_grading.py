"""Grading in a process of its own words: what decides, what a vote is, what becomes of answers nobody can compare."""

from __future__ import annotations

import subprocess
import sys

import pytest

import harness
from harness import Extraction, Grade, Normalizer, Verdict
from harness.grading import Grader
from harness.plugins import PluginManager
from harness.pool import TaskError, TaskTimeout, WorkerPool


@pytest.mark.parametrize(
    ("text", "gold", "kind", "status"),
    [
        (r"so \boxed{\frac{1}{2}}", "0.5", "math", "correct"),
        (r"so \boxed{7}", "8", "math", "incorrect"),
        (r"<think>maybe \boxed{8}", "8", "math", "no_answer"),
        (r"<think>hm</think> \boxed{073}", "73", "integer", "correct"),
        (r"The answer is \boxed{\text{(C)}}.", "C", "choice", "correct"),
        ("", "8", "math", "no_answer"),
    ],
)
def test_grade_is_one_call(text: str, gold: str, kind: str, status: str) -> None:
    grade = harness.grade(text, gold, kind)
    assert grade.status == status
    assert grade.correct == (status == "correct")
    assert grade.rule


def test_extract_answer_is_the_text_or_none() -> None:
    assert harness.extract_answer(r"\boxed{42}") == "42"
    assert harness.extract_answer("I do not know.") is None


def test_an_unknown_kind_gets_the_closest_one() -> None:
    with pytest.raises(harness.HarnessError, match="did you mean math"):
        harness.grade("1", "1", kind="maths")


def test_a_forked_process_grades_too() -> None:
    # As data loaders and reward functions of trainers do, after the parent has used its workers.
    code = (
        "import harness, os\n"
        "hard = r'\\boxed{\\sin(%s)^2+\\cos(%s)^2}'\n"
        "assert harness.grade(hard % (1, 1), '1').status == 'correct'\n"
        "child = os.fork()\n"
        "status = harness.grade(hard % (2, 2), '1').status\n"
        "if not child: os._exit(0 if status == 'correct' else 1)\n"
        "print(status, os.waitpid(child, 0)[1])\n"
    )
    command = [sys.executable, "-W", "ignore", "-c", code]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=True)
    assert done.stdout == "correct 0\n"


def test_a_script_that_grades_at_import_time_needs_no_main_guard() -> None:
    code = r"import harness; print(harness.grade('\\boxed{\\sin(x)^2+\\cos(x)^2}', '1').status)"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, timeout=100, check=True
    )
    assert done.stdout == "correct\n"


class Quick(Normalizer):
    """Decides letters at once and everything else never (in this process)."""

    name = "math"
    bounded_extract = True

    def extract(self, text: str) -> Extraction | None:
        return Extraction(text, "all", explicit=text != "B") if text else None

    def quick_same(self, answer: str, gold: str) -> Verdict | None:
        return Verdict(answer.lower() == gold.lower(), "letter") if len(answer) == 1 else None

    def quick_key(self, answer: str) -> str | None:
        return answer.lower()


class NoPool(WorkerPool):
    """Fails every task in a given way, as real workers do when they are killed or die."""

    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    def submit(self, task: object) -> object:  # type: ignore[override]
        from concurrent.futures import Future

        self.asked += 1
        future: Future[dict[str, object]] = Future()
        future.set_exception(self.error)
        return future


def grades_of(grader: Grader, *texts: str, truncated: bool = False) -> list[Grade]:
    grades: list[Grade] = []
    for text in texts:
        grader.submit("p", "A", text, grades.append, truncated=truncated)
    grader.finish()
    return grades


def test_all_correct_answers_vote_together_however_they_are_written() -> None:
    grades = grades_of(Grader(Quick(), NoPool(TaskError(""))), "A", "a", "b")
    assert [grade.answer_class for grade in grades] == ["a", "a", "b"]
    assert [grade.rule for grade in grades] == ["all/letter"] * 3


def test_wrong_answers_that_differ_only_in_what_the_gold_does_not_say_vote_together(
    plugins: PluginManager,
) -> None:
    pool = WorkerPool(setup=plugins.selection)
    grader = Grader(plugins.normalizer("math"), pool)
    grades: list[Grade] = []
    for answer in ("5", "x=5", "5 cm", "5.0", "6"):
        grader.submit("p", "7", f"\\boxed{{{answer}}}", grades.append)
    grader.finish()
    pool.close()
    assert len({grade.answer_class for grade in grades[:4]}) == 1
    assert grades[4].answer_class != grades[0].answer_class


@pytest.mark.parametrize(
    ("error", "status"), [(TaskTimeout("no result within 5 s"), "timeout"), (TaskError("died"), "error")]
)
def test_an_answer_that_could_not_be_compared_still_votes_and_is_asked_about_once(
    error: Exception, status: str
) -> None:
    pool = NoPool(error)
    grades = grades_of(Grader(Quick(), pool), "hard", "hard", " hard")
    assert [grade.status for grade in grades] == [status] * 3
    assert grades[0].answer_class == grades[2].answer_class == "text:hard"
    assert pool.asked == 2  # "hard" and " hard"; the second "hard" was known


def test_a_quick_path_that_fails_leaves_the_answer_to_a_worker_and_a_failing_reader_is_an_error() -> None:
    class Failing(Quick):
        def quick_same(self, answer: str, gold: str) -> Verdict | None:
            raise RecursionError("deep")

        def extract(self, text: str) -> Extraction | None:
            return super().extract(text) if text != "bad" else 1 / 0  # type: ignore[return-value]

    pool = NoPool(TaskError("died"))
    grades = grades_of(Grader(Failing(), pool), "A", "bad")
    assert [(grade.status, pool.asked) for grade in grades] == [("error", 1)] * 2
    assert {grade.rule for grade in grades} == {"all/died", "ZeroDivisionError: division by zero"}


def test_a_chain_without_an_answer_is_truncated_only_if_it_hit_its_budget() -> None:
    grader = Grader(Quick(), NoPool(TaskError("")))
    assert grades_of(grader, "")[0].status == "no_answer"
    assert grades_of(grader, "", truncated=True)[0].status == "truncated"
    assert grades_of(grader, "A", truncated=True)[0].status == "correct"  # it had concluded
    assert grades_of(grader, "B")[0].status == "incorrect"
    assert grades_of(grader, "B", truncated=True)[0].status == "truncated"  # it only happens to end so


def test_a_real_worker_is_killed_at_the_deadline_and_the_next_task_is_served(plugins: PluginManager) -> None:
    pool = WorkerPool(workers=1, deadline=0.2, setup=plugins.selection)
    try:
        # Handing three megabytes to another process takes longer than a tenth of a millisecond.
        slow = pool.submit({"normalizer": "math", "text": "x" * 3_000_000, "gold": "1"})
        pool.deadline = 0.0001
        with pytest.raises(TaskTimeout):
            slow.result(timeout=90)
        pool.deadline = 30
        assert pool.submit({"normalizer": "math", "answer": "1", "gold": "1"}).result(timeout=90)["same"]
        with pytest.raises(TaskError, match="no normalizer is called"):
            pool.submit({"normalizer": "none", "answer": "1"}).result(timeout=90)
    finally:
        pool.close()
    with pytest.raises(TaskError, match="closed"):
        pool.submit({})
