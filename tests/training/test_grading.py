"""The recipe of a grading study: what the shipped one says, and how a wrong key is told."""

from collections import Counter
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, UsageError
from osteomet.core.grader import SigmoidCnn
from osteomet.training import recipe as recipe_module
from osteomet.training.grading import read_grading
from osteomet.training.recipe import task_of
from osteomet.training.split import graded_folds

TEXT = (Path(recipe_module.__file__).parents[1] / "recipes" / "wangd2023.toml").read_text(encoding="utf-8")


def test_wangd2023_is_as_published() -> None:
    study = read_grading("wangd2023")
    assert task_of("wangd2023") == "grading study"
    assert study.data.grades == ("none", "mild", "apparent")
    assert study.split.n_folds == 5  # 8 : 2
    assert next(iter(study.networks)) == "published"
    published = study.networks["published"]
    assert published.network == SigmoidCnn("sigmoid CNN", (3, 3), 5, 2)
    assert (published.optimiser, published.augment) == ("gradient descent", False)
    steps = [step.step for step in study.preprocessing]
    assert steps == ["denoise", "bias correction", "register", "straighten", "smooth", "scale"]
    assert study.scales["full"].patients == 305 + 320 + 316


def test_a_scale_changes_what_it_names_and_full_nothing() -> None:
    study = read_grading("wangd2023")
    assert study.scaled("full") == study
    smoke = study.scaled("smoke")
    assert (smoke.sides, smoke.straighten.spacing_mm, smoke.straighten.planes) == ((80, 32), 3.0, 5)
    assert (smoke.networks["published"].n_steps, smoke.split.rounds) == (60, 1)
    assert smoke.networks["published"].settings.n_steps == 60
    assert smoke.n_inputs == 10


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ('step = "denoise"\n', 'step = "sharpen"\n', "preprocessing.0"),
        ("iterations = 5\n", "iterations = 0\n", "preprocessing.0.denoise.iterations"),
        ("conductance = 1.0\n", "conductance = 1.0\nstrength = 2\n", "preprocessing.0.denoise.strength"),
        ("planes = 5\n", "", "preprocessing.3.straighten.planes"),
        ('[[preprocessing]]\nstep = "smooth"', '[[preprocessing]]\nstep = "register"\nmethod = "none"\nlimit_mm = 9\n'
         '[[preprocessing]]\nstep = "smooth"', "preprocessing.4.step: “register” before “straighten”"),
        ("maps = [3, 3]", "maps = [3, 3, 3, 3]", "networks.published.network.maps"),
        ("channels = [16, 32, 64, 128]", "channels = [16, 30]", "networks.residual.network.channels: multiples of 8"),
        ('kind = "residual network"', 'kind = "transformer"', "networks.residual.network"),
        ("rounds = 5\n", "rounds = 6\n", "split.rounds: at most 5"),
        ('"mild", "apparent"]', '"some", "apparent"]', "data.grades"),
        ("residual = 40 }", "residul = 40 }", "scales.smoke.n_steps"),
        ('optimiser = "gradient descent"', 'optimiser = "newton"', "networks.published.optimiser"),
    ],
)  # fmt: skip
def test_a_wrong_key_is_named(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in TEXT
    path = tmp_path / "study.toml"
    path.write_text(TEXT.replace(old, new, 1), encoding="utf-8")
    with pytest.raises(UsageError) as refused:
        read_grading(str(path))
    assert message in str(refused.value)


def test_folds_share_out_every_grade() -> None:
    grades = {f"p{n}": ("none", "mild", "apparent")[n % 3] for n in range(31)}
    folds = graded_folds(grades, n_folds=5, rng=np.random.default_rng(1))
    assert sorted(p for fold in folds for p in fold) == sorted(grades)
    assert {len(fold) for fold in folds} == {6, 7}
    for grade in ("none", "mild", "apparent"):
        counts = [Counter(grades[p] for p in fold)[grade] for fold in folds]
        assert max(counts) - min(counts) <= 1
    assert folds == graded_folds(grades, n_folds=5, rng=np.random.default_rng(1))


def test_a_grade_of_one_patient_is_refused() -> None:
    grades = {f"p{n}": "none" for n in range(6)} | {"q": "mild"}
    with pytest.raises(DatasetError, match="no patient of grade mild to learn from"):
        graded_folds(grades, n_folds=3, rng=np.random.default_rng(1))
    with pytest.raises(DatasetError, match="fewer patients than folds"):
        graded_folds(grades, n_folds=8, rng=np.random.default_rng(1))
