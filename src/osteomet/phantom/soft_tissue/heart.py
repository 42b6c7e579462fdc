"""Heart: two atria, two ventricles in their muscle, the septum between them, coronary arteries, fat around it.

References
----------
Lang R.M. et al. Recommendations for cardiac chamber quantification. J Am Soc Echocardiogr 2015;28:1-39: in diastole the
left ventricle is 42-58 mm wide in men and 38-52 mm in women, its wall 6-10 mm thick, and the left atrium 27-40 mm deep
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.soft_tissue.canvas import Canvas, Patient
from osteomet.phantom.soft_tissue.room import Room

_PERICARDIUM_MM, _ATRIUM_WALL_MM, _RIGHT_WALL_MM = 5.0, 2.0, 3.5
_APEX, _BASE = (14.7, 62.0, 90.0), (13.2, 14.0, 48.0)
"""Ends of the left ventricle: place, mm to the left, mm ahead of the column."""
_CALCIFIED, _STENTED = 0.9, 0.06
"""Share of patients with calcified coronary arteries, where wear is full, and of those with a coronary stent."""


@dataclass(frozen=True, slots=True, eq=False)
class _Chamber:
    """Blood of one chamber as an ellipsoid, mm, and the thickness of the muscle around it."""

    centre_mm: NDArray[np.float64]
    half_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    wall_mm: float
    blood_hu: float

    def draw(self, canvas: Canvas, grow_mm: float, tissue: str, hu: float) -> None:
        """Lay the chamber, so much larger than its blood."""
        canvas.ellipsoid(self.centre_mm, self.half_mm + grow_mm, tissue, hu, axes=self.axes)


def add_heart(canvas: Canvas, room: Room, patient: Patient, rng: np.random.Generator) -> None:
    """Draw fat, muscle and then the blood of the chambers."""
    s, muscle_hu = patient.scale, patient.myocardium_hu
    right, left = _right_heart(room, patient), _left_heart(room, patient, float(rng.uniform(7, 11)))
    for grow, tissue, hu in (
        (_PERICARDIUM_MM, "subcutaneous_fat", patient.fat_hu + 10),
        (0.0, "bowel_wall", muscle_hu),
    ):
        for chamber in (*right, *left):
            chamber.draw(canvas, chamber.wall_mm + grow, tissue, hu)
    outflow = room.path((13.3, 8, 98), (12.4, 19, 90))
    canvas.tube(outflow, 15 * s, "bowel_wall", muscle_hu)
    for chamber in right:
        chamber.draw(canvas, 0.0, "vein", chamber.blood_hu)
    canvas.tube(outflow, 12.5 * s, "vein", patient.pulmonary_hu)
    ventricle = left[-1]
    # The wall of the left ventricle is the septum: it parts the right one from the left.
    ventricle.draw(canvas, ventricle.wall_mm, "bowel_wall", muscle_hu)
    for chamber in left:
        chamber.draw(canvas, 0.0, "vein", chamber.blood_hu)
    inner = ventricle.centre_mm - 0.5 * ventricle.half_mm[2] * ventricle.axes[:, 2]
    canvas.tube([inner, room.at(12.7, 1, 64)], 12.5 * s, "artery", patient.artery_hu)
    _add_papillary_muscles(canvas, ventricle, patient)
    _add_mixing(canvas, right[0], patient, rng)
    _add_coronaries(canvas, room, patient, rng)


def _right_heart(room: Room, patient: Patient) -> tuple[_Chamber, ...]:
    """Right atrium, and the right ventricle in front, which lies along the septum."""
    hu = patient.pulmonary_hu
    axes = _along(room.at(*_APEX) - room.at(*_BASE))[:, [2, 0, 1]]
    return (
        _Chamber(room.at(13.3, -36, 60), room.sizes(22, 26, 31), np.eye(3), _ATRIUM_WALL_MM, hu),
        _Chamber(room.at(13.8, 12, 94), room.sizes(42, 18, 30), axes, _RIGHT_WALL_MM, hu),
    )


def _left_heart(room: Room, patient: Patient, wall_mm: float) -> tuple[_Chamber, ...]:
    """Left atrium in front of the column, its appendage, and the left ventricle from base to apex."""
    hu, apex, base = patient.artery_hu, room.at(*_APEX), room.at(*_BASE)
    half = np.array([22 * patient.scale, 22 * patient.scale, 0.46 * float(np.linalg.norm(apex - base))])
    return (
        _Chamber(room.at(12.6, -1, 30), room.sizes(36, 20, 25), np.eye(3), _ATRIUM_WALL_MM, hu),
        _Chamber(room.at(12.1, 40, 48), room.sizes(9, 15, 10), np.eye(3), _ATRIUM_WALL_MM, hu),
        _Chamber((apex + base) / 2, half, _along(apex - base), wall_mm, hu),
    )


def _along(direction: NDArray[np.float64]) -> NDArray[np.float64]:
    """Axes as columns, the last one along a direction, the first one near the horizontal."""
    third = direction / np.linalg.norm(direction)
    first = np.cross(third, [0.0, 0.0, 1.0])
    first /= np.linalg.norm(first)
    return np.column_stack([first, np.cross(third, first), third])


def _add_papillary_muscles(canvas: Canvas, ventricle: _Chamber, patient: Patient) -> None:
    """Two muscles that stand in the blood of the left ventricle."""
    for across, up in ((0.55, 0.45), (0.2, -0.7)):
        place = ventricle.centre_mm + ventricle.axes @ (ventricle.half_mm * [across, up, 0.15])
        canvas.ellipsoid(place, np.array([4.5, 4.5, 13]) * patient.scale, "bowel_wall", patient.myocardium_hu,
                         axes=ventricle.axes)  # fmt: skip


def _add_mixing(canvas: Canvas, atrium: _Chamber, patient: Patient, rng: np.random.Generator) -> None:
    """Clouds where blood with contrast medium from the arms and blood without it from the legs meet."""
    if abs(patient.upper_vein_hu - patient.vein_hu) < 60:
        return
    for _ in range(10):
        place = atrium.centre_mm + rng.uniform(-0.6, 0.6, 3) * atrium.half_mm
        share = rng.uniform(0.15, 0.75)
        hu = share * patient.upper_vein_hu + (1 - share) * patient.vein_hu
        canvas.ellipsoid(place, rng.uniform(4, 11, 3) * patient.scale, "vein", 0.5 * (hu + patient.pulmonary_hu))


def _add_coronaries(canvas: Canvas, room: Room, patient: Patient, rng: np.random.Generator) -> None:
    """Three arteries in the grooves of the heart; calcified spots and, now and then, a stent."""
    s = patient.scale
    routes = (
        room.path((12.7, -6, 68), (13.2, -17, 92), (14.0, -20, 96), (15.0, -16, 80)),
        room.path((12.7, 8, 62), (12.5, 26, 74), (13.2, 42, 96), (14.3, 62, 108)),
        room.path((12.6, 20, 66), (12.7, 46, 58), (13.8, 60, 44)),
    )
    calcified, stented = rng.random() < _CALCIFIED * patient.wear, rng.random() < _STENTED
    for route in routes:
        canvas.tube(route, 3.6 * s, "subcutaneous_fat", patient.fat_hu + 10)
        canvas.tube(route, [1.9 * s] * (len(route) - 1) + [1.1 * s], "artery", patient.artery_hu)
        for _ in range(int(rng.poisson(2.5)) if calcified else 0):
            n = int(rng.integers(len(route) - 1))
            a, b = sorted(rng.uniform(0, 0.9, 2))
            ends = [route[n] + a * (route[n + 1] - route[n]), route[n] + min(b, a + 0.25) * (route[n + 1] - route[n])]
            canvas.tube(ends, rng.uniform(0.7, 1.7), "cortical_bone", float(rng.uniform(300, 1100)))
    if stented:
        route = routes[int(rng.integers(3))]
        ends = [route[1] + f * (route[2] - route[1]) for f in (0.1, rng.uniform(0.5, 0.8))]
        canvas.tube(ends, 2.0, "metal", float(rng.uniform(700, 1300)))
        canvas.tube(ends, 1.1, "artery", patient.artery_hu + 60)
