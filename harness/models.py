"""From what the user typed after `--model` to one particular set of weights."""

from __future__ import annotations

import difflib
import hashlib
import json
import os
import re
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

from .components import Model
from .errors import HarnessError

OPENVINO_IR = "openvino_model.xml"

# Files that decide what a model in a folder does. Optimiser states, logs and model cards do not.
_WEIGHT_SUFFIXES = frozenset({".safetensors", ".gguf", ".bin"})
_SETTING_SUFFIXES = frozenset({".json", ".jinja", ".txt", ".model", ".tiktoken", ".xml"})
_NOT_WEIGHTS = frozenset(
    {
        "training_args.bin",
        "trainer_state.json",
        "all_results.json",
        "train_results.json",
        "eval_results.json",
        "merge.json",  # where the parents were
    }
)
_NOT_WEIGHTS_EITHER = ("optimizer", "pytorch_model_fsdp")  # states of training that FSDP saves

_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_CHECKPOINT = re.compile(r"checkpoint-\d+")

_WHOLE_UP_TO = 4 << 20  # files up to this many bytes are hashed whole
_BLOCK = 4096
_BLOCKS = 64  # blocks hashed of a bigger file, spread evenly, first and last included
_MAX_JSON = 64 << 20


@dataclass(frozen=True, slots=True)
class ResolvedModel:
    """One set of weights, named by the user. At most one of `folder` and `file` is set; a known model may
    have a `repo` and, through `known.gguf`, a GGUF file as well."""

    name: str
    """The label used in results: the known name, or the folder's, file's or repository's own."""
    known: Model | None = None
    folder: Path | None = None
    """A local folder with config.json, safetensors and tokenizer, or with OpenVINO IR."""
    file: Path | None = None
    """A local .gguf file."""
    repo: str | None = None
    """Hub id."""
    revision: str | None = None

    def identity(self) -> dict[str, Any]:
        """What decides which weights these are. JSON-able, the same wherever the same files are.

        A local model is known by its content: names and sizes, small files whole and evenly spaced blocks of
        big ones, so that this takes milliseconds for any size and still tells a retrained checkpoint apart.
        """
        if self.folder is not None:
            return {"content": _folder_digest(self.folder)}
        if self.file is not None:
            return {"content": _digest([("gguf", self.file)])}
        identity: dict[str, Any] = {"repo": self.repo, "revision": self.revision}
        if self.known is not None and self.known.gguf is not None:
            identity["gguf"] = self.known.gguf.sha256
        return identity

    @property
    def model_type(self) -> str | None:
        """The architecture as in config.json's model_type ("qwen2"), where known without loading."""
        if self.folder is not None:
            config = _read_json(self.folder / "config.json")
            kind = config.get("model_type") if isinstance(config, dict) else None
            return kind if isinstance(kind, str) else None
        return self.known.family or None if self.known is not None else None

    @property
    def has_openvino_ir(self) -> bool:
        """Whether the folder holds a model in OpenVINO's own format."""
        return self.folder is not None and (self.folder / OPENVINO_IR).is_file()


def resolve_model(text: str, known: Iterable[Model]) -> ResolvedModel:
    """The model that `text` names.

    In this order: a path (anything that starts with `.`, `/` or `~`, ends in `.gguf`, or is a folder that
    holds a model), a known name, alias or repository (in any case), a Hub id `org/name`; the last two take
    `@revision`.

    Raises:
        HarnessError: nothing of that name, or a folder or file without a usable model; says what is missing.
    """
    text = text.strip()
    if not text:
        raise HarnessError("--model is empty: give a folder, a .gguf file, a Hub id or a known name")
    path = Path(text).expanduser()
    if _looks_like_path(text) or _holds_model(path):
        return _local(path, text)

    by_name: dict[str, Model] = {}
    for model in known:
        for name in (model.name, *model.aliases, model.repo):
            by_name.setdefault(name.lower(), model)
    wanted, _, revision = text.partition("@")
    if (model_known := by_name.get(wanted.lower())) is not None:
        return ResolvedModel(
            name=model_known.name,
            known=model_known,
            repo=model_known.repo,
            revision=revision or model_known.revision,
        )
    if path.is_dir():
        return _local(path, text)  # raises: says what the folder lacks
    if _HUB_ID.fullmatch(wanted):
        return ResolvedModel(name=wanted.partition("/")[2], repo=wanted, revision=revision or None)
    near = difflib.get_close_matches(wanted.lower(), by_name, n=6, cutoff=0.5)
    names = list(dict.fromkeys(by_name[name].name for name in near))[:3]
    hint = f"did you mean {' or '.join(names)}?" if names else "`harness list models` shows the known names"
    raise HarnessError(
        f"unknown model {text!r}: {hint} (or give a folder, a .gguf file or a Hub id such as org/name)"
    )


