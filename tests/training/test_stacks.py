"""Stacks on disk: what a network sees of them, and what is told when one cannot be read."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError
from osteomet.nn.augment import Augmentation
from osteomet.nn.nearest_unet import NearestUNet
from osteomet.training.log import Progress
from osteomet.training.processes import Team
from osteomet.training.settings import FitSettings
from osteomet.training.stacks import Stack, StackTask, _batches, _mean_dice, fit_stacks
from osteomet.training.study import read_study
from osteomet.training.study_part import study_task

CLASSES = ("background", "square")
SETTINGS = FitSettings(n_steps=4, learning_rate=0.01, evaluate_every=2, log_every=1, checkpoint_every=2)


def write_stack(folder: Path, name: str, *, mask: bool = False) -> Stack:
    rng = np.random.default_rng(len(name))
    labels = np.zeros((8, 8, 4), np.uint8)
    labels[2:5, 2:5, 1:3] = 1
    images = np.stack([labels * 255, rng.integers(0, 255, labels.shape, dtype=np.uint8)])
    np.save(folder / f"{name}.npy", images)
    np.save(folder / f"{name}.labels.npy", labels)
    where = folder / f"{name}.mask.npy"
    np.save(where, np.arange(8)[:, None, None] * np.ones(labels.shape) >= 4)
    return Stack(name, folder / f"{name}.npy", (0,), folder / f"{name}.labels.npy", 4, (1, 2), where if mask else None)


def task(stacks: tuple[Stack, ...], dimensions: int) -> StackTask:
    network = NearestUNet(dimensions, 1, 2, (8, 8))
    return StackTask("squares", network, CLASSES, stacks, stacks[:1], dimensions, 4, Augmentation(), 0.5, 7)


def ignore(_: Progress) -> None:
    pass


def test_bytes_are_scaled_and_a_mask_blanks_images_and_classes(tmp_path: Path) -> None:
    whole, masked = write_stack(tmp_path, "a"), write_stack(tmp_path, "a", mask=True)
    assert whole.read_images().shape == (1, 8, 8, 4)
    assert (whole.read_images().max(), whole.read_labels().sum()) == (1.0, 18)
    assert (masked.read_images().sum(), masked.read_labels().sum()) == (6.0, 6)
    assert (whole.read_images(0).max(), whole.read_labels(1).sum(), masked.read_labels(1).sum()) == (0.0, 9, 3)


@pytest.mark.parametrize("dimensions", [2, 3])
def test_batches_depend_on_the_step_alone_and_are_shared_out(dimensions: int, tmp_path: Path) -> None:
    stacks = tuple(write_stack(tmp_path, name) for name in ("a", "bb", "ccc"))
    wanted = task(stacks, dimensions)
    from_start = list(_batches(wanted, 4, Team(), 1, 0))
    resumed = list(_batches(wanted, 4, Team(), 2, 2))
    assert [batch.names for batch in from_start[2:]] == [batch.names for batch in resumed]
    assert all(bool((a.images == b.images).all()) for a, b in zip(from_start[2:], resumed, strict=True))
    shares = [next(iter(_batches(wanted, 4, Team(rank, 2), 1, 0))) for rank in (0, 1)]
    assert shares[0].names == from_start[0].names[::2]
    assert bool((shares[1].targets == from_start[0].targets[1::2]).all())


def test_a_seed_gives_the_same_network_again_and_another_fold_another(tmp_path: Path) -> None:
    """First weights, order of the slices and augmentation all come from the seed of the recipe and the fold."""
    stacks = tuple(write_stack(tmp_path, name) for name in ("a", "bb"))
    study = read_study("kim2024").scaled("smoke")

    def weights(name: str, fold: int) -> list[float]:
        wanted = study_task(
            study, "2d", name=name, dimensions=2, classes=CLASSES, train=stacks, validation=stacks, fold=fold
        )
        network = fit_stacks(wanted, replace(SETTINGS, n_steps=2), tmp_path / name, device="cpu", report=ignore)
        return [float(p.detach().double().sum()) for p in network.parameters()]

    first = weights("first", 0)
    assert weights("again", 0) == first
    assert weights("other", 1) != first


def test_a_damaged_stack_stops_with_its_case(tmp_path: Path) -> None:
    stacks = (write_stack(tmp_path, "a"), write_stack(tmp_path, "case_7"))
    (tmp_path / "case_7.npy").write_bytes(b"no array")
    with pytest.raises(DatasetError, match=r"^the prepared images of case “case_7” cannot be read; got ValueError"):
        fit_stacks(task(stacks, 2), SETTINGS, tmp_path / "out", device="cpu", report=ignore)


def test_nothing_to_validate_on_is_told(tmp_path: Path) -> None:
    with pytest.raises(DatasetError, match="there is no case to train on for squares; remedy"):
        fit_stacks(task((), 2), SETTINGS, tmp_path / "out", device="cpu", report=ignore)


def test_a_class_that_no_case_shows_is_named(tmp_path: Path) -> None:
    stacks = (write_stack(tmp_path, "a"), write_stack(tmp_path, "bb"))
    wanted = replace(task(stacks, 3), classes=(*CLASSES, "circle"), network=NearestUNet(3, 1, 3, (8, 8)))
    with pytest.raises(
        DatasetError, match=r"^no case to train squares on shows circle; remedy: look whether the label"
    ):
        fit_stacks(wanted, SETTINGS, tmp_path / "out", device="cpu", report=ignore)
    assert not (tmp_path / "out").exists()


def test_dice_is_pooled_by_class() -> None:
    """Class 1: 3 common of 4 and 5; class 2: shown by neither; class 3: called twice for nothing."""
    table = np.array([[10, 2, 0, 2], [1, 3, 0, 0], [0, 0, 0, 0], [0, 0, 0, 0]])
    assert _mean_dice(table) == pytest.approx((2 * 3 / 9 + 0) / 2)
    assert _mean_dice(np.diag([5, 0, 0])) == 1.0
