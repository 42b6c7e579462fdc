"""Aorta from the heart to its fork, against the column, in health and in disease; branches of its arch.

References
----------
Hager A. et al. Diameters of the thoracic aorta throughout life as measured with helical computed tomography. J Thorac
Cardiovasc Surg 2002;123:1060-1066, https://doi.org/10.1067/mtc.2002.122310: about 31 mm where it ascends, 25 mm where
it descends
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Levels, Patient
from osteomet.phantom.soft_tissue.room import Room

_TOP, _FORK = 9.9, 22.2
"""Places where the arch reaches the column and where the aorta forks."""
_WALL_MM = 1.2
_DISEASE_ODDS = {"none": 0.84, "aneurysm": 0.07, "dissection": 0.04, "stent": 0.05}
_STRUT_MM, _RING_MM, _PEAKS = 0.35, 13.0, 7


@dataclass(frozen=True, slots=True, eq=False)
class _Aorta:
    """Middle line by ascending height, lumen and outside, mm; ``offset_mm`` moves the lumen within the outside."""

    places: NDArray[np.float64]
    path_mm: NDArray[np.float64]
    outer_mm: NDArray[np.float64]
    lumen_mm: NDArray[np.float64]
    offset_mm: NDArray[np.float64]


def add_aorta(
    canvas: Canvas, levels: Levels, room: Room, patient: Patient, rng: np.random.Generator
) -> NDArray[np.float64]:
    """Draw the aorta; returns the point where it forks, mm."""
    disease = str(rng.choice(list(_DISEASE_ODDS), p=list(_DISEASE_ODDS.values())))
    aorta = _draw(levels, patient, disease, rng)
    arch = _arch(room, aorta)
    radii = np.linspace(float(rng.uniform(14.5, 17.5)) * patient.scale, aorta.lumen_mm[-1], len(arch))
    canvas.tube(arch, radii + _WALL_MM, "ligament", 50.0)
    canvas.tube(arch, radii, "artery", patient.artery_hu)
    _add_arch_branches(canvas, room, patient)
    canvas.loft(aorta.path_mm, aorta.outer_mm + _WALL_MM, aorta.outer_mm + _WALL_MM, "ligament", 50.0)
    if disease == "dissection":
        false_hu = patient.artery_hu + float(rng.uniform(-0.5, 0.15)) * (patient.artery_hu - 40)
        canvas.loft(aorta.path_mm, aorta.outer_mm, aorta.outer_mm, "artery", false_hu)
        canvas.loft(aorta.path_mm + aorta.offset_mm, aorta.lumen_mm + 1, aorta.lumen_mm + 1, "ligament", 50.0)
    elif disease == "aneurysm":
        canvas.loft(aorta.path_mm, aorta.outer_mm, aorta.outer_mm, "bowel_wall", float(rng.uniform(28, 50)))
    lumen = aorta.path_mm + aorta.offset_mm
    canvas.loft(lumen, aorta.lumen_mm, aorta.lumen_mm, "artery", patient.artery_hu)
    _add_plaques(canvas, aorta.path_mm, aorta.outer_mm, float(14 * patient.wear), rng)
    _add_plaques(canvas, arch, radii, float(4 * patient.wear), rng)
    if disease == "stent":
        _add_stent(canvas, arch, radii, lumen, aorta.lumen_mm, patient, rng)
    return np.asarray(aorta.path_mm[0])


def _draw(levels: Levels, patient: Patient, disease: str, rng: np.random.Generator) -> _Aorta:
    """Lay the aorta against the column: on its left in the chest, in front of it at the diaphragm and below."""
    s = patient.scale
    places = levels.places_between(_FORK, _TOP, 0.4)
    lumen = np.interp(places, [_TOP, 16, 19, _FORK], [12.6, 11.6, 10.2, 8.8]) * s * float(rng.uniform(0.86, 1.18))
    outer = lumen.copy()
    if disease == "aneurysm":
        middle = float(rng.choice([rng.uniform(20.3, 21.3), rng.uniform(12, 17)], p=[0.75, 0.25]))
        outer = lumen * (1 + rng.uniform(0.6, 1.8) * np.exp(-0.5 * ((places - middle) / rng.uniform(0.6, 1.3)) ** 2))
        lumen = lumen + (outer - lumen) * float(rng.uniform(0.1, 0.7))
    elif disease == "dissection":
        outer, lumen = lumen * float(rng.uniform(1.1, 1.5)), lumen * float(rng.uniform(0.55, 0.8))
    spare = np.maximum(outer - lumen - 1, 0) * 0.9
    turn = rng.uniform(0, 2 * np.pi) + 0.25 * (places - _TOP) * (disease == "dissection")
    offset = np.column_stack([spare * np.cos(turn), spare * np.sin(turn), np.zeros(places.size)])
    angle = np.interp(places, [_TOP, 12, 15, 17, 19, _FORK], [1.15, 1.05, 0.75, 0.4, 0.22, 0.12])
    angle = angle + float(rng.normal(0, 0.1))
    gap = float(rng.uniform(-1.8, 2.0)) + np.interp(places, [_TOP, 11, _FORK], [1.5, 0.0, 0.0])
    path = levels.beside(places, angle, outer + _WALL_MM, outer + _WALL_MM, gap_mm=gap)
    return _Aorta(places, path, outer, lumen, offset)


def _arch(room: Room, aorta: _Aorta) -> NDArray[np.float64]:
    """Points along the ascending aorta and the arch to the top of the descending one, mm."""
    top = aorta.path_mm[-1]
    knots = room.path((12.9, 1, 64), (12.0, -7, 70), (10.9, -10, 66), (9.8, -5, 56), (9.3, 6, 40))
    knots = np.vstack([knots, [0.35 * knots[-1] + 0.65 * top + [0, 0, 9 * room.size]], [top]])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    return np.asarray(CubicSpline(along, knots)(np.linspace(0, along[-1], 16)))


def _add_arch_branches(canvas: Canvas, room: Room, patient: Patient) -> None:
    """Brachiocephalic trunk, left carotid and left subclavian artery; the subclavian ones leave to the arms."""
    s = patient.scale
    split = room.at(7.4, -16, 36)
    for route, radius in (
        ([room.at(9.7, -5, 54), split], 6.0),
        ([split, room.at(6.6, -24, 16)], 3.8),
        ([split, room.at(6.8, -38, 24), room.at(7.2, -74, 20)], 4.4),
        ([room.at(9.4, 4, 44), room.at(7.8, 14, 34), room.at(6.6, 24, 16)], 3.8),
        ([room.at(9.5, 13, 30), room.at(7.6, 24, 22), room.at(6.9, 40, 20), room.at(7.2, 74, 20)], 4.8),
    ):
        canvas.tube(np.array(route), radius * s, "artery", patient.artery_hu)


def _add_plaques(
    canvas: Canvas, path: NDArray[np.float64], radii: NDArray[np.float64], mean_number: float, rng: np.random.Generator
) -> None:
    """Calcified plates in the wall, more towards the first points of a path, which for the aorta is its fork."""
    for _ in range(int(rng.poisson(mean_number))):
        row = int((len(path) - 1) * rng.random() ** 1.5)
        angle = rng.uniform(0, 2 * np.pi)
        out = np.array([np.cos(angle), np.sin(angle), 0.0])
        axes = np.column_stack([out, np.cross([0.0, 0.0, 1.0], out), [0.0, 0.0, 1.0]])
        spot = path[row] + (radii[row] + 0.4) * out + [0, 0, rng.normal(0, 4)]
        canvas.ellipsoid(spot, (rng.uniform(0.9, 1.6), rng.uniform(1.5, 5), rng.uniform(1.5, 6)), "cortical_bone",
                         float(rng.uniform(300, 1000)), axes=axes)  # fmt: skip


def _add_stent(
    canvas: Canvas,
    arch: NDArray[np.float64],
    arch_radii: NDArray[np.float64],
    lumen: NDArray[np.float64],
    radii: NDArray[np.float64],
    patient: Patient,
    rng: np.random.Generator,
) -> None:
    """Zigzag rings of wire that line the arch and the upper aorta, or the aorta below the kidneys and both limbs."""
    hu = float(rng.uniform(1300, 2800))
    if rng.random() < 0.5:
        chest = slice(int(len(lumen) * 0.62), None)
        route, size = np.vstack([lumen[chest], arch[:7:-1]]), np.concatenate([radii[chest], arch_radii[:7:-1]])
        add_rings(canvas, route, size, hu)
        return
    below = slice(0, max(3, int(len(lumen) * 0.2)))
    add_rings(canvas, lumen[below], radii[below], hu)
    for side in SIDES:
        fork = lumen[0] + np.array([side * 4, 0, 8])
        add_rings(canvas, np.array([fork + [side * 24, 16, -38], fork]), np.full(2, 5.2 * patient.scale), hu)


def add_rings(canvas: Canvas, path: NDArray[np.float64], radii: NDArray[np.float64], hu: float) -> None:
    """Rings of zigzag wire every few millimetres of a path, as in a stent graft."""
    step = np.linalg.norm(np.diff(path, axis=0), axis=1)
    along = np.concatenate([[0], np.cumsum(step)])
    turn = np.arange(2 * _PEAKS + 1) * np.pi / _PEAKS
    for place in np.arange(_RING_MM / 2, along[-1], _RING_MM):
        row = int(np.clip(np.searchsorted(along, place) - 1, 0, len(step) - 1))
        tangent = (path[row + 1] - path[row]) / step[row]
        first = np.cross(tangent, np.eye(3)[int(np.argmin(np.abs(tangent)))])
        first /= np.linalg.norm(first)
        second = np.cross(tangent, first)
        centre = path[row] + (place - along[row]) * tangent
        radius = float(np.interp(place, along, radii)) - 0.2
        zigzag = np.where(np.arange(turn.size) % 2, 4.0, -4.0)
        ring = centre + radius * (np.cos(turn)[:, None] * first + np.sin(turn)[:, None] * second)
        canvas.tube(ring + zigzag[:, None] * tangent, _STRUT_MM, "metal", hu)
