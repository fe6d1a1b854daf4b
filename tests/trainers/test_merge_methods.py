"""slerp, ties and dare_ties against straightforward implementations of what their authors describe."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness_trainers.merge.merging import merge
from harness_trainers.merge.settings import MergeSettings, Part

from .checkpoints import made, numbers, read, stored, write

Array = np.ndarray[Any, Any]


def merged(
    tmp_path: Path, models: Sequence[dict[str, Array]], threads: int = 2, **settings: Any
) -> dict[str, Array]:
    """The first model is the base."""
    base, *others = (str(write(tmp_path / f"m{i}", model)) for i, model in enumerate(models))
    weights = settings.pop("weights", [1.0] * len(others))
    densities = settings.pop("densities", [1.0] * len(others))
    parts = tuple(map(Part, others, weights, densities))
    merge(MergeSettings(parts, base=base, **settings), tmp_path / "out", threads=threads)
    return read(tmp_path / "out")


def near(found: Array, exact: Array) -> bool:
    step = 2.0**-8 if found.dtype == np.uint16 else 2.0**-22
    return bool((np.abs(numbers(found) - exact) <= step * np.abs(exact) + 1e-6).all())


# -- slerp -----------------------------------------------------------------------------------------


def arc(t: float, a: Array, b: Array) -> Array:
    norms = [norm if (norm := np.linalg.norm(v)) > 1e-8 else 1.0 for v in (a, b)]
    cosine = np.clip((a / norms[0] * (b / norms[1])).sum(), -1, 1)
    if abs(cosine) > 0.9995:
        return np.asarray((1 - t) * a + t * b)
    angle = np.arccos(cosine)
    return np.asarray((np.sin((1 - t) * angle) * a + np.sin(t * angle) * b) / np.sin(angle))


@pytest.mark.parametrize("dtype", ["float32", "uint16"])
@pytest.mark.parametrize("t", [0.0, 0.3, 1.0])
def test_slerp_goes_along_the_arc_between_two_tensors(tmp_path: Path, dtype: str, t: float) -> None:
    a, b = made(0, dtype), made(1, dtype, scale=2)
    a["nearly.parallel"] = stored(np.linspace(1, 2, 50), dtype)
    b["nearly.parallel"] = stored(np.linspace(1, 2.01, 50), dtype)
    a["opposite"], b["opposite"] = stored(np.ones(9), dtype), stored(-np.ones(9), dtype)
    a["zero"], b["zero"] = stored(np.zeros(9), dtype), stored(np.ones(9), dtype)
    found = merged(tmp_path, [a, b], method="slerp", t=t)
    assert found.keys() == a.keys()
    for name in a:
        assert near(found[name], arc(t, numbers(a[name]), numbers(b[name]))), name
    if t in (0, 1):
        assert all((found[name] == (b if t else a)[name]).all() for name in a)


# -- ties ------------------------------------------------------------------------------------------


def elected(
    base: Array, changes: Sequence[Array], weights: Sequence[float], normalize: bool, scale: float
) -> Array:
    weighted = np.stack([weight * change for weight, change in zip(weights, changes, strict=True)])
    sign = np.where(weighted.sum(axis=0) >= 0, 1, -1)
    agree = np.sign(weighted) == sign
    total = (weighted * agree).sum(axis=0)
    if normalize:
        shares = (np.reshape(weights, (-1, *[1] * base.ndim)) * agree).sum(axis=0)
        total = total / np.where(shares == 0, 1, shares)
    return np.asarray(base + scale * total)


def largest(change: Array, density: float) -> Array:
    """The change with all but its largest entries 0; of equally large ones the first are kept."""
    if density >= 1 or not change.size:
        return change
    flat = change.ravel()
    kept = np.argsort(-np.abs(flat), kind="stable")[: max(1, int(density * flat.size))]
    sparse = np.zeros_like(flat)
    sparse[kept] = flat[kept]
    return sparse.reshape(change.shape)


@pytest.mark.parametrize("dtype", ["float32", "uint16", "float16"])
@pytest.mark.parametrize(
    ("weights", "densities", "others"),
    [
        ((1.0, 1.0), (1.0, 1.0), {}),
        ((0.7, 0.4), (0.6, 0.3), {}),
        ((0.7, 0.4), (0.2, 0.001), {"normalize": False, "scale": 0.8}),
        ((1.0, 0.5, 0.25), (0.5, 0.5, 0.5), {"scale": 1.5}),
        ((1.0,), (0.3,), {}),
    ],
)
def test_ties_keeps_the_largest_changes_that_agree(
    tmp_path: Path, dtype: str, weights: Sequence[float], densities: Sequence[float], others: dict[str, Any]
) -> None:
    base, *models = (made(seed, dtype) for seed in range(1 + len(weights)))
    found = merged(
        tmp_path,
        [base, *models],
        method="ties",
        dtype="float32",
        weights=weights,
        densities=densities,
        **others,
    )
    for name, values in base.items():
        # In float32 it is decided which changes are equally large, and which sign wins where they nearly cancel out.
        changes = [
            largest((numbers(model[name]).astype(np.float32) - numbers(values).astype(np.float32)), density)
            for model, density in zip(models, densities, strict=True)
        ]
        expected = elected(
            numbers(values),
            changes,
            np.asarray(weights, np.float32),
            others.get("normalize", True),
            others.get("scale", 1.0),
        )
        assert near(found[name], expected), name


def test_of_equally_large_changes_the_first_are_kept(tmp_path: Path) -> None:
    base = {"w": np.zeros(300_000, np.float32)}
    model = {"w": np.ones(300_000, np.float32)}
    found = merged(tmp_path, [base, model], method="ties", densities=[0.75])["w"]
    assert (found[:225_000] == 1).all()
    assert (found[225_000:] == 0).all()


# -- dare_ties -------------------------------------------------------------------------------------


def test_dare_drops_changes_at_random_and_enlarges_the_others(tmp_path: Path) -> None:
    base, model = {"w": np.zeros((400, 500), np.float32)}, {"w": np.full((400, 500), 3, np.float32)}
    found = merged(tmp_path, [base, model], method="dare_ties", densities=[0.25], normalize=False)["w"]
    assert set(np.unique(found)) == {0, 12}
    assert np.mean(found == 12) == pytest.approx(0.25, abs=0.005)


def test_dare_without_rescaling_leaves_them_as_they_are(tmp_path: Path) -> None:
    base, model = {"w": np.zeros(999, np.float32)}, {"w": np.full(999, 3, np.float32)}
    settings = {"method": "dare_ties", "densities": [0.5], "normalize": False, "rescale": False}
    assert set(np.unique(merged(tmp_path, [base, model], **settings)["w"])) == {0, 3}


def test_which_changes_are_dropped_depends_on_seed_tensor_and_model_only(tmp_path: Path) -> None:
    size = (300, 500)
    base = {name: np.zeros(size, np.float32) for name in "vw"}
    ones = {name: np.ones(size, np.float32) for name in "vw"}
    hundreds = {name: np.full(size, 100, np.float32) for name in "vw"}

    def drawn(folder: str, threads: int, **settings: Any) -> dict[str, Array]:
        return merged(
            tmp_path / folder,
            [base, ones, hundreds],
            threads,
            method="dare_ties",
            densities=[0.5, 0.5],
            normalize=False,
            **settings,
        )

    first, second = drawn("one", 1), drawn("two", 4)
    assert all((first[name] == second[name]).all() for name in base)
    assert set(np.unique(first["w"])) == {0, 2, 200, 202}  # the models are drawn independently
    assert (first["v"] != first["w"]).any()
    assert (first["w"] != drawn("seeded", 1, seed=1)["w"]).any()
    apart = np.mean(first["w"] == 202)
    assert apart == pytest.approx(0.25, abs=0.01)


def test_with_density_1_dare_ties_is_ties(tmp_path: Path) -> None:
    models = [made(seed) for seed in range(3)]
    ties = merged(tmp_path / "ties", models, method="ties", weights=[0.7, 0.4])
    dare = merged(tmp_path / "dare", models, method="dare_ties", weights=[0.7, 0.4], normalize=True)
    assert all((ties[name] == dare[name]).all() for name in ties)
