"""What is drawn over a picture: outlines, lines and words in the frame of its pixels, as the page's SVG needs them.

Pictures stay free of ink, so that a reader can lift the marks and see the bone; marks stay sharp at any size.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from skimage.measure import approximate_polygon, find_contours

from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import LesionType
from osteomet.core.volume import LabelMap
from osteomet.image.resample import sample_linear
from osteomet.report.boxes import Box
from osteomet.report.cuts import Cut

PointPx = tuple[float, float]
"""x to the right and y down, in pixels from the picture's upper left corner; a pixel's centre lies at a half."""

WHITE = "#ffffff"
_BAR_LENGTHS_MM = (1, 2, 5, 10, 20, 50)


@dataclass(frozen=True, slots=True)
class Style:
    """Colour and SVG dash pattern of a lesion type."""

    colour: str
    dash: str


# Hues after Okabe and Ito, apart for every kind of colour vision; the dashes tell the types apart without colour.
STYLES = {
    LesionType.LYTIC: Style("#e69f00", ""),
    LesionType.SCLEROTIC: Style("#56b4e9", "6 3"),
    LesionType.MIXED: Style("#e58fc0", "7 3 2 3"),
    LesionType.MARROW: Style("#20c29a", "2 3"),
}


@dataclass(frozen=True, slots=True)
class Outline:
    """Border of a lesion where a cut passes through it, as an SVG path."""

    path: str
    style: Style


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line; ``role`` (``axis``, ``leader``, ``scale``) decides its looks."""

    start: PointPx
    end: PointPx
    role: str
    colour: str = WHITE


@dataclass(frozen=True, slots=True)
class Word:
    """Text whose vertical middle lies at ``at``; ``anchor`` is SVG's ``start``, ``middle`` or ``end``."""

    text: str
    at: PointPx
    size: float
    anchor: str
    role: str
    colour: str = WHITE

    def box(self) -> tuple[float, float, float, float]:
        """Left, top, right and bottom of the text in a sans serif face, on the safe side."""
        width = 0.62 * self.size * len(self.text)
        left = self.at[0] - {"start": 0.0, "middle": width / 2, "end": width}[self.anchor]
        return left, self.at[1] - 0.6 * self.size, left + width, self.at[1] + 0.6 * self.size


@dataclass(frozen=True, slots=True)
class Diamond:
    """Projected place of a lesion that a cut does not touch."""

    at: PointPx
    radius: float
    colour: str


Mark = Outline | Line | Word | Diamond


@dataclass(frozen=True, slots=True, eq=False)
class LesionShape:
    """One lesion and its mask, float32 0 or 1, in its bounding box with one empty voxel around it."""

    lesion: Lesion
    mask: NDArray[np.float32]
    grid: Grid

    @classmethod
    def cut_out(cls, lesion: Lesion, lesions: LabelMap, box: Box) -> LesionShape:
        """Cut one instance out of the lesion map."""
        mask = np.pad((lesions.array[box] == lesion.id).astype(np.float32), 1)
        return cls(lesion, mask, lesions.grid.crop([side.start - 1 for side in box], mask.shape))

    def extent_mm(self) -> float:
        """Longest side of the patient-aligned box around the lesion's voxel centres, plus one voxel, mm."""
        inner = self.grid.crop((1, 1, 1), [n - 2 for n in self.mask.shape])
        return float(np.ptp(inner.corners_xyz_mm(), axis=0).max() + max(inner.spacing_mm))

    def share(self, cut: Cut) -> NDArray[np.float32]:
        """Mask on a cut, trilinear, shape (rows, columns), 0–1; the lesion is where it reaches one half."""
        share = np.zeros(cut.shape, dtype=np.float32)
        corners = cut.to_column_row(self.grid.corners_xyz_mm())[:, ::-1]
        first = np.clip(np.floor(corners.min(axis=0)), 0, cut.shape).astype(int)
        stop = np.clip(np.ceil(corners.max(axis=0)) + 1, first, cut.shape).astype(int)
        part = cut.crop((int(first[0]), int(first[1])), (int(stop[0] - first[0]), int(stop[1] - first[1])))
        share[first[0] : stop[0], first[1] : stop[1]] = sample_linear(self.mask, self.grid.to_ijk(part.points_xyz_mm()))
        return share


def outline_of(share: NDArray[np.float32], style: Style) -> Outline | None:
    """Half-way contour of a lesion's share in each pixel, None where it reaches one half nowhere."""
    if share.size == 0 or share.max() < 0.5:
        return None
    parts = []
    for contour in find_contours(np.pad(share, 1), 0.5):  # type: ignore[no-untyped-call]
        corners = approximate_polygon(contour, tolerance=0.15)  # type: ignore[no-untyped-call]
        points = [f"{column - 0.5:.1f} {row - 0.5:.1f}" for row, column in corners[:-1]]
        parts.append(f"M{'L'.join(points)}Z")
    return Outline("".join(parts), style)


def at_px(cut: Cut, xyz_mm: Sequence[float]) -> PointPx:
    """Place of an LPS point in a picture."""
    column, row = cut.to_column_row(xyz_mm)
    return round(float(column) + 0.5, 1), round(float(row) + 0.5, 1)


def orientation_letters(cut: Cut, size: float) -> tuple[Word, Word, Word, Word]:
    """Letters at the middle of the four edges."""
    n_rows, n_columns = cut.shape
    left, right, top, bottom = cut.letters
    inset = 0.8 * size
    return (
        Word(left, (inset / 2, n_rows / 2), size, "start", "letter"),
        Word(right, (n_columns - inset / 2, n_rows / 2), size, "end", "letter"),
        Word(top, (n_columns / 2, inset), size, "middle", "letter"),
        Word(bottom, (n_columns / 2, n_rows - inset), size, "middle", "letter"),
    )


def scale_bar(cut: Cut, size: float) -> tuple[Line, Word]:
    """Bar of a round length, at most a third of the picture, in the lower right corner, its length written above it."""
    n_rows, n_columns = cut.shape
    length_mm = max((n for n in _BAR_LENGTHS_MM if n <= n_columns * cut.pixel_mm / 3), default=_BAR_LENGTHS_MM[0])
    right, y = n_columns - 0.7 * size, n_rows - 0.8 * size
    left = right - length_mm / cut.pixel_mm
    word = Word(f"{length_mm} mm", ((left + right) / 2, y - 0.8 * size), 0.9 * size, "middle", "letter")
    return Line((left, y), (right, y), "scale"), word
