"""What the pages say, from the list of runs to a chain."""

from __future__ import annotations

import html
import json
import re
import shutil
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from .conftest import Made
from .serving import BENCH, Served, key_of, serving


def links(page: str, part: str) -> list[str]:
    found = [html.unescape(link) for link in re.findall(r'href="([^"]+)"', page)]
    return [link for link in found if part in link]


def rows_of(page: str) -> list[str]:
    """The text of each of a list's rows."""
    table = re.search(r'<table class="list.*?</table>', page, re.DOTALL)
    assert table is not None
    rows = re.findall(r"<tr>.*?</tr>", table[0], re.DOTALL)
    texts = [re.sub(r"<svg.*?</svg>|<[^>]+>", " ", row, flags=re.DOTALL) for row in rows]
    return [" ".join(html.unescape(text).split()) for text in texts[1:]]


def test_the_first_page_shows_each_run_with_its_score(served: Served, made: Made) -> None:
    page = html.unescape(served.page("/"))
    for result in (made.good, made.bad):
        score = result["scores"]["pass@1"]
        assert f"{100 * score['value']:.2f} ± {100 * score['stderr']:.2f}" in page
        assert f"/run/{key_of(result)}" in page
    assert BENCH in page


def test_the_first_page_reads_no_chains(served: Served, made: Made, tmp_path: Path) -> None:
    copy = tmp_path / "results"
    shutil.copytree(made.results, copy)
    for name in ("grades.parquet", "problems.parquet"):
        for path in copy.rglob(name):
            path.write_bytes(b"not parquet")
    with serving(copy) as viewer:
        assert f"{100 * made.good['scores']['pass@1']['value']:.2f}" in viewer.page("/")


def test_runs_are_filtered_and_sorted_by_the_address_alone(served: Served) -> None:
    assert len(rows_of(served.page("/"))) == 2
    assert [row.split()[0] for row in rows_of(served.page("/?model=GOOD"))] == ["good/model-7B"]
    assert [row.split()[0] for row in rows_of(served.page("/?sort=-pass1"))] == [
        "good/model-7B",
        "bad<b>model",
    ]
    assert [row.split()[0] for row in rows_of(served.page("/?sort=pass1"))] == [
        "bad<b>model",
        "good/model-7B",
    ]
    assert "No run is like that" in served.page("/?status=running")
    assert "No run is like that" in served.page("/?benchmark=nothing")


def test_a_run_shows_its_problems_with_share_vote_and_gold(served: Served, made: Made, good: str) -> None:
    import pyarrow.parquet as pq

    grades = pq.read_table(Path(made.good["path"]) / "grades.parquet").to_pylist()
    rows = rows_of(served.page(good))
    assert len(rows) == 6
    for number, (problem, row) in enumerate(zip(made.problems, rows, strict=True), 1):
        share = sum(g["correct"] for g in grades if g["problem_id"] == problem) / 8
        assert row.startswith(f"{number} {problem} {100 * share:.0f} ")


def test_the_vote_of_a_problem_is_counted_as_it_was_cast(served: Served, made: Made, good: str) -> None:
    import pyarrow.parquet as pq

    problem = made.problems[2]
    grades = pq.read_table(Path(made.good["path"]) / "grades.parquet").to_pylist()
    mine = [g for g in grades if g["problem_id"] == problem]
    page = served.page(f"{good}/problem/{quote(problem, safe='')}")
    votes = re.search(r'<table class="votes">.*?</table>', page, re.DOTALL)
    assert votes is not None
    counted = sorted(map(int, re.findall(r'<td class="num">(\d+)</td>', votes[0])))
    classes = {g["answer_class"] for g in mine}
    assert counted == sorted(sum(g["answer_class"] == c for g in mine) for c in classes)
    assert len(rows_of(page)) == 8


