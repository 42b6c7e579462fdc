"""Marks of readers: a point, a box or a mask, with the likelihood that the reader gave it."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from osteomet.core.errors import InputError
from osteomet.core.lesion import PointMm

UNAIDED = "unaided"
AIDED = "aided"
LPS_AXES: tuple[PointMm, PointMm, PointMm] = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))
"""Axes of a box that is parallel to the patient: left, posterior, superior."""

_ORTHOGONAL = 1e-3


@dataclass(frozen=True, slots=True)
class PointMark:
    """A place, LPS mm. ``likelihood``: higher means surer, on any scale; None where the reader gave none."""

    xyz_mm: PointMm
    likelihood: float | None = None

    def __post_init__(self) -> None:
        _check_finite((*self.xyz_mm, self.likelihood or 0.0))


@dataclass(frozen=True, slots=True)
class BoxMark:
    """A box: centre (LPS mm), edge lengths along its axes (mm, 0 for a rectangle), perpendicular unit axes (LPS)."""

    centre_xyz_mm: PointMm
    size_mm: tuple[float, float, float]
    likelihood: float | None = None
    axes: tuple[PointMm, PointMm, PointMm] = LPS_AXES

    def __post_init__(self) -> None:
        _check_finite((*self.centre_xyz_mm, *self.size_mm, self.likelihood or 0.0))
        if min(self.size_mm) < 0 or max(self.size_mm) == 0:
            raise InputError("a box has edges of positive length", got=f"{self.size_mm} mm")
        axes = np.array(self.axes)
        if not np.allclose(axes @ axes.T, np.eye(3), atol=_ORTHOGONAL):
            raise InputError("the axes of a box are perpendicular unit vectors", got=str(self.axes))


@dataclass(frozen=True, slots=True)
class MaskMark:
    """The voxels of one label in a file on the grid of the image."""

    path: Path
    label: int
    likelihood: float | None = None

    def __post_init__(self) -> None:
        _check_finite((self.likelihood or 0.0,))
        if self.label < 1:
            raise InputError("a mask mark has a positive label", got=str(self.label))


Mark = PointMark | BoxMark | MaskMark


@dataclass(frozen=True, slots=True)
class Reading:
    """All marks of one reader on one case under one condition, such as `UNAIDED`; no marks is a reading too."""

    reader: str
    condition: str
    case: str
    marks: tuple[Mark, ...]

    def describe(self) -> str:
        """Name of the reading for messages."""
        return f"reader “{self.reader}” ({self.condition}) on case “{self.case}”"


def _check_finite(numbers: tuple[float, ...]) -> None:
    """Refuse a mark without a definite place or likelihood."""
    if not all(math.isfinite(n) for n in numbers):
        raise InputError("a mark has a finite place, size and likelihood", got=str(numbers))
