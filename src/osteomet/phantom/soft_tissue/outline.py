"""The outline of a body in layers: skin, fat, the muscles of the wall; buttocks, legs and arms; the table below.

Above the crests of the hip bones muscle fills what lies below the fat of the skin, further down only fat does: there
each muscle is drawn by itself (`hips`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter1d

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Chest, Levels, Patient

Sections = tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]
"""Middle of each section, shape (n, 3), its half width and its half depth, mm."""

_STEP_MM = 12.0
_LOWEST_MM = -330.0
_SKIN_MM = 1.6
_SQUARE = 2.4
_HEADREST = 0.5
"""Share of scans with a headrest."""
# Half width and half depth by height, without fat, mm for a stature of 1.70 m: by mm above the hips, then by place.
_LOW = ((-330, 150, 78), (-120, 158, 92), (-30, 160, 100), (30, 156, 100), (80, 150, 98))
_HIGH = (
    (20.0, 132, 92), (17.0, 134, 98), (14.0, 138, 104), (11.0, 142, 100), (9.0, 152, 90), (8.0, 158, 82),
    (7.0, 128, 74), (6.0, 76, 64), (5.0, 60, 58), (3.0, 58, 58), (1.0, 64, 68), (-1.0, 74, 92), (-3.0, 72, 92),
)  # fmt: skip

# How far back the skin lies in the middle, below the loins, without fat.
_MIDLINE = ((-330, 40), (-80, 48), (-50, 66), (-20, 86), (20, 98), (60, 102), (95, 104))
# Sections of a buttock: height, left and back of its middle, half width, half depth without fat, how much fat it has.
_BUTTOCK = (
    (-112, 84, 36, 56, 44, 0.9), (-85, 77, 45, 68, 54, 1.0), (-50, 71, 53, 73, 57, 1.0), (-15, 69, 57, 75, 58, 1.0),
    (20, 71, 58, 77, 53, 1.0), (55, 74, 57, 78, 46, 0.85), (90, 70, 55, 70, 36, 0.6), (120, 60, 48, 50, 24, 0.4),
    (145, 50, 38, 28, 10, 0.0),
)  # fmt: skip
_CREST_MM = 112.0
_THIGH_MM = -90.0


@dataclass(frozen=True, slots=True, eq=False)
class Outline:
    """The skin by height, mm: half width, front and back on the knots ``z_mm``; fat is that of the front and sides."""

    z_mm: NDArray[np.float64]
    middle_x_mm: NDArray[np.float64]
    half_width_mm: NDArray[np.float64]
    front_mm: NDArray[np.float64]
    back_mm: NDArray[np.float64]
    fat_mm: NDArray[np.float64]

    def inside(
        self, side_mm: NDArray[np.float64], front_mm: NDArray[np.float64], back_mm: NDArray[np.float64]
    ) -> Sections:
        """Middle, half width and half depth of a section this far below the skin at the sides, front and back."""
        front, back = self.front_mm + front_mm, self.back_mm - back_mm
        points = np.column_stack([self.middle_x_mm, (front + back) / 2, self.z_mm])
        return points, np.maximum(self.half_width_mm - side_mm, 5.0), np.maximum((back - front) / 2, 5.0)

    def below_front(self, left_mm: float, z_mm: float, deep_mm: float) -> NDArray[np.float64]:
        """Point so far below the skin of the front, on the curve of its section."""
        front, back, half = (
            float(np.interp(z_mm, self.z_mm, a)) for a in (self.front_mm, self.back_mm, self.half_width_mm)
        )
        across = min(abs(left_mm - float(np.interp(z_mm, self.z_mm, self.middle_x_mm))) / half, 0.95)
        bow = (1 - across**_SQUARE) ** (1 / _SQUARE)
        return np.array([left_mm, 0.5 * (front + back) - (0.5 * (back - front) - deep_mm) * bow, z_mm])


def outline_of(levels: Levels, chest: Chest, patient: Patient, rng: np.random.Generator) -> Outline:
    """Wrap a skeleton: as wide as habitus says, and never so narrow that bones would stick out."""
    scale, breadth, depth = patient.scale, rng.uniform(0.95, 1.05), rng.uniform(0.94, 1.08)
    knots = [(z * scale, w, d) for z, w, d in _LOW] + [(levels.height_mm(p), w, d) for p, w, d in _HIGH[:-2]]
    top = levels.height_mm(0.0)
    knots += [(top + 45 * scale, *_HIGH[-2][1:]), (top + 110 * scale, *_HIGH[-1][1:])]
    table = np.array(sorted(knots))
    z = np.arange(_LOWEST_MM, top + 110 * scale, _STEP_MM)
    width, half_depth = (np.interp(z, table[:, 0], table[:, c]) * scale for c in (1, 2))
    low = np.array([-330, -60, 60, levels.height_mm(20), levels.height_mm(14), levels.height_mm(8)])
    share = np.interp(z, [*low, levels.height_mm(6.5), top], [0.7, 1.0, 1.0, 1.0, 0.65, 0.5, 0.3, 0.25])
    fat = np.maximum(patient.fat_mm * share, 2.5)
    spine = levels.centre_mm[np.argsort(levels.centre_mm[:, 2])]
    spine_y, spine_x = (np.interp(z, spine[:, 2], spine[:, a]) for a in (1, 0))
    spine_y = np.where(z < 60 * scale, np.interp(z, [-330, -60, 60 * scale], [25, 45, 60]) * scale, spine_y)
    behind = np.interp(
        z, [-120, 20, 90 * scale, levels.height_mm(20), levels.height_mm(12), levels.height_mm(6), top],
        [58, 64, 72, 78, 68, 62, 64],
    ) * scale  # fmt: skip
    back = spine_y + behind + 0.55 * fat + rng.uniform(0, 8)
    middle = scale * np.interp(z / scale, *np.array(_MIDLINE).T) + 0.55 * fat
    rib = np.interp(z, chest.z_mm, chest.half_width_mm, left=0, right=0)
    rib_front = np.interp(z, chest.z_mm, chest.front_mm, left=1e3, right=1e3)
    in_chest = (z > chest.z_mm[0] + 15) & (z < chest.z_mm[-1] - 25)
    half_width = np.maximum(width * breadth, np.where(in_chest, rib + 9, 0)) + fat
    front = np.minimum(back - 2 * half_depth * depth - 1.1 * fat, np.where(in_chest, rib_front - 7 - 0.7 * fat, 1e3))
    back = np.where(z < _MIDLINE[-1][0] * scale, middle, back)
    smooth = [gaussian_filter1d(a, 1.2, mode="nearest") for a in (0.5 * spine_x, half_width, front, back, fat)]
    return Outline(z, *smooth)


def widened(outline: Outline, points_mm: NDArray[np.float64]) -> Outline:
    """Move the skin outwards where points (n, 3) would come nearer to it than its fat is thick."""

    def at(values: NDArray[np.float64]) -> NDArray[np.float64]:
        return np.asarray(np.interp(points_mm[:, 2], outline.z_mm, values))

    half_width, half_depth = at(outline.half_width_mm), at((outline.back_mm - outline.front_mm) / 2)
    across = np.abs(points_mm[:, 0] - at(outline.middle_x_mm)) / half_width
    along = np.abs(points_mm[:, 1] - at((outline.front_mm + outline.back_mm) / 2)) / half_depth
    radius = (across**_SQUARE + along**_SQUARE) ** (1 / _SQUARE)
    excess = (radius - 1) * np.minimum(half_width, half_depth) + at(outline.fat_mm)
    grow = np.zeros(outline.z_mm.size)
    above = np.clip(np.searchsorted(outline.z_mm, points_mm[:, 2]), 1, grow.size - 1)
    for knot in (above - 1, above):
        np.maximum.at(grow, knot, excess)
    return replace(
        outline,
        half_width_mm=outline.half_width_mm + grow,
        front_mm=outline.front_mm - grow,
        back_mm=outline.back_mm + grow,
    )


def add_outline(canvas: Canvas, outline: Outline, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Draw skin, fat and the muscles below it, from the thighs to the head."""
    hips = -75.0 * patient.scale
    trunk = outline.z_mm >= hips - _STEP_MM
    zero = np.zeros(outline.z_mm.size)
    for tissue, hu, depth in (("skin", 25.0, 0.0), ("subcutaneous_fat", patient.fat_hu, _SKIN_MM)):
        points, half_width, half_depth = outline.inside(zero + depth, zero + depth, zero + depth)
        canvas.loft(points[trunk], half_width[trunk], half_depth[trunk], tissue, hu, squareness=0.4)
        for side in SIDES:
            for points, half_width, half_depth in (_buttock(outline, patient, side), _thigh(outline, patient, side)):
                canvas.loft(points, half_width - depth, half_depth - depth, tissue, hu, squareness=0.15)
    above = outline.z_mm >= _CREST_MM * patient.scale
    points, half_width, half_depth = outline.inside(outline.fat_mm, 1.1 * outline.fat_mm, 0.55 * outline.fat_mm + 2)
    canvas.loft(points[above], half_width[above], half_depth[above], "muscle", patient.muscle_hu, squareness=0.4)
    _add_thigh_muscles(canvas, outline, patient)
    _add_back_furrow(canvas, outline, levels, patient)
    if rng.random() < 0.25:
        _add_arms(canvas, outline, levels, patient, rng)