def test_chains_are_found_by_verdict_answer_and_text(served: Served, made: Made, bad: str) -> None:
    import pyarrow.parquet as pq

    problem = made.problems[1]
    grades = pq.read_table(Path(made.bad["path"]) / "grades.parquet").to_pylist()
    wrong = [g["index"] for g in grades if g["problem_id"] == problem and g["status"] == "incorrect"]
    address = f"{bad}/problem/{problem}"
    assert [int(row.split()[0]) for row in rows_of(served.page(f"{address}?status=incorrect"))] == wrong
    first = next(g for g in grades if g["problem_id"] == problem)
    same = [g["index"] for g in grades if g["problem_id"] == problem and g["answer"] == first["answer"]]
    found = rows_of(served.page(f"{address}?{urlencode({'answer': first['answer']})}"))
    assert [int(row.split()[0]) for row in found] == same
    assert len(rows_of(served.page(f"{address}?q=LET+ME+THINK"))) == 8
    assert "No chain is like that" in served.page(f"{address}?q=nobody+wrote+this")
    texts = rows_of(served.page(f"{bad}/problem/{made.problems[0]}?q=tail+word"))
    assert [int(row.split()[0]) for row in texts] == [2]


def test_a_chain_shows_its_text_verdict_and_rule(served: Served, made: Made, good: str) -> None:
    page = served.page(f"{good}/chain/{made.problems[0]}/0")
    assert "<mfrac>" in page
    assert re.search(r'class="badge s-(correct|incorrect)"', page)
    assert "boxed/" in page
    assert "<summary>Reasoning</summary>" in page
    as_written = html.unescape(served.page(f"{good}/chain/{made.problems[0]}/0?view=source"))
    assert r"$\frac{1}{2}$" in as_written
    assert "<mfrac>" not in as_written


def test_previous_and_next_walk_through_every_chain_of_the_run(served: Served, made: Made, good: str) -> None:
    address: str | None = f"{good}/chain/{made.problems[0]}/0"
    seen = []
    while address is not None:
        seen.append(address)
        assert len(seen) <= 48
        page = served.page(address)
        found = re.search(r'data-go="next-chain" href="([^"]+)"', page)
        address = html.unescape(found[1]) if found else None
    assert len(set(seen)) == 48
    before = re.search(r'data-go="previous-chain" href="([^"]+)"', page)
    assert before is not None
    assert html.unescape(before[1]) == seen[-2]


def test_the_next_wrong_one_skips_the_right_ones(served: Served, made: Made, good: str) -> None:
    import pyarrow.parquet as pq

    grades = pq.read_table(Path(made.good["path"]) / "grades.parquet").to_pylist()
    wrong = [f"{good}/chain/{g['problem_id']}/{g['index']}" for g in grades if not g["correct"]]
    seen, address = [], f"{good}/chain/{made.problems[0]}/0"
    if not grades[0]["correct"]:
        seen.append(address)
    while found := re.search(r'data-go="next-wrong" href="([^"]+)"', served.page(address)):
        address = html.unescape(found[1])
        seen.append(address)
    assert seen == wrong


def test_a_text_of_five_megabytes_comes_in_pieces(served: Served, made: Made, bad: str) -> None:
    page = served.page(f"{bad}/chain/{made.problems[0]}/2")
    assert len(page) < 500_000
    assert "characters are left out here" in page
    raw = f"{bad}/raw/{made.problems[0]}/2"
    first = served.get(raw)
    assert first.headers["content-type"].startswith("text/plain")
    total = int(first.headers["x-characters"])
    whole, start = "", 0
    while start < total:
        piece = served.get(f"{raw}?from={start}").text
        whole += piece
        start += len(piece)
    assert whole == "<think>" + "Many words. " * 430_000 + "</think>" + "tail word. " * 20 + "\\boxed{1}"


