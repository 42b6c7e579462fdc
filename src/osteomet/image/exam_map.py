"""From the sequences of an exam and its bones to the map that a grader sees, and from places on the map back."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter

from osteomet.core.errors import InputError
from osteomet.core.exam_map import BiasCorrection, Denoise, MapStep, Registration, Scale, Smooth, Straighten
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Volume
from osteomet.image.bias_field import correct_bias
from osteomet.image.canal import Canal, centreline_of, find_canal
from osteomet.image.centreline import Centreline
from osteomet.image.denoise import denoise
from osteomet.image.intensity import z_score
from osteomet.image.register import register_rigid
from osteomet.image.straighten import shown_in, straight_grid, straighten_volume

_SIGMA_OF_WIDTH = 1 / np.sqrt(8 * np.log(2))


@dataclass(frozen=True, slots=True, eq=False)
class ExamMap:
    """The spine of an exam, straightened.

    Parameters
    ----------
    array
        Float32, shape (sequences × planes, rows, columns): all planes of the first sequence from right to left, then
        those of the next; rows from head to foot, columns from front to back.
    grid
        Straight coordinates of (plane, column, row counted from the foot).
    line
        Line along the canal.
    canal
        Its points by vertebra.
    notes
        What a reader should know of how it came about, such as a registration that failed.
    """

    array: NDArray[np.float32]
    grid: Grid
    line: Centreline
    canal: Canal
    notes: tuple[str, ...] = ()

    def to_xyz_mm(self, place: ArrayLike) -> NDArray[np.float64]:
        """Map plane, row and column, shape (..., 3), to where the patient shows them, LPS mm."""
        plane, row, column = np.moveaxis(np.asarray(place, dtype=np.float64), -1, 0)
        index = np.stack([plane, column, self.grid.shape[2] - 1 - row], axis=-1)
        return self.line.to_source_xyz_mm(self.grid.to_xyz_mm(index))

    def to_place(self, xyz_mm: ArrayLike) -> NDArray[np.float64]:
        """Map LPS mm, shape (..., 3), to plane, row and column, fractional and possibly outside of the map."""
        plane, column, up = np.moveaxis(self.grid.to_ijk(self.line.to_straight_xyz_mm(xyz_mm)), -1, 0)
        return np.stack([plane, self.grid.shape[2] - 1 - up, column], axis=-1)


def make_exam_map(volumes: Sequence[Volume], bones: LabelMap, steps: Sequence[MapStep]) -> ExamMap:
    """Carry out the steps of a preprocessing, in their order.

    Parameters
    ----------
    volumes
        The sequences; the line follows the canal where the first one shows it.
    bones
        Bones of the exam, on any grid.
    steps
        As `osteomet.core.exam_map.wrong_step` accepts them.

    Raises
    ------
    InputError
        If no canal is found, or a sequence shows nothing of it.
    GeometryError
        If a sequence or the bones lie elsewhere, or a sequence cannot be registered.
    """
    images = list(volumes)
    canal = find_canal(bones)
    line = centreline_of(canal, images[0].grid)
    shown: list[NDArray[np.bool_]] = []
    notes: tuple[str, ...] = ()
    for step in steps:
        if isinstance(step, Straighten):
            grid = straight_grid(line, images[0].grid, step)
            shown = [shown_in(line, grid, image.grid) for image in images]
            _check_shown(shown)
            images = [straighten_volume(image, line, grid, outside=0.0) for image in images]
        elif isinstance(step, Registration):
            images, notes = _registered(images, step)
        else:
            images = _changed(images, shown, step)
    planes = np.concatenate([image.array.transpose(0, 2, 1)[:, ::-1] for image in images])
    return ExamMap(np.ascontiguousarray(planes, dtype=np.float32), images[0].grid, line, canal, notes)


def _registered(images: Sequence[Volume], step: Registration) -> tuple[list[Volume], tuple[str, ...]]:
    """Every further image put in place, and a note on each that was not."""
    placed, notes = [images[0]], []
    for number, image in enumerate(images[1:] if step.method == "rigid" else (), start=2):
        found = register_rigid(images[0], image)
        moves = found.volume.grid.corners_xyz_mm() - image.grid.corners_xyz_mm()
        furthest_mm = float(np.linalg.norm(moves, axis=1).max())
        if furthest_mm > step.limit_mm:
            notes.append(
                f"the registration of sequence {number} failed: it would move a corner by {furthest_mm:.0f} mm, and "
                f"{step.limit_mm:g} mm are allowed; the sequence stays where the scanner says"
            )
        placed.append(image if furthest_mm > step.limit_mm else found.volume)
    return placed if step.method == "rigid" else list(images), tuple(notes)


def _changed(images: Sequence[Volume], shown: Sequence[NDArray[np.bool_]], step: MapStep) -> list[Volume]:
    """The images after a step that is no resampling; ``shown`` tells what each map shows, once there are maps."""
    match step:
        case Denoise():
            return [denoise(image, iterations=step.iterations, conductance=step.conductance) for image in images]
        case BiasCorrection():
            return [correct_bias(image, iterations=step.iterations, shrink=step.shrink) for image in images]
        case Smooth():
            return [_smooth(image, step.width_mm) for image in images]
        case Scale():
            pairs = zip(images, shown, strict=True)
            return [image.with_array(z_score(image.array, mask) * mask) for image, mask in pairs]
        case _:
            return list(images)


def _smooth(image: Volume, width_mm: float) -> Volume:
    """Smooth within each plane."""
    _, column, row = (width_mm * _SIGMA_OF_WIDTH / spacing for spacing in image.grid.spacing_mm)
    return image.with_array(gaussian_filter(image.array, (0, column, row), mode="nearest"))


def _check_shown(shown: Sequence[NDArray[np.bool_]]) -> None:
    """Refuse a sequence that shows nothing of the map."""
    for number, mask in enumerate(shown, start=1):
        if not mask.any():
            raise InputError(f"sequence {number} shows nothing of the spine that the first one shows")
