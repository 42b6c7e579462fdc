"""Bags of patients, batches that follow from the step alone, and the recipe of a classifier."""

from itertools import islice
from pathlib import Path

import numpy as np
import pytest
import torch

from osteomet.core.errors import InputError, UsageError
from osteomet.training.bags import Cubes, _batches, draw_bag, fit_bagged
from osteomet.training.classifier_recipe import ClassifierRecipe, read_classifier_recipe

RECIPE = ClassifierRecipe(side=8, n_steps=6, batch=4)
PATIENTS = np.array([3, 3, 5, 6, 7, 8, 8, 9])
TRUTH = np.array([True, True, True, True, False, False, False, False])


def cubes(truth: np.ndarray = TRUTH) -> Cubes:
    values = np.random.default_rng(0).standard_normal((8, 2, 8, 8, 8)).astype(np.float32)
    return Cubes(values, truth, PATIENTS, tuple(f"l{n}" for n in range(8)))


def test_a_bag_holds_as_many_draws_of_each_class_as_it_has_patients() -> None:
    absent = 0
    for seed in range(40):
        bags = draw_bag(PATIENTS, TRUTH, rng=np.random.default_rng(seed))
        assert [len(bag) for bag in bags] == [3, 3]
        for bag, is_positive in zip(bags, (True, False), strict=True):
            for lesions in bag:
                assert (TRUTH[lesions] == is_positive).all()
                (patient,) = set(PATIENTS[lesions].tolist())
                assert lesions.tolist() == np.flatnonzero(patient == PATIENTS).tolist()
        absent += 3 - len({tuple(lesions) for lesions in bags[0]})
    # Each of three patients is absent from three draws with a chance of (2/3)³: 8/9 of a patient on average.
    assert absent / 40 == pytest.approx(8 / 9, abs=0.25)


def test_batches_hold_both_classes_alike_and_depend_on_the_step_alone() -> None:
    data = cubes()
    bag = draw_bag(PATIENTS, TRUTH, rng=np.random.default_rng(1))
    whole = list(_batches(data, data.values, bag, RECIPE, [1], 0))
    assert len(whole) == 6
    for batch in whole:
        assert sorted(batch.targets.tolist()) == [0, 0, 1, 1]
        rows = [int(name[1:]) for name in batch.names]
        assert batch.targets.tolist() == [0 if TRUTH[row] else 1 for row in rows]
    for later, batch in zip(_batches(data, data.values, bag, RECIPE, [1], 3), islice(whole, 3, None), strict=True):
        assert torch.equal(later.images, batch.images)
        assert later.names == batch.names


def test_a_training_part_of_one_class_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="lesions of both classes, and none is of “primary”"):
        fit_bagged(cubes(np.ones(8, dtype=bool)), ["a"], RECIPE, tmp_path, key=(1, 1), device="cpu")


def test_channels_are_scaled_by_the_lesions_that_are_learnt(tmp_path: Path) -> None:
    data = cubes()
    data.values[:, 0] = 7.0 + 2.0 * data.values[:, 0]
    recipe = ClassifierRecipe(side=8, n_steps=1, batch=2, n_members=1, width=0.02, blocks=(1, 1, 1))
    part = data.part(np.arange(1, 8))
    (channel,) = fit_bagged(part, ["a"], recipe, tmp_path, key=(1, 1), device="cpu").channels
    assert channel.centre == pytest.approx(float(part.values[:, 0].mean()), abs=1e-5)
    assert channel.scale == pytest.approx(float(part.values[:, 0].std()), abs=1e-5)
    assert channel.centre == pytest.approx(7.0, abs=0.2)


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("sides = 5", "wrong key; got sides"),
        ("side = 4", "side is too small; expected at least 8; got 4"),
        ("batch = 1", "batch is too small; expected at least 2; got 1"),
        ("blocks = [1, 0, 1]", "blocks cannot be meant"),
        ("edge_mm = 0", "edge_mm cannot be meant; expected a positive number; got 0"),
        ('positive = "primary"', "words of positive and negative overlap"),
        ("augmentation = {turn = 3}", "wrong key; got augmentation.turn"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_classifier_recipe(tmp_path / "mine.toml")
