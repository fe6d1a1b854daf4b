"""One merge from models to a folder that holds all of the result or does not exist."""

from __future__ import annotations

import errno
import os
import shutil
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from harness import HarnessError, Model, __version__, hub
from harness.files import lock, write_json
from harness.models import ResolvedModel, resolve_model
from harness.safetensors import INDEX, read_headers, read_object

from .carried import carry_over, write_config
from .layout import Layout, Wanted, lay_out
from .methods import method_for
from .settings import DTYPES, OF_DIFFERENCES, MergeSettings
from .sources import Source, opened, read_config
from .weights import write_weights

NOTE: Final = "merge.json"
"""What was merged, in the folder of the result."""

_SPARE: Final = 64 << 20  # bytes of disk to leave free
_LOCK: Final = ".lock"

Progress = Callable[[int, int], None]
"""Called with bytes written so far and in all."""


@dataclass(frozen=True, slots=True)
class Merged:
    folder: Path
    values: int
    """Weights of the merged model; 0 where nothing was to be done."""
    bytes: int
    done: bool
    """False where the folder held the result of the very same merge already."""


def merge(
    settings: MergeSettings,
    out: Path,
    *,
    known: Iterable[Model] = (),
    progress: Progress = lambda done, total: None,
    threads: int | None = None,
) -> Merged:
    """Merge models into a folder that transformers and others can load.

    Args:
        out: appears when everything in it is complete and on the disk. If it exists, it must be what this very merge
            has made before.
        known: models that may be named by short names.
        threads: how many; None for one a core.

    Raises:
        HarnessError: a model is missing, damaged or unlike the others, or the result has no room.
    """
    folders = [_folder(model, known) for model in _in_order(settings)]
    note = _note(settings, folders)
    if _finished(out, note):
        return Merged(out, 0, 0, False)
    with opened(folders) as sources:
        donor = _donor(settings, sources)
        layout = lay_out(_wanted(donor, settings), settings.shard_bytes)
        config = read_config(donor.folder)
        with _beside(out, layout.bytes) as folder:
            note["carried_over"] = carry_over(donor.folder, folder)
            write_config(config, _dtype(layout), folder)
            if (index := layout.index()) is not None:
                write_json(folder / INDEX, index)
            written = 0

            def count(more: int) -> None:
                nonlocal written
                written += more
                progress(written, layout.bytes)

            write_weights(method_for(settings, sources), layout, folder, count, threads)
            write_json(folder / NOTE, note)
    return Merged(out, sum(placed.tensor.values for placed in layout.places), layout.bytes, True)


def _in_order(settings: MergeSettings) -> list[str]:
    """The models as their methods want them: the base first, where it is none of the parts."""
    apart = settings.base is not None and settings.method != "linear"
    return [*([settings.base] if apart and settings.base else []), *settings.models]


def _folder(text: str, known: Iterable[Model]) -> Path:
    path = Path(text).expanduser()
    if path.is_dir():
        return path.resolve()
    model = resolve_model(text, known)
    if model.repo is None:
        raise HarnessError(f"{text} is no folder with safetensors: it cannot be merged")
    return hub.snapshot(model.repo, model.revision)


def _donor(settings: MergeSettings, sources: Sequence[Source]) -> Source:
    """The model that everything but weights is carried over from."""
    if settings.method == "linear" and settings.base is not None:
        return sources[settings.models.index(settings.base)]
    return sources[0]


def _wanted(donor: Source, settings: MergeSettings) -> list[Wanted]:
    kind = None if settings.dtype is None else DTYPES[settings.dtype]
    return [Wanted(name, kind or stored.type, stored.shape) for name, stored in donor.tensors.items()]


def _dtype(layout: Layout) -> str:
    """The name of the type that most weights have."""
    counts: Counter[str] = Counter()
    for placed in layout.places:
        counts[placed.tensor.type] += placed.tensor.values
    most = counts.most_common(1)[0][0] if counts else "F32"
    return next(name for name, kind in DTYPES.items() if kind == most)


