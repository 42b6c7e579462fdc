"""Put metastases with known truth into a real scan without lesions."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np

from osteomet.core.errors import UsageError
from osteomet.core.grid import check_same_grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.io.bone_maps import read_bones
from osteomet.io.formats import read_volume, write_labels, write_volume
from osteomet.io.output import output_folder
from osteomet.lesions.measure import measure_lesions
from osteomet.phantom.insertion.insert import InsertedLesion, Insertion, insert_metastases
from osteomet.phantom.insertion.signal import MARROW_SIGNALS

INSERTABLE_ROLES = (SequenceRole.CT, *MARROW_SIGNALS)
"""Kinds of images that lesions can be put into."""

_AIR_HU = -200
_COLUMNS = ("lesion", "type", "site", "volume_ml", "long_axis_mm", "short_axis_mm", "x_mm", "y_mm", "z_mm")


def insert_lesions(
    image: Path,
    bones: Path,
    out: Path,
    *,
    n_lesions: int,
    seed: int,
    role: SequenceRole | None,
    overwrite: bool,
    progress: Callable[[int, int], None],
) -> tuple[InsertedLesion, ...]:
    """Write a copy of a scan with metastases in it, and their truth; return what was inserted.

    Parameters
    ----------
    image
        CT in HU, or MR.
    bones
        Label map of its bones on the same grid, in any convention that `osteomet.io.bone_maps.read_bones` knows.
    out
        Folder to make: ``image.nii.gz`` (the scan with lesions), ``lesions.nii.gz`` (one value a lesion),
        ``bones.nii.gz`` (our ids), ``lesions.csv`` (true type, site, volume, axes, centre of mass), ``labels.json``.
    role
        What the image is. Where None, an image that goes below −200 is taken for CT.

    Raises
    ------
    UsageError
        If a number is negative, there is nothing to insert, the folder exists, or the image may be MR and no role says
        which.
    GeometryError
        If image and bones differ in geometry.
    InputError
        If a file cannot be used, or the bones have no room.
    """
    if n_lesions < 1:
        raise UsageError(
            "at least one lesion is inserted",
            expected="a number above 0",
            got=f"--lesions {n_lesions}",
            remedy="pass --lesions 1 or more",
        )
    if seed < 0:
        raise UsageError(
            "a seed is not negative", expected="0 or more", got=f"--seed {seed}", remedy="pass --seed 0 or more"
        )
    if role is not None and role not in INSERTABLE_ROLES:
        raise UsageError(
            "no lesion can be put into this kind of image",
            expected=", ".join(INSERTABLE_ROLES),
            got=role.value,
            remedy="insert into one image of the series",
        )
    with output_folder(out, overwrite=overwrite) as folder:
        scan, role = _read_scan(image, role)
        labels = read_bones(bones)
        check_same_grid(scan.grid, labels.grid, names=("the image", "the bones"))
        result = insert_metastases(scan, labels, np.random.default_rng(seed), n=n_lesions, role=role, progress=progress)
        write_volume(result.volume, folder / "image.nii.gz")
        write_labels(result.lesions, folder / "lesions.nii.gz")
        write_labels(labels, folder / "bones.nii.gz")
        _write_labels_json(result, labels, folder / "labels.json")
        _write_table(result, folder / "lesions.csv")
    return result.inserted


def _read_scan(path: Path, role: SequenceRole | None) -> tuple[Volume, SequenceRole]:
    """The image with its role, told from its values where nobody states it."""
    if role is not None:
        return read_volume(path, modality=Modality.CT if role is SequenceRole.CT else Modality.MR), role
    volume = read_volume(path, modality=Modality.CT)
    lowest = float(volume.array.min())
    if lowest >= _AIR_HU:
        raise UsageError(
            f"{path} does not say what kind of image it is",
            expected=f"a CT, with air below {_AIR_HU} HU, or --sequence",
            got=f"no value below {lowest:g}",
            remedy="state it with --sequence " + "|".join(INSERTABLE_ROLES),
        )
    return volume, SequenceRole.CT


def _write_labels_json(result: Insertion, bones: LabelMap, path: Path) -> None:
    """Names of both maps."""
    content = {
        "bones": dict(bones.labels),
        "lesions": {str(x.number): {"type": x.type.value, "site": x.site} for x in result.inserted},
    }
    path.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")


def _write_table(result: Insertion, path: Path) -> None:
    """One row a lesion: the volume is that of the shape, axes and centre those of its voxels."""
    measured = measure_lesions(result.lesions.array, result.volume)
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(_COLUMNS)
        for lesion in result.inserted:
            size = measured[lesion.number]
            numbers = (size.long_axis_mm, size.short_axis_mm, *size.centroid_xyz_mm)
            row = (lesion.number, lesion.type.value, lesion.site, f"{lesion.volume_ml:.4f}")
            writer.writerow((*row, *(f"{value:.2f}" for value in numbers)))