def _buttock(outline: Outline, patient: Patient, side: float) -> Sections:
    """Middle, half width and half depth of the sections of one buttock, upwards; both leave a cleft between them."""
    table = np.array(_BUTTOCK) * patient.scale
    middle = np.interp(table[:, 0], outline.z_mm, outline.middle_x_mm)
    points = np.column_stack([middle + side * table[:, 1], table[:, 2], table[:, 0]])
    fat = np.array(_BUTTOCK)[:, 5] * patient.fat_mm
    return points, table[:, 3] + 0.5 * fat, table[:, 4] + 1.1 * fat


def _thigh(outline: Outline, patient: Patient, side: float, highest_mm: float = -63.0) -> Sections:
    """Middle, half width and half depth of the sections of one thigh, upwards."""
    z = outline.z_mm[outline.z_mm <= highest_mm * patient.scale]
    x = np.interp(z, [-330, -75], [82, 84]) * patient.scale * side
    y = np.interp(z, [-330, -75], [12, 8]) * patient.scale
    radius = np.interp(z, [-330, -75], [66, 80]) * patient.scale
    return np.column_stack([x, y, z]), radius + 0.55 * patient.fat_mm, 1.05 * radius + 0.55 * patient.fat_mm


def _add_thigh_muscles(canvas: Canvas, outline: Outline, patient: Patient) -> None:
    """Muscle groups of both thighs, parted by fat."""
    for side in SIDES:
        points, half_width, half_depth = _thigh(outline, patient, side, _THIGH_MM)
        radius = half_width - 0.55 * patient.fat_mm
        inset = 0.8 * patient.fat_mm
        canvas.loft(points, half_width - inset, half_depth - inset, "muscle", patient.muscle_hu)
        for angle in np.arange(6) * np.pi / 3 + 0.4:
            offset = np.column_stack(
                [np.cos(angle) * 0.52 * radius, np.sin(angle) * 0.55 * radius, np.zeros(radius.size)]
            )
            canvas.belly(points + offset, 0.40 * radius, 0.36 * radius, patient, turn_rad=angle)


