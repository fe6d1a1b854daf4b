"""GPQA Diamond. The real questions are never shown: asserts are on ids, letters and counts."""

from __future__ import annotations

import json
import zipfile
from collections import Counter

import pytest

from harness import HarnessError
from harness.data import DataSource
from harness_benchmarks.gpqa import GPQADiamond, harness_benchmarks, shuffled

from .known_rows import DATA, data_of, load, needs_data, real_gpqa, refusal


def made_up(count: int = 198) -> list[dict]:
    return [
        {
            "Record ID": f"rec{n}",
            "Question": f"What is {n} and {n}?",
            "Correct Answer": f"{2 * n}",
            "Incorrect Answer 1": "one",
            "Incorrect Answer 2": "two",
            "Incorrect Answer 3": "three",
        }
        for n in range(count)
    ]


def test_it_is_hidden_and_asks_for_a_letter():
    (benchmark,) = harness_benchmarks()

    assert benchmark.hidden
    assert (benchmark.name, benchmark.normalizer) == ("gpqa-diamond", "choice")
    assert "gpqa" in benchmark.aliases
    assert "letter" in benchmark.instruction
    assert "\\boxed{}" in benchmark.instruction


# Seed, question, and which of the original choices stands at A, B, C, D; computed with sha256sum and bc.
GOLDEN = [
    (0, "Which gas do plants take in?", "1230"),
    (0, "Which planet is the largest?", "0321"),
    (0, "Wie heißt der höchste Berg?", "3120"),
    (1, "Which gas do plants take in?", "3102"),
    (2, "Which gas do plants take in?", "1230"),
]


@pytest.mark.parametrize(("seed", "question", "order"), GOLDEN)
def test_the_shuffle_is_the_same_on_every_machine(seed, question, order):
    assert "".join("0123"[i] for i in shuffled(4, seed, question)) == order


def test_the_shuffle_is_fair():
    orders = Counter(tuple(shuffled(4, 0, f"question {n}")) for n in range(4800))
    assert len(orders) == 24
    # Binomial with mean 200 and standard deviation 13.8: five of them to either side.
    assert 130 < min(orders.values()) <= max(orders.values()) < 270


def test_blanks_in_the_question_do_not_change_its_shuffle():
    assert shuffled(4, 0, "a  b\n c\u2028d ") == shuffled(4, 0, "a b c d")


def test_a_problem_lists_its_choices_and_its_gold_is_the_letter(tmp_path):
    problems = load(GPQADiamond(), data_of(tmp_path, "gpqa", made_up(), allow_modified=True))

    for number, problem in enumerate(problems):
        assert problem.id == f"rec{number}"
        assert sorted(problem.choices) == sorted([str(2 * number), "one", "two", "three"])
        assert problem.choices["ABCD".index(problem.gold)] == str(2 * number)
        a, b, c, d = problem.choices
        assert problem.text == f"What is {number} and {number}?\n\nA) {a}\nB) {b}\nC) {c}\nD) {d}"


def test_the_shuffle_seed_is_a_parameter(tmp_path):
    data = data_of(tmp_path, "gpqa", made_up(), allow_modified=True)
    golds = [
        [p.gold for p in load(GPQADiamond().configured(shuffle_seed=seed), data)] for seed in ("0", "0", "1")
    ]

    assert golds[0] == golds[1] != golds[2]


def test_strange_rows_are_refused_without_a_word_of_them(tmp_path):
    message = refusal(GPQADiamond(), data_of(tmp_path, "gpqa", made_up()))

    assert "rec0: no such problem in the original" in message
    assert "What is" not in message


@pytest.mark.parametrize("letter", ["A", "D", "a", 0])
def test_a_copy_whose_golds_all_stand_at_one_letter_is_caught(tmp_path, letter):
    rows = [{"id": n, "question": f"Q{n}\nA. x B. y C. z D. w", "answer": letter} for n in range(198)]

    message = refusal(GPQADiamond(), data_of(tmp_path, "gpqa", rows, allow_modified=True))

    assert f"is a known-bad copy: the gold is {str(letter).upper()} in all 198 rows" in message
    assert "gpqa_diamond.csv with its official columns" in message


