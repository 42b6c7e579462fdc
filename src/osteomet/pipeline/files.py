"""Geometry and format helpers behind `osteomet resample` and `osteomet convert`."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LabelConvention, ids_from, ids_to
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.image.resample import resample_labels, resample_volume
from osteomet.io.formats import is_image_file, read_labels, read_volume, write_labels, write_volume
from osteomet.io.study import read_study

_OUTSIDE = {Modality.CT: -1024.0, Modality.MR: 0.0}


def resample_file(
    source: Path,
    out: Path,
    *,
    like: Path | None,
    spacing_mm: tuple[float, float, float] | None,
    is_labels: bool,
    modality: str,
) -> Grid:
    """Resample a file onto the grid of ``like`` or to a spacing (mm), and return the new grid.

    Images are interpolated linearly, anti-aliased where the new grid is coarser; labels by a linear vote. Outside of
    the source CT is −1024 HU and MR 0.
    """
    kind = Modality(modality)
    image: Volume | LabelMap = read_labels(source) if is_labels else read_volume(source, modality=kind)
    if like is not None:
        grid = read_volume(like, modality=kind).grid
    elif spacing_mm is not None:
        grid = image.grid.with_spacing(spacing_mm)
    else:
        raise UsageError("say where to resample to", expected="the grid of another image, or a spacing")
    if isinstance(image, LabelMap):
        write_labels(resample_labels(image, grid, method="vote"), out)
    else:
        write_volume(resample_volume(image, grid, outside=_OUTSIDE[kind]), out)
    return grid


def convert_image(source: Path, out: Path, *, modality: str) -> Grid:
    """Write an image, or the one series of a DICOM folder or zip, in the format that the suffix of ``out`` names."""
    if is_image_file(source):
        volume = read_volume(source, modality=Modality(modality))
    else:
        study = read_study([source], sequences={})
        if len(study.series) != 1:
            roles = [f"{s.role}: {s.facts.description}" for s in study.series]
            raise InputError(
                f"{source} holds more than one series to convert",
                got="; ".join(roles),
                remedy="pass the folder of one series",
            )
        volume = study.series[0].volume
    write_volume(volume, out)
    return volume.grid


def convert_labels(source: Path, out: Path, *, old: LabelConvention | None, new: LabelConvention | None) -> Grid:
    """Write a label map in another format, its ids translated from the ``old`` to the ``new`` convention.

    Without a convention the ids are ours. Labels that a convention cannot express become background.
    """
    labels = read_labels(source)
    array, names = labels.array, dict(labels.labels)
    if old is not None:
        array, names = _translate(array, ids_from(old)), {s.name: s.id for s in STRUCTURES.values()}
    if new is not None:
        table = ids_to(new)
        array, names = _translate(array, table), {s.name: table[s.id] for s in STRUCTURES.values() if s.id in table}
    write_labels(LabelMap(array, labels.grid, names), out)
    return labels.grid


def _translate(array: NDArray[Any], table: Mapping[int, int]) -> NDArray[np.uint8]:
    """Replace each id by its entry, and by 0 where it has none."""
    lookup = np.zeros(int(array.max()) + 1, dtype=np.uint8)
    for old, new in table.items():
        if old < len(lookup):
            lookup[old] = new
    return np.asarray(lookup[array])
