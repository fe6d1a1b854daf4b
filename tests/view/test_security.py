"""What nobody can do: run a script, read a file outside RESULTS, ask under another name."""

from __future__ import annotations

import html
import os
import re
import shutil
import time
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import quote, urlencode

import pytest

from .conftest import Made
from .serving import HOSTILE, Served, key_of, serving


class Elements(HTMLParser):
    """All elements of a page as a browser would read them."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.found: list[tuple[str, dict[str, str]]] = []
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.append((tag, {name: value or "" for name, value in attrs}))


def suspicious(page: str) -> list[tuple[str, dict[str, str]]]:
    """Elements of a page that none of ours is."""
    bad = []
    for tag, attributes in Elements(page).found:
        where = [attributes[name].strip() for name in ("src", "href", "action") if name in attributes]
        if (
            tag in ("iframe", "object", "embed", "style", "base", "audio", "video")
            or (tag in ("script", "img", "link") and not all(url.startswith("/static/") for url in where))
            or (tag == "script" and not where)
            or (tag == "meta" and "http-equiv" in attributes)
            or any(not url.startswith("/") or url.startswith("//") for url in where if url != "#main")
            or any(name.startswith("on") or name in ("style", "srcdoc", "formaction") for name in attributes)
        ):
            bad.append((tag, attributes))
    return bad


def all_pages(made: Made, key: str) -> list[str]:
    problem = made.problems[0]
    pair = urlencode({"a": key, "b": key_of(made.good)})
    return [
        "/",
        f"/run/{key}",
        f"/run/{key}/problem/{problem}",
        *(f"/run/{key}/chain/{problem}/{i}{view}" for i in range(3) for view in ("", "?view=source")),
        f"/compare?{pair}",
        f"/compare/problem/{problem}?{pair}&ai=0&bi=0",
        "/search?q=img",
        "/search?status=no_answer",
        "/compare",
        "/nothing",
    ]


def test_nothing_of_a_model_becomes_markup(served: Served, made: Made) -> None:
    for address in all_pages(made, key_of(made.bad)):
        page = served.get(address).text
        assert suspicious(page) == [], address
        assert not re.search(r"<(b>bold|b>model|svg onload|textarea|/textarea)", page), address
        assert "\x1b" not in page, address
        assert "\x00" not in page, address
        assert "\u202e" not in page, address


def test_hostile_text_can_still_be_read(served: Served, made: Made, bad: str) -> None:
    page = html.unescape(served.page(f"{bad}/chain/{made.problems[0]}/0?view=source"))
    assert "<script>alert(1)</script> <img src=x onerror=alert(2)> [x](javascript:alert(3))" in page
    assert "␛[31mred␛[0m ␀ ]]> </textarea></pre></title></style>" in page
    assert "{{ 7*7 }} {% raw %}" in page
    assert "⟨U+202E⟩gnp.exe⟨U+202C⟩" in page


def test_raw_text_is_exact_and_never_taken_for_a_page(served: Served, made: Made, bad: str) -> None:
    answer = served.get(f"{bad}/raw/{made.problems[0]}/0")
    assert answer.text == HOSTILE
    assert answer.headers["content-type"] == "text/plain; charset=utf-8"
    assert answer.headers["x-content-type-options"] == "nosniff"


def test_what_an_address_says_is_escaped(served: Served) -> None:
    attack = '"><script>alert(1)</script>\x1b'
    query = urlencode(
        dict.fromkeys(
            ("q", "model", "status", "benchmark", "sort", "problem", "answer", "a", "b", "kind"), attack
        )
    )
    for path in ("/", "/search", "/compare", f"/{quote(attack)}", f"/run/{quote(attack)}/b/c"):
        page = served.get(f"{path}?{query}").text
        assert "<script>alert" not in page
        assert suspicious(page) == []
        assert "\x1b" not in page


def test_every_answer_carries_the_protecting_headers(served: Served, made: Made, good: str) -> None:
    addresses = ["/", good, "/nothing", "/static/view.js", "/live", f"{good}/raw/{made.problems[0]}/0"]
    answers = [served.get(address) for address in addresses]
    answers += [served.get("/", method="POST"), served.get("/", host="evil.example")]
    for answer in answers:
        policy = answer.headers["content-security-policy"]
        for rule in (
            "default-src 'none'",
            "script-src 'self'",
            "style-src 'self'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ):
            assert rule in policy.split("; ")
        assert "unsafe" not in policy
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["referrer-policy"] == "no-referrer"
        assert "server" not in answer.headers


@pytest.mark.parametrize("method", ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"])
def test_there_is_nothing_but_reading(served: Served, method: str) -> None:
    assert served.get("/", method=method).status == 405


def test_head_is_answered_without_a_body(served: Served) -> None:
    answer = served.get("/", method="HEAD")
    assert (answer.status, answer.body) == (200, b"")


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8642",
        "127.0.0.1.evil.example",
        "localhost.evil.example",
        "",
        "10.0.0.1",
        "[::2]",
        "a@127.0.0.1",
    ],
)
def test_other_host_names_are_refused(served: Served, host: str) -> None:
    answer = served.get("/", host=host)
    assert answer.status in (400, 421)
    assert "model" not in answer.text


@pytest.mark.parametrize("host", ["localhost", "LOCALHOST:1", "127.0.0.1", "[::1]:8642"])
def test_names_of_this_machine_are_answered(served: Served, host: str) -> None:
    assert served.get("/", host=host).status == 200


def test_a_viewer_for_the_network_answers_by_number_and_not_by_strange_names(made: Made) -> None:
    with serving(made.results, host="0.0.0.0") as viewer:
        assert viewer.get("/", host="192.168.1.7:8642").status == 200
        assert viewer.get("/", host="evil.example").status == 421


@pytest.mark.parametrize(
    "path",
    [
        "/static/../app.py",
        "/static/..%2fapp.py",
        "/static/%2e%2e/app.py",
        "/static//etc/passwd",
        "/static/%2fetc%2fpasswd",
        "/../../../../etc/passwd",
        "/run/../../../etc/passwd",
        "/run/..%2f..%2f../x/y",
        "/run/%2e%2e/%2e%2e/%2e%2e",
        "/run/a/b/..%2f..%2f..%2fsecret",
        "/run/%00/b/c",
        "/run/a%00/b/c",
        "/run//etc/passwd",
        "/run/a/b/c",
        "/run/a/b/c/problem/x",
        "/run/a/b/c/chain/x/0",
        "/compare?a=../../x&b=/etc/passwd",
        "/compare?a=%00&b=%00",
        "/%ff%fe",
        "/static/view.js%00",
    ],
)
def test_no_address_reaches_a_file(served: Served, path: str) -> None:
    answer = served.get(path)
    assert answer.status == 404
    assert "root:" not in answer.text
    assert "<!doctype html>" in answer.text


@pytest.mark.parametrize(
    "tail",
    [
        "problem/nothing",
        "problem/..%2f..%2frun.json",
        "problem/%00",
        "chain/nothing/0",
        "chain/{id}/99",
        "chain/{id}/-1",
        "chain/{id}/x",
        "chain/{id}/" + "9" * 5000,
        "chain/{id}/%D9%A3",
        "chain/..%2f/0",
        "raw/{id}/99",
        "raw/../../run.json/0",
    ],
)
def test_unknown_problems_and_chains_are_not_found(served: Served, made: Made, good: str, tail: str) -> None:
    assert served.get(f"{good}/{tail.format(id=made.problems[0])}").status == 404


def test_an_endless_address_is_refused(served: Served) -> None:
    assert served.get("/search?q=" + "x" * 20_000).status in (400, 414, 431)
    long = served.get("/search?q=" + "x" * 5_000)
    assert long.status == 200
    assert "x" * 1000 not in long.text


def test_odd_numbers_in_addresses_do_no_harm(served: Served, made: Made, good: str) -> None:
    for number in ("-1", "1e9", "9" * 200, "%00", "nan", "0x10"):
        assert served.get(f"/search?q=1&run={number}&skip={number}").status == 200
        assert served.get(f"{good}/raw/{made.problems[0]}/0?from={number}&length={number}").status == 200


def test_links_that_lead_out_of_the_results_are_not_followed(made: Made, tmp_path: Path) -> None:
    outside = tmp_path / "outside"
    shutil.copytree(made.results, outside)
    secret = tmp_path / "secret.json"
    secret.write_text('{"fingerprint": "s", "model": {"name": "top-secret"}, "n": 1, "scores": {}}')
    results = tmp_path / "results"
    shutil.copytree(next(made.results.glob("good*")), results / "good_model-7B")
    (results / "link").symlink_to(outside)
    (results / "up").symlink_to("..")
    (results / "loop").symlink_to(results)
    for number, name in enumerate(
        ("run.json", "scores.json", "chains.parquet", "chains.jsonl", "problems.parquet")
    ):
        folder = results / "tricks" / "b" / f"f{number}"
        folder.mkdir(parents=True)
        if name != "run.json":
            (folder / "run.json").write_text(
                '{"fingerprint": "x", "model": {"name": "trick"}, "benchmark": {"label": "b", "problems": 1}}'
            )
        source = secret if name.endswith("json") else next(outside.glob(f"good*/*/*/{name}"), secret)
        (folder / name).symlink_to(source)
    with serving(results) as viewer:
        page = viewer.page("/")
        assert "top-secret" not in page
        assert "bad&lt;b&gt;model" not in page
        assert page.count('class="row"') == 5  # the real one, and tricks f1 to f4 by their own run.json
        for number in range(1, 5):
            run = viewer.page(f"/run/tricks/b/f{number}")
            assert "top-secret" not in run
            assert made.problems[0] not in run
            assert viewer.get(f"/run/tricks/b/f{number}/chain/{made.problems[0]}/0").status == 404


def test_pipes_and_devices_in_a_run_folder_do_not_hold_the_viewer_up(
    made: Made, tmp_path: Path, good: str
) -> None:
    results = tmp_path / "results"
    shutil.copytree(next(made.results.glob("good*")), results / "good_model-7B")
    (folder,) = (results / "good_model-7B").glob("*/*")
    for name in ("chains.jsonl", "grades.parquet"):
        (folder / name).unlink(missing_ok=True)
        os.mkfifo(folder / name)
    other = results / "x" / "y" / "z"
    other.mkdir(parents=True)
    os.mkfifo(other / "run.json")
    (other / "scores.json").symlink_to("/dev/zero")
    began = time.monotonic()
    with serving(results) as viewer:
        assert "good/model-7B" in viewer.page("/")
        viewer.page(good)
    assert time.monotonic() - began < 10


def test_chains_that_quote_hidden_problems_are_shown_only_when_asked_for(
    made: Made, tmp_path: Path, good: str
) -> None:
    import pyarrow as pa
    import pyarrow.parquet as pq

    results = tmp_path / "results"
    shutil.copytree(made.results, results)
    for path in results.rglob("problems.parquet"):
        table = pq.read_table(path)
        rows = [{**row, "text": "", "messages": [], "choices": []} for row in table.to_pylist()]
        pq.write_table(pa.Table.from_pylist(rows, table.schema), path)
    key = key_of(made.good)
    chain = f"{good}/chain/{made.problems[0]}/0"
    pair = urlencode({"a": key, "b": key_of(made.bad)})
    with serving(results) as viewer:
        hidden = viewer.page(chain)
        assert "Let me think" not in hidden
        assert "hidden until you ask" in hidden
        assert "Let me think" not in viewer.page(f"/compare/problem/{made.problems[0]}?{pair}&ai=0&bi=5")
        assert viewer.get(f"{good}/raw/{made.problems[0]}/0").status == 403
        shown = viewer.page(chain + "?show=1")
        assert "Let me think" in shown
        assert "show=1" in re.findall(r'data-go="next-chain" href="([^"]+)"', shown)[0]
        assert "Let me think" in viewer.page(f"/compare/problem/{made.problems[0]}?{pair}&ai=0&bi=5&show=1")
        assert viewer.get(f"{good}/raw/{made.problems[0]}/0?show=1").status == 200


def test_a_benchmark_that_is_known_to_be_hidden_hides_its_chains_whatever_the_folder_holds(
    made: Made, tmp_path: Path, good: str
) -> None:
    results = tmp_path / "results"
    shutil.copytree(made.results, results)
    for name in ("scores.json", "run.json"):
        for path in results.rglob(name):
            path.write_text(path.read_text().replace("fresh:level=1,seed=3,size=6", "gpqa-diamond"))
    with serving(results) as viewer:
        assert "Let me think" not in viewer.page(f"{good}/chain/{made.problems[0]}/0")
        assert "quote its problems" in viewer.page(f"{good}/chain/{made.problems[0]}/0")


def test_runs_of_one_name_in_two_folders_keep_apart(made: Made, tmp_path: Path) -> None:
    for name in ("monday", "tuesday"):
        shutil.copytree(next(made.results.glob("good*")), tmp_path / name / "good_model-7B")
    with serving(tmp_path) as viewer:
        addresses = re.findall(r'class="row"[^>]*href="([^"]+)"', viewer.page("/"))
        assert len(set(addresses)) == 2
        for address in addresses:
            viewer.page(html.unescape(address))


def test_folders_with_odd_names_can_be_opened(made: Made, tmp_path: Path) -> None:
    (source,) = next(made.results.glob("good*")).glob("*/*")
    for name in ("ä b", "a?b#c", "50%", "~x", "new\nline", os.fsdecode(b"\xff\xfe"), "<b>"):
        shutil.copytree(source, tmp_path / name / "bench" / "f1")
    with serving(tmp_path) as viewer:
        addresses = re.findall(r'class="row"[^>]*href="([^"]+)"', viewer.page("/"))
        assert len(set(addresses)) == 7
        for address in addresses:
            viewer.page(html.unescape(address))