def test_choices_inside_the_question_are_explained(tmp_path):
    rows = [{"id": n, "question": f"Q{n}\nA. x B. y C. z D. w", "answer": "ABCD"[n % 4]} for n in range(198)]
    message = refusal(GPQADiamond(), data_of(tmp_path, "gpqa", rows))
    assert "has the choices lettered inside the question, so they cannot be shuffled" in message


def test_a_missing_column_is_named(tmp_path):
    rows = [{k: v for k, v in row.items() if k != "Incorrect Answer 3"} for row in made_up()]
    assert "has no column 'Incorrect Answer 3'" in refusal(GPQADiamond(), data_of(tmp_path, "gpqa", rows))


def test_the_balance_of_gold_positions_is_noted(tmp_path):
    problems = load(GPQADiamond(), data_of(tmp_path, "gpqa", made_up(), allow_modified=True))

    positions = GPQADiamond().notes(problems)["gold_positions"]

    assert positions == dict(Counter(sorted(p.gold for p in problems)))
    assert sum(positions.values()) == 198
    assert min(positions.values()) > 30


# --------------------------------------------------------------------------------------------------
# The order of the published numbers: only when asked for
# --------------------------------------------------------------------------------------------------


def drafted(count: int = 198) -> list[dict]:
    drafts = {"Question": " Draft?\n", "Correct Answer": "right ", "Incorrect Answer 1": "w1"}
    drafts |= {"Incorrect Answer 2": "w2", "Incorrect Answer 3": "w3"}
    return [row | {f"Pre-Revision {name}": text for name, text in drafts.items()} for row in made_up(count)]


def test_the_published_order_shows_the_drafts_to_the_letter_with_all_golds_at_A(tmp_path, caplog):
    benchmark = GPQADiamond().configured(order="published")

    problems = load(benchmark, data_of(tmp_path, "gpqa", drafted(), allow_modified=True))

    assert problems[7].text == "Draft?\n\n\nA. right \nB. w1\nC. w2\nD. w3"
    assert problems[7].choices == ("right ", "w1", "w2", "w3")
    assert {problem.gold for problem in problems} == {"A"}
    assert "is not the known data" in caplog.text


def test_the_published_order_says_loudly_that_it_measures_nothing(tmp_path, caplog):
    benchmark = GPQADiamond().configured(order="published")

    problems = load(benchmark, data_of(tmp_path, "gpqa", drafted(), allow_modified=True))

    notes = benchmark.notes(problems)
    assert notes["gold_positions"] == {"A": 198, "B": 0, "C": 0, "D": 0}
    assert "the correct choice is A in every question" in caplog.text
    assert "measures nothing" in caplog.text
    assert "order=published" in benchmark.label
    assert "all golds at A" in benchmark.description


def test_the_published_order_needs_the_columns_of_the_drafts(tmp_path):
    message = refusal(
        GPQADiamond().configured(order="published"), data_of(tmp_path, "gpqa", made_up(), allow_modified=True)
    )
    assert "rec0 has nothing in column 'Pre-Revision Question'" in message


def test_an_unknown_order_is_refused():
    with pytest.raises(HarnessError, match="order='sorted' is not one of shuffled, published"):
        GPQADiamond().configured(order="sorted")


def test_the_default_is_shuffled_and_its_label_is_the_bare_name():
    assert GPQADiamond().label == "gpqa-diamond"
    assert not GPQADiamond().published


# --------------------------------------------------------------------------------------------------
# The real rows
# --------------------------------------------------------------------------------------------------


@needs_data
def test_the_real_rows_pass_all_checks(caplog):
    benchmark = GPQADiamond()
    data = DataSource(DATA)

    problems = load(benchmark, data)

    assert len({problem.id for problem in problems}) == 198
    assert data.origins[0].partition(" ")[0].endswith("gpqa_diamond.zip!gpqa_diamond.csv")
    assert benchmark.notes(problems) == {"gold_positions": {"A": 45, "B": 56, "C": 51, "D": 46}}
    assert Counter(p.metadata["domain"] for p in problems) == {"Chemistry": 93, "Physics": 86, "Biology": 19}
    assert not caplog.records