def folder_problem(folder: Path) -> str | None:
    """Why a folder cannot be used as a model, as a clause, or None if everything needed is there.

    Looks at names, sizes and headers only.
    """
    try:
        names = {entry.name for entry in os.scandir(folder) if entry.is_file()}
    except OSError as error:
        return f"it cannot be read ({error.strerror or error})"
    if not names:
        return "it is empty"
    if OPENVINO_IR in names:
        missing = {"openvino_model.bin", "openvino_tokenizer.xml", "openvino_detokenizer.xml"} - names
        return f"it lacks {', '.join(sorted(missing))}" if missing else None
    if "adapter_config.json" in names and "config.json" not in names:
        return "it holds a LoRA adapter, not a model: merge the adapter into its base model first"
    if "config.json" not in names:
        return "it has no config.json"
    if not isinstance(_read_json(folder / "config.json"), dict):
        return "its config.json is not a JSON object"
    return _weights_problem(folder, names) or _tokenizer_problem(names)


def _weights_problem(folder: Path, names: set[str]) -> str | None:
    shards = {name for name in names if name.endswith(".safetensors")}
    if "model.safetensors.index.json" in names:
        index = _read_json(folder / "model.safetensors.index.json")
        weight_map = index.get("weight_map") if isinstance(index, dict) else None
        if not isinstance(weight_map, dict) or not weight_map:
            return "its model.safetensors.index.json has no weight_map"
        shards = {str(name) for name in weight_map.values()}
        if missing := sorted(shards - names):
            more = f" and {len(missing) - 1} more" if len(missing) > 1 else ""
            return f"it lacks {missing[0]}{more}, of {len(shards)} files that its index names"
    if not shards:
        if any(name.endswith((".bin", ".pt", ".pth")) for name in names):
            return "its weights are pickled (.bin, .pt), which can run code: save them as safetensors"
        return "it has no weights (*.safetensors)"
    return next((p for name in sorted(shards) if (p := _safetensors_problem(folder / name))), None)


def _safetensors_problem(file: Path) -> str | None:
    """Whether a file is shorter than its header says: a copy that was cut off."""
    try:
        size = file.stat().st_size
        with file.open("rb") as stream:
            head = stream.read(8)
            (length,) = struct.unpack("<Q", head) if len(head) == 8 else (-1,)
            if not 0 < length <= min(_MAX_JSON, size - 8):
                return f"{file.name} is not a complete safetensors file ({size:,} bytes)"
            header = json.loads(stream.read(length))
        ends = [t["data_offsets"][1] for name, t in header.items() if name != "__metadata__"]
        end = 8 + length + max(ends, default=0)
    except OSError as error:
        return f"{file.name} cannot be read ({error.strerror or error})"
    except (ValueError, TypeError, KeyError, IndexError, AttributeError, RecursionError):
        return f"{file.name} has no safetensors header"
    return None if size >= end else f"{file.name} is cut off: {size:,} of {end:,} bytes"


def _tokenizer_problem(names: set[str]) -> str | None:
    if names & {"tokenizer.json", "tokenizer.model"} or {"vocab.json", "merges.txt"} <= names:
        return None
    return "it has no tokenizer (tokenizer.json)"