def test_two_runs_are_compared_with_the_test_of_the_reports(served: Served, made: Made) -> None:
    from harness.report import Report

    found = Report([made.good, made.bad]).comparisons
    test = next(c for c in found if c.metric == "pass@1")
    a, b = (
        key_of(r) for r in ((made.good, made.bad) if test.a == "good/model-7B" else (made.bad, made.good))
    )
    page = served.page("/compare?" + urlencode({"a": a, "b": b}))
    assert f"{100 * test.difference:+.2f}".replace("-", "−") in page
    assert f"{test.p:.3f}" in page
    differences = [row.split()[4] for row in rows_of(page)]
    sizes = [abs(int(text.replace("−", "-"))) for text in differences]
    assert sizes == sorted(sizes, reverse=True)
    swapped = served.page("/compare?" + urlencode({"a": b, "b": a}))
    assert f"{-100 * test.difference:+.2f}".replace("-", "−") in swapped


def test_a_problem_shows_both_models_chains_side_by_side(served: Served, made: Made) -> None:
    query = urlencode({"a": key_of(made.good), "b": key_of(made.bad), "ai": 3, "bi": 5})
    page = served.page(f"/compare/problem/{made.problems[3]}?{query}")
    assert "chain 3</a>" in page
    assert "chain 5</a>" in page
    assert page.count("<summary>Reasoning</summary>") == 2


def test_comparing_a_run_with_itself_or_with_nothing(served: Served, made: Made) -> None:
    key = key_of(made.good)
    assert "could be chance" in served.page("/compare?" + urlencode({"a": key, "b": key}))
    assert "Choose a run" in served.page("/compare")
    assert served.get("/compare?" + urlencode({"a": key, "b": "x/y/z"})).status == 404


def test_the_search_finds_chains_of_all_runs(served: Served, made: Made) -> None:
    import pyarrow.parquet as pq

    wanted = 0
    for result in (made.good, made.bad):
        grades = pq.read_table(Path(result["path"]) / "grades.parquet").to_pylist()
        wanted += sum("7" in (g["answer"] or "") and g["status"] == "incorrect" for g in grades)
    assert wanted > 1
    assert len(rows_of(served.page("/search?q=7&status=incorrect"))) == wanted
    one = rows_of(served.page(f"/search?q=7&status=incorrect&problem={made.problems[1]}&model=BAD"))
    assert all(made.problems[1] in row and "bad<b>model" in row for row in one)
    assert "0 chains" in served.page("/search?q=nothing+like+it")


