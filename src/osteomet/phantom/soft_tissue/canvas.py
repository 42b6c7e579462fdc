"""What soft tissue is drawn with: landmarks along the column, the look of a patient, and a canvas for shapes."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy.ndimage import gaussian_filter1d, maximum_filter1d

from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.geometry.shapes import Shapes, ShapeTable
from osteomet.phantom.skeleton.anatomy import Column

SIDES = (1.0, -1.0)
"""Left and right."""
_SACRAL_STEP_RAD = 0.32


@dataclass(frozen=True, slots=True, eq=False)
class Levels:
    """Places along the column, as in `morphometry` (0 is C1, 23 is L5), continued into the sacrum (24 is S1, 28 is S5).

    All arrays run by ascending place; mm.
    """

    place: NDArray[np.float64]
    centre_mm: NDArray[np.float64]
    half_width_mm: NDArray[np.float64]
    half_depth_mm: NDArray[np.float64]

    def at(self, place: ArrayLike, left_mm: ArrayLike = 0.0, back_mm: ArrayLike = 0.0) -> NDArray[np.float64]:
        """Points beside the middle of the body at a place, shape (..., 3), along the patient axes."""
        where = np.asarray(place, dtype=float)
        middle = np.stack([np.interp(where, self.place, self.centre_mm[:, a]) for a in range(3)], axis=-1)
        middle[..., 0] += left_mm
        middle[..., 1] += back_mm
        return middle

    def height_mm(self, place: float) -> float:
        """Height (z) of a place."""
        return float(self.at(place)[2])

    def width(self, place: ArrayLike) -> NDArray[np.float64]:
        """Half the width of the body at a place."""
        return np.asarray(np.interp(np.asarray(place, dtype=float), self.place, self.half_width_mm))

    def depth(self, place: ArrayLike) -> NDArray[np.float64]:
        """Half the depth of the body at a place."""
        return np.asarray(np.interp(np.asarray(place, dtype=float), self.place, self.half_depth_mm))

    def beside(
        self, places: NDArray[np.float64], angle_rad: ArrayLike, half_width_mm: ArrayLike, half_depth_mm: ArrayLike, *,
        gap_mm: ArrayLike = 0.0,
    ) -> NDArray[np.float64]:  # fmt: skip
        """Centres of elliptic sections that touch the column, shape (n, 3), or leave a gap to it.

        ``angle_rad`` says where on the column they touch: 0 in front of it, positive to the left.
        """
        across, ahead = np.sin(angle_rad), np.cos(angle_rad)
        width, depth = self.width(places), self.depth(places)
        normal = np.array([across / width, ahead / depth])
        normal /= np.linalg.norm(normal, axis=0)
        reach = np.hypot(np.asarray(half_width_mm) * normal[0], np.asarray(half_depth_mm) * normal[1]) + gap_mm
        return self.at(places, width * across + reach * normal[0], -(depth * ahead + reach * normal[1]))

    def places_between(self, low: float, high: float, step: float = 0.5) -> NDArray[np.float64]:
        """Places from the lower one (the larger number) upwards, so that heights ascend."""
        return np.linspace(low, high, max(2, round(abs(low - high) / step) + 1))


def levels_of(column: Column) -> Levels:
    """Landmarks of a column with the sacrum below it."""
    vertebrae = column.vertebrae[::-1]
    places = [v.place for v in vertebrae]
    centres = [v.centre_mm for v in vertebrae]
    widths, depths = [v.width_mm / 2 for v in vertebrae], [v.depth_mm / 2 for v in vertebrae]
    centre, tilt, height = column.sacrum_centre_mm.copy(), column.sacral_tilt_rad, 29.0 * column.scale
    for segment in range(5):
        places.append(24.0 + segment)
        centres.append(centre.copy())
        widths.append((25.0 - 3.5 * segment) * column.scale)
        depths.append((15.0 - 2.0 * segment) * column.scale)
        tilt += _SACRAL_STEP_RAD if segment < 3 else 2 * _SACRAL_STEP_RAD
        centre = centre - np.array([0.0, np.sin(tilt), np.cos(tilt)]) * height
        height *= 0.9
    return Levels(np.array(places), np.array(centres), np.array(widths), np.array(depths))


@dataclass(frozen=True, slots=True, eq=False)
class Chest:
    """Extent of the ribs by height, mm: half width, front and back, all on the knots ``z_mm`` (ascending).

    ``sternum_mm`` is the middle line of the breastbone, shape (n, 3), by ascending height.
    """

    z_mm: NDArray[np.float64]
    half_width_mm: NDArray[np.float64]
    front_mm: NDArray[np.float64]
    back_mm: NDArray[np.float64]
    sternum_mm: NDArray[np.float64]

    def sternum_at(self, share: float) -> NDArray[np.float64]:
        """Point on the breastbone by its height, 0 at the lower end and 1 at the upper one."""
        low, high = self.sternum_mm[0, 2], self.sternum_mm[-1, 2]
        z = low + share * (high - low)
        return np.array([np.interp(z, self.sternum_mm[:, 2], self.sternum_mm[:, a]) for a in range(3)])


def chest_of(bones: Shapes) -> Chest:
    """Measure the ribs and the sternum that a skeleton has; smooth, and at least as wide as the bones."""
    rows = np.isin(bones.owners, [STRUCTURES["rib"].id, STRUCTURES["sternum"].id])
    boxes = bones.boxes[rows]
    z = np.arange(boxes[:, 0, 2].min(), boxes[:, 1, 2].max() + 10, 10.0)
    half, front, back = np.zeros(z.size), np.zeros(z.size), np.zeros(z.size)
    for n, height in enumerate(z):
        near = boxes[(boxes[:, 0, 2] <= height + 12) & (boxes[:, 1, 2] >= height - 12)]
        half[n] = np.abs(near[:, :, 0]).max()
        front[n], back[n] = near[:, 0, 1].min(), near[:, 1, 1].max()
    smooth = [gaussian_filter1d(maximum_filter1d(a, 3), 1.5, mode="nearest") for a in (half, -front, back)]
    plates = bones.parameters[bones.owners == STRUCTURES["sternum"].id][:, :12].reshape(-1, 4, 3)
    ends = [plates[0, :2].mean(axis=0), *plates[:, 2:].mean(axis=1)]
    return Chest(z, smooth[0], -smooth[1], smooth[2], np.array(ends[::-1]))


@dataclass(frozen=True, slots=True)
class Patient:
    """What decides the look of soft tissue, HU at 120 kV: habitus, contrast phase (see `phases.Phase`), age.

    ``fat_mm`` is the thickness of the fat under the skin of the belly, ``wall_mm`` that of the muscles of the belly,
    ``streaks`` (0–1) how far fat has replaced muscle, ``wear`` (0–1) that of the discs.
    """

    phase: str
    fat_hu: float
    muscle_hu: float
    artery_hu: float
    pulmonary_hu: float
    upper_vein_hu: float
    vein_hu: float
    renal_vein_hu: float
    portal_hu: float
    myocardium_hu: float
    kidney_hu: float
    medulla_hu: float
    liver_hu: float
    spleen_hu: float
    urine_hu: float
    fat_mm: float
    wall_mm: float
    streaks: float
    wear: float
    scale: float


@dataclass(slots=True)
class Canvas:
    """Shapes in painting order, each with its HU and the name of its tissue."""

    table: ShapeTable = field(default_factory=ShapeTable)
    values_hu: list[float] = field(default_factory=list)
    tissues: list[str] = field(default_factory=list)

    def _note(self, tissue: str, hu: float) -> None:
        new = len(self.table.kinds) - len(self.values_hu)
        self.values_hu += [float(hu)] * new
        self.tissues += [tissue] * new

    def ellipsoid(
        self, centre: ArrayLike, radii_mm: ArrayLike, tissue: str, hu: float, *, axes: ArrayLike | None = None
    ) -> None:
        """One ellipsoid."""
        self.table.ellipsoid(centre, np.maximum(radii_mm, 0.8), owner=0, axes=axes)
        self._note(tissue, hu)

    def drum(
        self, centre: ArrayLike, axes: ArrayLike, size_mm: ArrayLike, bulge: float, tissue: str, hu: float
    ) -> None:
        """A disc with the outline of a vertebral body, wider at half its height by a share ``bulge``."""
        self.table.vertebral_body(centre, axes, size_mm, (0.0, -bulge, 0.0), owner=0)
        self._note(tissue, hu)

    def tube(self, points: ArrayLike, radii_mm: ArrayLike, tissue: str, hu: float) -> None:
        """Round tube through points of shape (n, 3)."""
        path = np.asarray(points, dtype=float)
        radii = np.broadcast_to(np.asarray(radii_mm, dtype=float), len(path))
        for (a, ra), (b, rb) in pairwise(zip(path, radii, strict=True)):
            self.table.capsule(a, b, (float(ra), float(rb)), owner=0)
        self._note(tissue, hu)

    def loft(
        self, points: ArrayLike, half_width_mm: ArrayLike, half_depth_mm: ArrayLike, tissue: str, hu: float, *,
        squareness: float = 0.0, turn_rad: float = 0.0,
    ) -> None:  # fmt: skip
        """Stack of sections about points of shape (n, 3) by ascending height."""
        path = np.asarray(points, dtype=float)
        n = len(path)
        sizes = (np.broadcast_to(np.asarray(a, dtype=float), n) for a in (half_width_mm, half_depth_mm))
        knots = np.column_stack([path[:, 2], path[:, 0], path[:, 1], *sizes])
        self.table.loft(knots, squareness=squareness, turn_rad=turn_rad, owner=0)
        self._note(tissue, hu)

    def belly(
        self, points: ArrayLike, half_width_mm: ArrayLike, half_depth_mm: ArrayLike, patient: Patient, *,
        hu: float = 0.0, turn_rad: float = 0.0, squareness: float = 0.0,
    ) -> None:  # fmt: skip
        """One muscle in its sheath of fat; ``hu`` is added to the patient's muscle."""
        for tissue, value, grow in (
            ("subcutaneous_fat", patient.fat_hu, 0.25 + 0.7 * patient.streaks), ("muscle", patient.muscle_hu + hu, 0.0),
        ):  # fmt: skip
            self.loft(
                points, np.asarray(half_width_mm) + grow, np.asarray(half_depth_mm) + grow, tissue, value,
                squareness=squareness, turn_rad=turn_rad,
            )  # fmt: skip
