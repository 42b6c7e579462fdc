"""Cubes about the lesions of a data set, cut once and kept on disk."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.volume import Modality, Volume
from osteomet.image.cube import cube_grid, cut_cube
from osteomet.io.formats import read_volume
from osteomet.io.lesion_cases import LesionCase, lesions_of, read_lesions
from osteomet.io.naming import naming_case


@dataclass(frozen=True, slots=True, eq=False)
class LesionCube:
    """Cube about one lesion: its case and number, inputs as `osteomet.image.cube.cut_cube` gives them, and place."""

    key: tuple[str, str]
    values: NDArray[np.float32]
    grid: Grid


def cut_case(case: LesionCase, channels: Sequence[str], *, side: int, edge_mm: float) -> Iterator[LesionCube]:
    """Cut the cube of every lesion of a case.

    Raises
    ------
    DatasetError, GeometryError
        If an image or the map cannot be used, or they are not on one grid; the message names the case.
    """
    with naming_case(case.case):
        labels = read_lesions(case)
        if not labels.present():
            return
        images = [_read(path, name) for path, name in zip(case.images, channels, strict=True)]
        for name, image in zip(channels, images, strict=True):
            check_same_grid(image.grid, labels.grid, names=(f"the image “{name}”", "the map of lesions"))
        for number, _, region in lesions_of(labels, is_instances=case.is_instances):
            grid = cube_grid(region, labels.grid, side=side, edge_mm=edge_mm)
            yield LesionCube((case.case, str(number)), cut_cube(images, region, side=side, edge_mm=edge_mm), grid)


def _read(path: Path, name: str) -> Volume:
    """Image of one channel, of more than one value."""
    volume = read_volume(path, modality=Modality.MR)
    if volume.array.min() == volume.array.max():
        raise DatasetError(
            f"the image “{name}” has the same value everywhere",
            got=f"{float(volume.array.flat[0]):g}",
            remedy="leave the case out, or make the image again",
        )
    return volume