def _note(settings: MergeSettings, folders: Sequence[Path]) -> dict[str, Any]:
    """What merge.json says. It holds no time, so that the same merge makes the same folder."""
    import numpy

    models = []
    parts = [*[None] * (len(folders) - len(settings.parts)), *settings.parts]
    for text, folder, part in zip(_in_order(settings), folders, parts, strict=True):
        identity = ResolvedModel(name=folder.name, folder=folder).identity()
        entry = {"model": text, "folder": str(folder), **identity}
        if part is None:
            entry["base"] = True
        elif settings.method != "slerp":
            entry["weight"] = part.weight
            if settings.method in OF_DIFFERENCES:
                entry["density"] = part.density
        models.append(entry)
    named = {"base": settings.base} if settings.method == "linear" and settings.base else {}
    return {
        "method": settings.method,
        "models": models,
        "parameters": {**settings.parameters(), **named},
        "versions": {"harness": __version__, "numpy": numpy.__version__},
    }


def _finished(out: Path, note: Mapping[str, Any]) -> bool:
    """Whether the folder is there already, as this merge leaves it.

    Raises:
        HarnessError: it is something else.
    """
    if not out.exists() and not out.is_symlink():
        return False
    if not out.is_dir():
        raise HarnessError(f"{out} is there already and is no folder: name another with -o")
    if not any(out.iterdir()):
        return False
    found = read_object(out / NOTE)
    if found is None:
        raise HarnessError(f"{out} is there already and holds no merge: name another folder with -o")
    if _asked(found) != _asked(note):
        raise HarnessError(
            f"{out} holds another merge ({NOTE} in it says which): name another folder with -o, or remove it"
        )
    try:
        read_headers(out)
    except HarnessError as error:
        raise HarnessError(f"{out} holds this merge but is damaged, remove it: {error}") from None
    return True


def _asked(note: Mapping[str, Any]) -> Any:
    """What of a note decides the result: not where the models lie, nor what they were called."""
    models = note.get("models")
    if not isinstance(models, list) or not all(isinstance(model, dict) for model in models):
        return None
    shares = [{k: v for k, v in model.items() if k not in ("model", "folder")} for model in models]
    return note.get("method"), note.get("parameters"), shares


@contextmanager
def _beside(out: Path, size: int) -> Iterator[Path]:
    """A folder beside `out` that becomes it when the block ends well, and goes when it does not.

    Its name is always the same and its lock goes with its holder, so that what a killed process has left is found and
    cleared away.
    """
    out = Path(os.path.abspath(out))
    folder = out.with_name(f".{out.name}.merging")
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise HarnessError(f"{folder} cannot be made: {error.strerror or error}") from None
    with lock(folder):
        if not (folder / _LOCK).exists():
            raise HarnessError(f"another process has just made {out}: run this again to see what it holds")
        ours = True
        try:
            _clear(folder)
            if out.exists() and any(out.iterdir()):
                raise HarnessError(
                    f"another process has just made {out}: run this again to see what it holds"
                )
            _check_disk(out, folder, size)
            yield folder
            (folder / _LOCK).unlink()
            _sync(folder)
            os.rename(folder, out)
            ours = False
            _sync_folder(out.parent)
        except OSError as error:
            raise _disk_error(error, out) from None
        finally:
            if ours:
                shutil.rmtree(folder, ignore_errors=True)


def _clear(folder: Path) -> None:
    for entry in folder.iterdir():
        if entry.name == _LOCK:
            continue
        if entry.is_dir() and not entry.is_symlink():
            shutil.rmtree(entry)
        else:
            entry.unlink()


def _check_disk(out: Path, folder: Path, size: int) -> None:
    free = shutil.disk_usage(folder).free
    if size + _SPARE > free:
        raise HarnessError(
            f"{out.parent} has {free / 1e9:.1f} GB free and the merged model takes {size / 1e9:.1f} GB: "
            "free some space or name another folder with -o"
        )


def _disk_error(error: OSError, out: Path) -> HarnessError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EFBIG):
        return HarnessError(
            f"no space left for {out}: nothing is kept of it, free some space and run this again"
        )
    return HarnessError(f"{error.filename or out} cannot be written: {error.strerror or error}")


def _sync(folder: Path) -> None:
    """Bring everything but the weights, which are there already, to the disk."""
    for file in sorted(folder.rglob("*")):
        if file.is_dir():
            _sync_folder(file)
        elif file.suffix != ".safetensors":
            with file.open("rb") as stream:
                os.fsync(stream.fileno())
    _sync_folder(folder)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