def test_a_search_with_many_hits_goes_on_where_it_stopped(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    from harness_reports.view import searching

    monkeypatch.setattr(searching, "_MOST", 7)
    address: str | None = "/search?status=correct"
    seen = []
    while address is not None:
        page = served.page(address)
        seen += links(page, "/chain/")
        found = re.search(r'data-go="next" href="([^"]+)"', page)
        address = html.unescape(found[1]) if found else None
    assert len(set(seen)) == len(seen)
    assert len(seen) > 30


def test_results_without_a_run_say_so(tmp_path: Path) -> None:
    with serving(tmp_path) as viewer:
        assert "No runs yet" in viewer.page("/")
        assert "Two runs are needed" in viewer.page("/compare")
        viewer.page("/search?q=1")


def damaged_copy(made: Made, tmp_path: Path, **files: bytes | None) -> Path:
    """A copy of the good run's results whose files hold something else, or are gone."""
    copy = tmp_path / "results"
    shutil.copytree(made.results, copy)
    for name, data in files.items():
        for path in copy.glob(f"good*/*/*/{name.replace('_', '.')}"):
            path.unlink() if data is None else path.write_bytes(data)
    return copy


@pytest.mark.parametrize("name", ["chains_parquet", "grades_parquet", "problems_parquet"])
@pytest.mark.parametrize("data", [b"", b"PAR1 not parquet PAR1", None])
def test_a_damaged_table_is_told_of_and_the_rest_is_shown(
    made: Made, tmp_path: Path, good: str, name: str, data: bytes | None
) -> None:
    with serving(damaged_copy(made, tmp_path, **{name: data})) as viewer:
        run = viewer.page(good)
        if data is not None or name == "problems_parquet":
            assert name.replace("_", ".") in run
        assert "good/model-7B" in run
        for address in (f"{good}/problem/{made.problems[0]}", f"{good}/chain/{made.problems[0]}/0"):
            answer = viewer.get(address)
            assert answer.status in (200, 404)
        key = key_of(made.good)
        viewer.page("/compare?" + urlencode({"a": key, "b": key}))
        viewer.page("/search?q=1")


def test_a_half_written_table_is_told_of(made: Made, tmp_path: Path, good: str) -> None:
    whole = (Path(made.good["path"]) / "chains.parquet").read_bytes()
    with serving(damaged_copy(made, tmp_path, chains_parquet=whole[:-50] + b"\0" * 50)) as viewer:
        assert "damaged" in viewer.page(good)
        assert "damaged" in viewer.page(f"{good}/problem/{made.problems[0]}")


def test_a_table_with_other_columns_is_told_of(made: Made, tmp_path: Path, good: str) -> None:
    import io

    import pyarrow as pa
    import pyarrow.parquet as pq

    strange = io.BytesIO()
    pq.write_table(pa.table({"problem_id": [1, 2], "index": ["a", None], "status": [[1], []]}), strange)
    with serving(damaged_copy(made, tmp_path, grades_parquet=strange.getvalue())) as viewer:
        assert "grades.parquet" in viewer.page(good)
    shutil.rmtree(tmp_path / "results")
    with serving(damaged_copy(made, tmp_path, chains_parquet=strange.getvalue())) as viewer:
        assert "chains.parquet" in viewer.page(good)


@pytest.mark.parametrize(
    "scores",
    [
        b"{",
        b"[]",
        b"null",
        b'{"n": "8", "scores": 3, "model": 5, "benchmark": [], "counts": null}',
        json.dumps({"n": 8, "scores": {"pass@1": {"value": "x", "ci95": [1]}}, "cost": 3}).encode(),
        json.dumps({"n": 8, "warnings": "no list", "scores": {"pass@1": {"value": 1e400}}}).encode(),
    ],
)
def test_damaged_scores_do_not_take_the_list_down(
    made: Made, tmp_path: Path, good: str, scores: bytes
) -> None:
    with serving(damaged_copy(made, tmp_path, scores_json=scores)) as viewer:
        assert len(rows_of(viewer.page("/"))) >= 1
        viewer.page(good)
        key = key_of(made.good)
        viewer.page("/compare?" + urlencode({"a": key, "b": key_of(made.bad)}))


def test_regraded_runs_are_shown_as_they_are_now(made: Made, tmp_path: Path, good: str) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    copy = damaged_copy(made, tmp_path)
    with serving(copy) as viewer:
        before = rows_of(viewer.page(f"{good}/problem/{made.problems[0]}"))
        (path,) = copy.glob("good*/*/*/grades.parquet")
        table = pq.read_table(path)
        rows = [{**row, "status": "timeout", "correct": False} for row in table.to_pylist()]
        beside = path.with_name(".new")
        pq.write_table(pa.Table.from_pylist(rows, table.schema), beside)
        beside.replace(path)
        after = rows_of(viewer.page(f"{good}/problem/{made.problems[0]}"))
    assert not any("timeout" in row for row in before)
    assert all("timeout" in row for row in after)


@pytest.mark.parametrize(
    ("text", "reasoning", "conclusion"),
    [
        ("<think>\nhm\n</think>\n\nSo 4.", "hm", "So 4."),
        ("hm</think>So 4.", "hm", "So 4."),
        ("<think>cut off whi", "cut off whi", ""),
        ("<|begin_of_thought|>\n\nhm\n\n<|end_of_thought|>\n\nSo 4.", "hm", "So 4."),
        ("No tags: 4.", "", "No tags: 4."),
        ("", "", ""),
    ],
)
def test_reasoning_is_told_from_the_conclusion(text: str, reasoning: str, conclusion: str) -> None:
    pytest.importorskip("starlette")
    from harness_reports.view.texts import Texts, reasoning_of

    assert reasoning_of(Texts(text, "")) == (reasoning, conclusion)
    assert reasoning_of(Texts(text, "apart")) == ("apart", text.strip("\n"))
