"""A merge as a stage of a recipe: the same as `harness merge` makes, and looked at before anything runs."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from harness import HarnessError, StageJob, StageSize
from harness_trainers.merge import Merge
from harness_trainers.merge.stage import settings_of_stage

from .checkpoints import TOKENIZER, made, read, write


def job(folder: Path, *parents: Path, **parameters: Any) -> StageJob:
    work = folder / "work"
    work.mkdir()
    return StageJob("soup:merge", parents, None, parameters, folder / "models" / "Soup", work)


def test_a_stage_merges_the_models_that_it_starts_from(tmp_path: Path) -> None:
    a, b = (write(tmp_path / name, made(seed)) for seed, name in enumerate(("a", "b")))
    stage = job(tmp_path, a, b, method="linear", weights=[1, 3])
    Merge().check(stage.parameters, 2)
    Merge().train(stage)
    first, second = made(0), made(1)
    expected = {name: (values + 3 * second[name]) / 4 for name, values in first.items()}
    for name, values in read(stage.out).items():
        np.testing.assert_allclose(values, expected[name], rtol=1e-6, atol=1e-7)
    Merge().train(stage)  # finds what it has made


def test_ties_and_slerp_take_the_first_model_as_their_base() -> None:
    ties = settings_of_stage({"method": "ties", "density": [0.5, 0.25], "lambda": 0.7}, ["a", "b", "c"])
    assert (ties.base, ties.models, ties.scale) == ("a", ("b", "c"), 0.7)
    assert [part.density for part in ties.parts] == [0.5, 0.25]
    slerp = settings_of_stage({"method": "slerp", "t": 0.25}, ["a", "b"])
    assert (slerp.base, slerp.models, slerp.t) == ("a", ("b",), 0.25)
    dare = settings_of_stage({"method": "dare_ties", "density": 0.5, "seed": 3}, ["a", "b", "c"])
    assert (dare.normalize, dare.seed, [part.weight for part in dare.parts]) == (False, 3, [0.5, 0.5])


@pytest.mark.parametrize(
    ("parameters", "models", "said"),
    [
        ({"wieghts": [1, 1]}, 2, "no parameter 'wieghts': did you mean weights?"),
        ({"method": "linaer"}, 2, "no method is called 'linaer': did you mean linear?"),
        ({"weights": [1, 1, 1]}, 2, "weights has 3 numbers for 2 models"),
        ({"weights": 0.5}, 2, "it is a list, one number a model"),
        ({"weights": [1, "x"]}, 2, "weights is 'x': it is a number"),
        ({"t": 0.5}, 2, "t says nothing to a linear merge"),
        ({"method": "slerp", "t": 2}, 2, "t is 2.0: it is to be between 0 and 1"),
        ({"method": "slerp"}, 3, "slerp goes from one model to one other"),
        ({"method": "ties", "density": 0}, 3, "density 0.0 is not above 0"),
        ({"method": "dare_ties", "seed": -1}, 3, "seed is -1: it is a whole number"),
        ({"normalize": "yes"}, 2, "normalize is 'yes': it is true or false"),
        ({"dtype": "float8"}, 2, "no dtype is called 'float8'"),
        ({}, 1, "a merge takes at least two models"),
        ({"weights": [1, -1]}, 2, "the weights add up to 0"),
    ],
)
def test_a_merge_that_makes_no_sense_is_refused_before_anything_runs(
    parameters: dict[str, Any], models: int, said: str
) -> None:
    with pytest.raises(HarnessError) as caught:
        Merge().check(parameters, models)
    assert said in str(caught.value)
    assert "\n" not in str(caught.value)


def test_models_with_other_tokenizers_are_refused(tmp_path: Path) -> None:
    other = {**TOKENIZER, "model": {"type": "BPE", "vocab": {"a": 1, "b": 0}, "merges": []}}
    a, b = write(tmp_path / "a", made(1)), write(tmp_path / "b", made(2), tokenizer=other)
    stage = job(tmp_path, a, b)
    with pytest.raises(HarnessError, match="token"):
        Merge().train(stage)
    assert not stage.out.exists()


def test_a_merge_takes_next_to_nothing() -> None:
    size = StageSize({}, None, None, None, None, None, "H100", 8)
    assert Merge().estimate(size).device_hours == 0
