"""Patches of real scans with lesions put in: here the scans are small phantoms without lesions."""

import json
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import InputError, OsteometError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.image.distance import distance_to_mm
from osteomet.io.formats import write_labels, write_volume
from osteomet.nn.losses import IGNORED
from osteomet.training.backgrounds import Background, draw_background_sample, read_backgrounds
from osteomet.training.recipe import PartRecipe, read_recipe

GRID = Grid.from_spacing((70, 60, 60), (1.5, 1.5, 1.5))
NAMES = {name: STRUCTURES[name].id for name in ("L3", "L4")}


def scan() -> tuple[Volume, LabelMap]:
    """Two cylinders of marrow in soft tissue, one above the other."""
    rng = np.random.default_rng(0)
    i, j, k = np.indices(GRID.shape)
    disc = ((i - 35) / 16) ** 2 + ((j - 30) / 12) ** 2 < 1
    bones = np.zeros(GRID.shape, np.uint8)
    bones[disc & (k > 6) & (k < 26)] = NAMES["L4"]
    bones[disc & (k > 32) & (k < 54)] = NAMES["L3"]
    hu = np.where(bones > 0, 180, 40) + rng.normal(0, 15, GRID.shape)
    return Volume(hu.astype(np.int16), GRID, Modality.CT, Unit.HU), LabelMap(bones, GRID, NAMES)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("backgrounds")
    (folder / "trunk").mkdir()
    volume, bones = scan()
    write_volume(volume, folder / "trunk" / "image.nii.gz")
    write_labels(bones, folder / "trunk" / "bones.nii.gz")
    (folder / "trunk" / "labels.json").write_text(json.dumps({"bones": NAMES}), encoding="utf-8")
    return folder


@pytest.fixture(scope="module")
def recipe() -> PartRecipe:
    return replace(read_recipe("default-ct").lesions, patch=(24, 24, 24))


@pytest.fixture(scope="module")
def backgrounds(folder: Path) -> tuple[Background, ...]:
    return read_backgrounds(folder)


def test_scans_are_read_with_their_bones(backgrounds: tuple[Background, ...]) -> None:
    (found,) = backgrounds
    volume, bones = scan()
    assert found.name == "trunk"
    np.testing.assert_array_equal(found.volume.array, volume.array)
    np.testing.assert_array_equal(found.bones.array, bones.array)


def test_the_same_number_gives_the_same_bytes(backgrounds: tuple[Background, ...], recipe: PartRecipe) -> None:
    first, other, again = (draw_background_sample("lesions", backgrounds, recipe, n) for n in (2, 3, 2))
    assert first.image_hu.tobytes() == again.image_hu.tobytes() != other.image_hu.tobytes()
    assert first.target.tobytes() == again.target.tobytes()
    assert first.image_hu.dtype == np.dtype(np.float32)
    assert first.target.dtype == np.dtype(np.uint8)
    assert first.bones is not None
    assert (first.target[distance_to_mm(first.bones, recipe.spacing_mm) > 10] == IGNORED).all()


def test_lytic_voxels_are_dark_and_sclerotic_ones_dense(
    backgrounds: tuple[Background, ...], recipe: PartRecipe
) -> None:
    """Over 40 patches: lysis lies below the marrow's 180 HU, sclerosis above it, and the rest of bone about there."""
    lytic, sclerotic, rest = [], [], []
    for number in range(40):
        sample = draw_background_sample("lesions", backgrounds, recipe, number)
        assert sample.bones is not None
        lytic.append(sample.image_hu[sample.target == 1])
        sclerotic.append(sample.image_hu[sample.target == 2])
        rest.append(sample.image_hu[sample.bones & (sample.target == 0)])
    assert np.median(np.concatenate(lytic)) < 140
    assert np.median(np.concatenate(sclerotic)) > 250
    assert np.median(np.concatenate(rest)) == pytest.approx(180, abs=15)


def test_bones_are_told_by_class_and_part(backgrounds: tuple[Background, ...]) -> None:
    """Cylinders of lumbar marrow, of 20 and 22 slices: a core 2.5 mm below the surface, a rim, no arch, no other bone.

    The semi-axes are 24 and 18 mm, so the core of an infinite one fills about (21.5 · 15.5) / (24 · 18) = 0.77 of it,
    of the cylinders (30 mm and 33 mm high) about 0.65; smoothing and the 2.5 mm grid take a little more.
    """
    part = replace(read_recipe("default-ct").bones, patch=(48, 48, 48))
    counts = np.zeros(256)
    for number in range(12):
        sample = draw_background_sample("bones", backgrounds, part, number)
        assert sample.bones is None
        counts += np.bincount(sample.target.ravel(), minlength=256)
    core, rim = counts[part.outputs.index("core_lumbar")], counts[part.outputs.index("body_rim")]
    assert core / (core + rim) == pytest.approx(0.62, abs=0.1)
    assert counts[1:].sum() == pytest.approx(core + rim, rel=0.1)


def test_beyond_the_scan_there_is_neither_bone_nor_target(
    backgrounds: tuple[Background, ...], recipe: PartRecipe
) -> None:
    wide = replace(recipe, patch=(96, 96, 96))
    sample = draw_background_sample("lesions", backgrounds, wide, 1)
    assert sample.bones is not None
    assert not sample.bones[sample.image_hu < -1000].any()


def test_a_folder_without_backgrounds(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"holds no backgrounds; expected a folder for each scan.*remedy"):
        read_backgrounds(tmp_path)


def test_a_scan_without_bones(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    write_volume(scan()[0], tmp_path / "a" / "image.nii.gz")
    with pytest.raises(OsteometError, match=r"bones\.nii\.gz"):
        read_backgrounds(tmp_path)
