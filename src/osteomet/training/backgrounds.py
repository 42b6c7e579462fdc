"""Training samples cut from real scans without lesions, into which metastases have been put.

A phantom is never as rich as a patient. A scan that shows no lesion, with its bones labelled, lends its anatomy,
texture, noise and artefacts; what the network shall find is inserted, so its truth is known.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.image.resample import resample_labels, resample_volume
from osteomet.io.bone_maps import read_bones
from osteomet.io.formats import read_volume
from osteomet.phantom.insertion.insert import Insertion, insert_metastases
from osteomet.training.recipe import PartRecipe
from osteomet.training.samples import (
    OUTSIDE_HU,
    Sample,
    as_asked,
    bones_as_found,
    cut_field_of_view,
    lesion_classes,
    patch_grid,
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


def draw_background_sample(backgrounds: tuple[Background, ...], recipe: PartRecipe, number: int) -> Sample:
    """Make the sample of one number for the lesion network: the same arguments always give the same bytes."""
    background, scan = _with_lesions(backgrounds, recipe.seed, number // _CROPS_PER_INSERTION)
    rng = np.random.default_rng([recipe.seed, 6, number])
    grid = patch_grid(_centre_mm(background, scan, rng), recipe, rng)
    image = resample_volume(scan.volume, grid, outside=OUTSIDE_HU).array.astype(np.float32)
    kinds = resample_labels(scan.kinds, grid, method="nearest").array
    labels = resample_labels(background.bones, grid, method="nearest").array
    bones = bones_as_found(labels > 0, kinds == _LYTIC, grid, rng)
    bones &= _is_scanned(scan.volume.grid, grid)
    sample = Sample(image, lesion_classes(kinds, recipe.outputs), bones)
    return as_asked(cut_field_of_view(sample, rng), recipe)


def _read(folder: Path) -> Background:
    """One scan with its bones."""
    volume, bones = read_volume(folder / _IMAGE, modality=Modality.CT), read_bones(folder / _BONES)
    check_same_grid(volume.grid, bones.grid, names=(f"{folder.name}: the scan", "its bones"))
    return Background(folder.name, volume, bones)


@lru_cache(maxsize=2)
def _with_lesions(backgrounds: tuple[Background, ...], seed: int, number: int) -> tuple[Background, Insertion]:
    """A region of one of the scans, with up to four new lesions; kept, since neighbouring samples share it.

    Lesions are put into the region alone, since a whole scan takes minutes.
    """
    rng = np.random.default_rng([seed, 5, number])
    for is_last in [False] * _TRIES + [True]:
        region = _region(backgrounds[int(rng.integers(len(backgrounds)))], rng)
        n = int(rng.integers(_LESIONS + 1))
        try:
            return region, _inserted(region, rng, n)
        except InputError:  # the bones of some regions are too small, or too few for so many
            if is_last:
                raise
    raise AssertionError("the loop returns or raises")


def _region(background: Background, rng: np.random.Generator) -> Background:
    """The scan and its bones about a place in bone."""
    grid, voxels = background.volume.grid, np.argwhere(background.bones.array)
    half = np.ceil(_REGION_MM / 2 / np.array(grid.spacing_mm)).astype(int)
    middle = voxels[int(rng.integers(len(voxels)))]
    start, stop = np.maximum(middle - half, 0), np.minimum(middle + half + 1, grid.shape)
    box = tuple(slice(a, b) for a, b in zip(start, stop, strict=True))
    part = grid.crop(start.tolist(), (stop - start).tolist())
    volume, bones = background.volume, background.bones
    return Background(
        background.name,
        replace(volume, array=np.ascontiguousarray(volume.array[box]), grid=part),
        replace(bones, array=np.ascontiguousarray(bones.array[box]), grid=part),
    )


def _inserted(background: Background, rng: np.random.Generator, n: int) -> Insertion:
    """The scan with ``n`` metastases."""
    return insert_metastases(
        background.volume, background.bones, rng, n=n, role=SequenceRole.CT, progress=lambda *_: None
    )


def _centre_mm(background: Background, scan: Insertion, rng: np.random.Generator) -> NDArray[np.float64]:
    """A place near a lesion, or one time in two near any bone."""
    if scan.inserted and rng.random() < 0.5:
        voxels = np.argwhere(scan.lesions.array == rng.integers(1, len(scan.inserted) + 1))
    else:
        voxels = np.argwhere(background.bones.array)
    voxel = voxels[int(rng.integers(len(voxels)))]
    return np.asarray(scan.volume.grid.to_xyz_mm(voxel) + rng.normal(0, 12, 3))


def _is_scanned(scan: Grid, grid: Grid) -> NDArray[np.bool_]:
    """Voxels of a patch whose centre lies in the scan."""
    ijk = scan.to_ijk(grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1)))
    return np.asarray(((ijk >= -0.5) & (ijk <= np.array(scan.shape) - 0.5)).all(axis=-1))