@needs_data
@pytest.mark.parametrize("member", ["GAIR-NLP_LIMO_eval_data_gpqa_test.jsonl", "Qihoo360_Light-R1_gpqa.json"])
def test_the_public_copies_with_all_golds_at_A_are_caught(tmp_path, member):
    with zipfile.ZipFile(DATA / "gpqa_diamond.zip") as archive:
        content = archive.read(member)
    with zipfile.ZipFile(tmp_path / "gpqa.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(member, content)

    message = refusal(GPQADiamond(), DataSource(tmp_path))

    assert f"gpqa.zip!{member} is a known-bad copy: the gold is A in all 198 rows" in message


@needs_data
def test_a_copy_in_another_order_gives_the_same_problems(tmp_path):
    original = load(GPQADiamond(), DataSource(DATA))
    copy = load(GPQADiamond(), data_of(tmp_path, "gpqa", real_gpqa()[::-1]))
    same = copy == original
    assert same


@needs_data
def test_edited_swapped_emptied_and_repeated_rows_are_named_and_not_shown(tmp_path):
    rows = real_gpqa()
    ids = [row["Record ID"] for row in rows]
    rows[3]["Correct Answer"], rows[3]["Incorrect Answer 1"] = (
        rows[3]["Incorrect Answer 1"],
        rows[3]["Correct Answer"],
    )
    rows[5]["Incorrect Answer 2"] += " or so"
    rows[7]["Question"] += " (Choose the best.)"
    rows[9]["Question"] = ""
    rows[11] = {**rows[12], "Record ID": ids[11]}

    message = refusal(GPQADiamond(), data_of(tmp_path, "gpqa", rows))

    for fault in (
        f"{ids[3]}: the set of choices is not the original's",
        f"{ids[5]}: the set of choices is not the original's",
        f"{ids[7]}: the problem is not the original's",
        f"{ids[9]}: the problem is empty",
        f"{ids[12]}: the same problem as {ids[11]}",
    ):
        assert fault in message
    shown = any(" ".join(row["Question"].split())[:30] in message for row in rows if row["Question"])
    assert not shown
    assert f"several rows for {ids[0]}" in refusal(GPQADiamond(), data_of(tmp_path, "gpqa", [*rows, rows[0]]))


SENTENCE = "\n\nPlease reason step-by-step and put your choice letter without any other text with \\boxed{} in the end."


@needs_data
def test_the_published_order_is_the_published_file_to_the_letter(caplog):
    with zipfile.ZipFile(DATA / "gpqa_diamond.zip") as archive:
        text = archive.read("GAIR-NLP_LIMO_eval_data_gpqa_test.jsonl").decode()
    file = [json.loads(line) for line in text.split("\n") if line]
    benchmark = GPQADiamond().configured(order="published")

    problems = load(benchmark, DataSource(DATA))

    same = [
        problem.text + SENTENCE == row["question"].strip()
        for problem, row in zip(problems, file, strict=True)
    ]
    assert same.count(True) == 198
    assert [problem.gold for problem in problems] == [row["answer"] for row in file]
    assert "is not the known data" not in caplog.text


@needs_data
def test_the_published_file_itself_stays_refused_whatever_the_order(tmp_path):
    with zipfile.ZipFile(DATA / "gpqa_diamond.zip") as archive:
        content = archive.read("GAIR-NLP_LIMO_eval_data_gpqa_test.jsonl")
    with zipfile.ZipFile(tmp_path / "gpqa.zip", "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("test.jsonl", content)
    for order in ("shuffled", "published"):
        assert "is a known-bad copy" in refusal(GPQADiamond().configured(order=order), DataSource(tmp_path))


@needs_data
def test_edited_drafts_are_refused(tmp_path):
    rows = real_gpqa()
    rows[3]["Pre-Revision Correct Answer"] += " or so"
    benchmark = GPQADiamond().configured(order="published")
    assert "the drafts are not those of the published file" in refusal(
        benchmark, data_of(tmp_path, "gpqa", rows)
    )