def _add_back_furrow(canvas: Canvas, outline: Outline, levels: Levels, patient: Patient) -> None:
    """Fat along the midline behind the spinous processes, which keep the muscles of both sides apart."""
    places = levels.places_between(24.5, 7.0, 1.0)
    points = levels.at(places)
    back = np.interp(points[:, 2], outline.z_mm, outline.back_mm)
    points[:, 1] = back - 0.55 * np.interp(points[:, 2], outline.z_mm, outline.fat_mm) - 3
    canvas.loft(points, 6.0, 6.0, "subcutaneous_fat", patient.fat_hu)


def _add_arms(canvas: Canvas, outline: Outline, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Arms at the side, each with one bone of the upper arm that no label names; often beyond the field of view."""
    z = np.linspace(levels.height_mm(20), levels.height_mm(9), 6)
    x = np.interp(z, outline.z_mm, outline.half_width_mm) + 48 * patient.scale
    y = np.interp(z, outline.z_mm, (outline.front_mm + outline.back_mm) / 2) + rng.uniform(-10, 35)
    for side in SIDES:
        points = np.column_stack([side * x, y, z])
        for radius, tissue, hu in (
            (46.0, "skin", 25.0), (44.4, "subcutaneous_fat", patient.fat_hu), (36.0, "muscle", patient.muscle_hu),
            (11.5, "cortical_bone", 1250.0), (7.5, "yellow_marrow", -40.0),
        ):  # fmt: skip
            canvas.loft(points, radius * patient.scale, radius * patient.scale, tissue, hu)


def add_table(canvas: Canvas, outline: Outline, patient: Patient, rng: np.random.Generator) -> None:
    """Mattress and table top below the patient, as long as the body, and often a headrest."""
    points, _, half_depth = _buttock(outline, patient, SIDES[0])
    back = max(float(outline.back_mm.max()), float((points[:, 1] + half_depth).max()))
    ends = np.array([outline.z_mm[0], outline.z_mm[-1]])

    def slab(top: float, thick: float, half_width: float, hu: float, squareness: float) -> None:
        points = np.column_stack([np.zeros(2), np.full(2, back + top + thick / 2), ends])
        canvas.loft(points, half_width, thick / 2, "gas", hu, squareness=squareness)

    slab(0.5, 22.0, 205.0, -940.0, 1.0)
    slab(23.0, 46.0, 215.0, -780.0, 1.0)
    slab(25.0, 42.0, 213.0, -965.0, 1.0)
    if rng.random() < _HEADREST:
        head = outline.z_mm > outline.z_mm[-1] - 190
        points, half_width, half_depth = outline.inside(*(np.zeros(outline.z_mm.size),) * 3)
        points = points + [0, 14, 0]
        for grow, hu in ((34.0, float(rng.uniform(-700, -100))), (31.0, -950.0)):
            canvas.loft(points[head], half_width[head] + grow, half_depth[head] + grow, "gas", hu, squareness=0.4)
        ahead = points[head] - [0, 60, 0]
        canvas.loft(ahead, half_width[head] + 50, half_depth[head] + 30, "gas", -1000.0, squareness=1.0)
