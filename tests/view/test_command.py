"""`harness view` as it is typed."""

from __future__ import annotations

import http.client
import re
import signal
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from ..conftest import Command, one_line_error


def test_it_prints_its_address_answers_there_and_ends_at_ctrl_c(harness: Command) -> None:
    pytest.importorskip("starlette")
    (harness.folder / "results").mkdir()
    process = harness.start("view", "--port", 0, "--no-browser")
    assert process.stdout is not None
    line = process.stdout.readline()
    found = re.fullmatch(r"http://127\.0\.0\.1:(\d+)/\n", line)
    assert found is not None
    connection = http.client.HTTPConnection("127.0.0.1", int(found[1]), timeout=20)
    connection.request("GET", "/")
    answer = connection.getresponse()
    assert answer.status == 200
    assert b"No runs yet" in answer.read()
    process.send_signal(signal.SIGINT)  # with a connection kept open
    out, err = process.communicate(timeout=20)
    connection.close()
    assert process.returncode in (0, 130)
    assert (out, err.strip()) == ("", "")


def test_a_port_in_use_is_one_clear_line(harness: Command) -> None:
    pytest.importorskip("starlette")
    (harness.folder / "results").mkdir()
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        done = harness("view", "--port", port, "--no-browser")
    assert done.returncode == 1
    assert f"port {port} is in use" in one_line_error(done)


@pytest.mark.parametrize("host", ["192.0.2.7", "no.such.host.invalid"])
def test_an_address_that_is_not_ours_is_one_clear_line(harness: Command, host: str) -> None:
    pytest.importorskip("starlette")
    (harness.folder / "results").mkdir()
    done = harness("view", "--host", host, "--port", 0, "--no-browser")
    assert done.returncode == 1
    assert f"cannot listen at {host}" in one_line_error_after_warning(done)


def one_line_error_after_warning(done: subprocess.CompletedProcess[str]) -> str:
    assert "whoever reaches this machine" in done.stderr
    return one_line_error(done)


def test_results_that_are_not_there_are_one_clear_line(harness: Command) -> None:
    pytest.importorskip("starlette")
    assert "results does not exist" in one_line_error(harness("view", "--no-browser"))
    (harness.folder / "file").write_text("x")
    assert "is not a folder" in one_line_error(harness("view", "file", "--no-browser"))


def test_a_missing_extra_is_named_with_what_mends_it(tmp_path: Path) -> None:
    code = "import sys; sys.modules['starlette'] = None; from harness.cli import main; main(['view', '.'])"
    done = subprocess.run(
        [sys.executable, "-c", code], cwd=tmp_path, capture_output=True, text=True, check=False
    )
    assert done.returncode == 1
    assert 'pip install "fathom-harness[view]"' in one_line_error(done)
    assert "starlette" in done.stderr


def test_other_commands_do_not_import_the_server() -> None:
    code = (
        "import sys; from harness.plugins import load_plugins; plugins = load_plugins();"
        "assert 'view' in plugins.commands();"
        "print([m for m in ('starlette', 'uvicorn', 'jinja2', 'latex2mathml', 'pyarrow', 'numpy') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
