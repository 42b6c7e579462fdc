"""Training samples cut from real scans without lesions, into which metastases have been put.

A phantom is never as rich as a patient. A scan that shows no lesion, with its bones labelled, lends its anatomy,
texture, noise and artefacts; what the network shall find is inserted, so its truth is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache, lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.vocabulary import SEARCHED_IDS, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.image.resample import resample_labels, resample_volume
from osteomet.io.bone_maps import read_bones
from osteomet.io.formats import read_volume
from osteomet.phantom.geometry.shapes import STILL, warped_points
from osteomet.phantom.insertion.insert import Insertion, insert_metastases
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones, bones_from_labels
from osteomet.training.recipe import PartRecipe
from osteomet.training.samples import (
    OUTSIDE_HU,
    Sample,
    as_if_coarser,
    bone_classes,
    bones_as_found,
    cut_field_of_view,
    lesion_classes,
    patch_grid,
    where_sought,
)

_IMAGE, _BONES = "image.nii.gz", "bones.nii.gz"
_CROPS_PER_INSERTION = 6
_REGION_MM = 200.0
_LESIONS = 4
_TRIES = 50
_LYTIC = 1


@dataclass(frozen=True, slots=True, eq=False)
class Background:
    """A CT without lesions and its bones by vocabulary id, on one grid."""

    name: str
    volume: Volume
    bones: LabelMap


@dataclass(frozen=True, slots=True, eq=False)
class _Region:
    """A part of a background with lesions, and its bones."""

    bones: LabelMap
    scan: Insertion


def read_backgrounds(folder: Path) -> tuple[Background, ...]:
    """Read every folder ``NAME`` of a folder: ``image.nii.gz`` and its ``bones.nii.gz``, explained by ``labels.json``.

    ``bones.nii.gz`` and ``labels.json`` are what `osteomet analyze` writes; look at them before they teach.

    Raises
    ------
    InputError
        If there is none, or a file cannot be read.
    GeometryError
        If a scan and its bones differ in geometry.
    """
    scans = sorted(folder.glob(f"*/{_IMAGE}"))
    if not scans:
        raise InputError(
            f"{folder} holds no backgrounds",
            expected=f"a folder for each scan with {_IMAGE} and {_BONES}",
            got="no such folder",
            remedy="put scans without lesions there, each with its bones; `osteomet analyze` labels them",
        )
    return tuple(_read(path.parent) for path in scans)


def draw_background_sample(part: str, backgrounds: tuple[Background, ...], recipe: PartRecipe, number: int) -> Sample:
    """Make the sample of one number: the same arguments always give the same bytes."""
    rng = np.random.default_rng([recipe.seed, 6, number])
    draw = _bone_sample if part == "bones" else _lesion_sample
    return cut_field_of_view(draw(backgrounds, recipe, number, rng), rng)


def _bone_sample(backgrounds: tuple[Background, ...], recipe: PartRecipe, _: int, rng: np.random.Generator) -> Sample:
    """A patch of a scan as it is, near any bone."""
    background = backgrounds[int(rng.integers(len(backgrounds)))]
    centre = _any_centre_mm(background.bones.array > 0, background.bones.grid, rng)
    image, grid, is_scanned = _patch(background.volume, centre, recipe, rng)
    found = _shapes(background).cut(warped_points(grid, STILL), grid, STILL)
    owners = np.where((found.distance_mm < 0) & is_scanned, found.owner, np.uint8(0))
    return Sample(image, bone_classes(owners, found.part, -found.distance_mm, recipe.outputs), None)


def _lesion_sample(
    backgrounds: tuple[Background, ...], recipe: PartRecipe, number: int, rng: np.random.Generator
) -> Sample:
    """A patch of a scan with lesions, near one of them, or one time in two near any bone that is searched."""
    region = _region_with_lesions(backgrounds, recipe.seed, number // _CROPS_PER_INSERTION)
    scan, lesions = region.scan, region.scan.lesions
    if scan.inserted and rng.random() < 0.5:
        one = int(rng.integers(len(scan.inserted))) + 1
        centre = _any_centre_mm(lesions.array == one, lesions.grid, rng)
    else:
        centre = _any_centre_mm(np.isin(region.bones.array, SEARCHED_IDS), region.bones.grid, rng)
    image, grid, is_scanned = _patch(scan.volume, centre, recipe, rng)
    kinds = resample_labels(scan.kinds, grid, method="nearest").array
    labels = resample_labels(region.bones, grid, method="nearest").array
    bones = bones_as_found(labels > 0, kinds == _LYTIC, grid, rng) & is_scanned
    return Sample(image, where_sought(lesion_classes(kinds, recipe.outputs), labels, recipe), bones)


def _patch(
    volume: Volume, centre_mm: NDArray[np.float64], recipe: PartRecipe, rng: np.random.Generator
) -> tuple[NDArray[np.float32], Grid, NDArray[np.bool_]]:
    """HU about a place as float32, now and then blurred; their grid; and which voxels the scan shows."""
    grid = patch_grid(centre_mm, recipe, rng)
    image = resample_volume(volume, grid, outside=OUTSIDE_HU).array.astype(np.float32)
    is_scanned = _is_scanned(volume.grid, grid)
    image = as_if_coarser(image, recipe.spacing_mm, rng)
    return np.where(is_scanned, image, np.float32(OUTSIDE_HU)), grid, is_scanned


def _any_centre_mm(mask: NDArray[np.bool_], grid: Grid, rng: np.random.Generator) -> NDArray[np.float64]:
    """A place about any voxel of a mask."""
    voxels = np.flatnonzero(mask)
    voxel = np.unravel_index(int(voxels[int(rng.integers(len(voxels)))]), mask.shape)
    return np.asarray(grid.to_xyz_mm(np.array(voxel)) + rng.normal(0, 12, 3))


def _read(folder: Path) -> Background:
    """One scan with its bones."""
    volume, bones = read_volume(folder / _IMAGE, modality=Modality.CT), read_bones(folder / _BONES)
    check_same_grid(volume.grid, bones.grid, names=(f"{folder.name}: the scan", "its bones"))
    return Background(folder.name, volume, bones)


@cache
def _shapes(background: Background) -> LabelledBones:
    """The bones of a scan as smooth shapes, which tell bodies from arches."""
    return bones_from_labels(background.bones)


@lru_cache(maxsize=2)
def _region_with_lesions(backgrounds: tuple[Background, ...], seed: int, number: int) -> _Region:
    """A region of one of the scans, with up to four new lesions; kept, since neighbouring samples share it.

    Lesions are put into the region alone, since a whole scan takes minutes.
    """
    rng = np.random.default_rng([seed, 5, number])
    for is_last in [False] * _TRIES + [True]:
        background = backgrounds[int(rng.integers(len(backgrounds)))]
        volume, bones = _cut_out(background, rng)
        n = int(rng.integers(_LESIONS + 1))
        try:
            scan = insert_metastases(volume, bones, rng, n=n, role=SequenceRole.CT, progress=lambda *_: None)
            return _Region(bones, scan)
        except InputError:  # the bones of some regions are too small, or too few for so many
            if is_last:
                raise
    raise AssertionError("the loop returns or raises")


def _cut_out(background: Background, rng: np.random.Generator) -> tuple[Volume, LabelMap]:
    """The scan and its bones about a place in a bone that is searched."""
    grid, voxels = background.volume.grid, np.argwhere(np.isin(background.bones.array, SEARCHED_IDS))
    half = np.ceil(_REGION_MM / 2 / np.array(grid.spacing_mm)).astype(int)
    middle = voxels[int(rng.integers(len(voxels)))]
    start, stop = np.maximum(middle - half, 0), np.minimum(middle + half + 1, grid.shape)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    part = grid.crop(start.tolist(), (stop - start).tolist())
    volume, bones = background.volume, background.bones
    return (
        replace(volume, array=np.ascontiguousarray(volume.array[box]), grid=part),
        replace(bones, array=np.ascontiguousarray(bones.array[box]), grid=part),
    )


def _is_scanned(scan: Grid, grid: Grid) -> NDArray[np.bool_]:
    """Voxels of a patch whose centre lies in the scan."""
    ijk = scan.to_ijk(grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1)))
    return np.asarray(((ijk >= -0.5) & (ijk <= np.array(scan.shape) - 0.5)).all(axis=-1))