def _looks_like_path(text: str) -> bool:
    return text.startswith((".", "/", "~", "\\")) or text.lower().endswith(".gguf")


def _holds_model(path: Path) -> bool:
    """Whether a bare word is meant as the folder of that name rather than as a known name."""
    return (path / "config.json").is_file() or (path / OPENVINO_IR).is_file() or len(_ggufs(path)) == 1


def _ggufs(folder: Path) -> list[Path]:
    try:
        return sorted(file for file in folder.glob("*.gguf") if file.is_file()) if folder.is_dir() else []
    except OSError:
        return []


def _local(path: Path, text: str) -> ResolvedModel:
    if path.is_file():
        return _gguf(path)
    if not path.is_dir():
        raise HarnessError(f"model {text}: there is no such file or folder")
    path = path.resolve()
    ggufs = _ggufs(path)
    if ggufs and not (path / "config.json").exists() and not (path / OPENVINO_IR).exists():
        if len(ggufs) > 1:
            names = ", ".join(file.name for file in ggufs)
            raise HarnessError(f"model folder {text} holds several GGUF files, name one of them: {names}")
        return _gguf(ggufs[0])
    if (problem := folder_problem(path)) is not None:
        raise HarnessError(
            f"model folder {text} cannot be used: {problem} (needed: config.json, *.safetensors and the "
            f"tokenizer's files; or {OPENVINO_IR} and its companions; or one .gguf file)"
        )
    return ResolvedModel(name=folder_name(path), folder=path)


def _gguf(path: Path) -> ResolvedModel:
    try:
        with path.open("rb") as stream:
            magic = stream.read(4)
    except OSError as error:
        raise HarnessError(f"model file {path} cannot be read: {error.strerror or error}") from None
    if magic != b"GGUF":
        raise HarnessError(f"model file {path} is not a GGUF file; give a model's folder or a .gguf file")
    return ResolvedModel(name=path.stem, file=path.resolve())


def folder_name(path: Path) -> str:
    """What a model is called in results whose folder this is, links resolved."""
    if path.parent.name == "snapshots" and path.parent.parent.name.startswith("models--"):
        return path.parent.parent.name.split("--")[-1]  # a folder of the Hugging Face cache
    if _CHECKPOINT.fullmatch(path.name) and path.parent.name:
        return f"{path.parent.name}-{path.name}"  # "checkpoint-100" alone says nothing in a table
    return path.name or "model"


def _read_json(file: Path) -> Any:
    try:
        if file.stat().st_size > _MAX_JSON:
            return None
        return json.loads(file.read_bytes())
    except (OSError, ValueError, RecursionError):
        return None


def _folder_digest(folder: Path) -> str:
    files = []
    for file in folder.iterdir():
        counts = file.suffix in _WEIGHT_SUFFIXES or file.suffix in _SETTING_SUFFIXES
        if file.name in _NOT_WEIGHTS or file.name.startswith(_NOT_WEIGHTS_EITHER):
            continue
        if counts and file.is_file():
            files.append((file.name, file))
    return _digest(sorted(files))


def _digest(files: list[tuple[str, Path]]) -> str:
    digest = hashlib.sha256()
    for name, file in files:
        try:
            with file.open("rb") as stream:
                size = os.fstat(stream.fileno()).st_size
                digest.update(f"{name}\0{size}\0".encode("utf-8", "surrogateescape"))
                for block in _sample(stream, size):
                    digest.update(block)
        except OSError as error:
            raise HarnessError(f"model file {file} cannot be read: {error.strerror or error}") from None
    return f"sha256-sampled:{digest.hexdigest()[:32]}"


def _sample(stream: BinaryIO, size: int) -> Iterator[bytes]:
    if size <= _WHOLE_UP_TO:
        yield stream.read()
        return
    for i in range(_BLOCKS):
        stream.seek((size - _BLOCK) * i // (_BLOCKS - 1))
        yield stream.read(_BLOCK)
