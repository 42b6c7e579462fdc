"""Great vessels of the chest above the heart: pulmonary arteries and veins, veins of head and arms, azygos vein.

References
----------
Truong Q.A. et al. Circ Cardiovasc Imaging 2012;5:147-154, https://doi.org/10.1161/CIRCIMAGING.111.968610: the pulmonary
trunk is 25 mm wide on average
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Levels, Patient
from osteomet.phantom.soft_tissue.room import Room

_HILA = {"artery": ((10.9, 46, 22), (11.3, 42, 30)), "upper": ((11.6, 44, 36), (11.9, 46, 34)),
         "lower": ((13.0, 46, 14), (13.2, 46, 16))}  # fmt: skip
"""Where vessels enter the left and the right lung: place, mm to the side, mm ahead of the column."""


def hilum(room: Room, name: str, side: float) -> NDArray[np.float64]:
    """Where the pulmonary artery or the upper or lower vein meets the lung of a side."""
    place, out, ahead = _HILA[name][0 if side > 0 else 1]
    return room.at(place, side * out, ahead)


def add_pulmonary_vessels(canvas: Canvas, room: Room, patient: Patient, rng: np.random.Generator) -> None:
    """Trunk, its fork below the arch, and four veins from the lungs to the left atrium."""
    s, trunk = patient.scale, float(rng.uniform(11.5, 14.5)) * patient.scale
    fork = room.at(10.9, 17, 46)
    canvas.tube([room.at(12.4, 19, 88), room.at(11.3, 22, 66), fork], trunk, "vein", patient.pulmonary_hu)
    canvas.tube([fork, room.at(10.8, 34, 30), hilum(room, "artery", 1.0)], [trunk, 0.8 * trunk, 7 * s], "vein",
                patient.pulmonary_hu)  # fmt: skip
    canvas.tube([fork, room.at(11.1, -8, 40), room.at(11.2, -30, 36), hilum(room, "artery", -1.0)],
                [0.85 * trunk, 0.75 * trunk, 0.7 * trunk, 7 * s], "vein", patient.pulmonary_hu)  # fmt: skip
    for side in SIDES:
        for name, place, ahead in (("upper", 12.2, 32), ("lower", 12.9, 20)):
            canvas.tube([room.at(place, side * 26, ahead), hilum(room, name, side)], [7.5 * s, 5.5 * s], "vein",
                        patient.artery_hu)  # fmt: skip


def add_upper_veins(canvas: Canvas, room: Room, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Superior vena cava and its two roots, one of which brings the contrast medium; azygos vein beside the column."""
    s = patient.scale
    injected = float(rng.choice(SIDES, p=[0.4, 0.6]))
    meet, end = room.at(8.9, -22, 46), room.at(12.4, -32, 56)
    plain = 0.5 * (patient.vein_hu + patient.pulmonary_hu)
    routes = {
        1.0: [room.at(6.6, 58, 26), room.at(7.4, 44, 40), room.at(8.2, 18, 58), meet],
        -1.0: [room.at(6.6, -58, 26), room.at(7.3, -42, 38), meet],
    }
    for side, route in routes.items():
        canvas.tube(route, rng.uniform(5.5, 7.5) * s, "vein", patient.upper_vein_hu if side == injected else plain)
    cava = [meet, room.at(10.6, -26, 50), end]
    canvas.tube(cava, 9.0 * s, "vein", patient.upper_vein_hu)
    _add_jets(canvas, np.array(cava), patient, rng)
    places = levels.places_between(17.5, 10.0, 0.8)
    radius = float(rng.uniform(2.5, 4.2)) * s
    azygos = levels.beside(places, -0.5, radius, radius, gap_mm=rng.uniform(-0.5, 1.5))
    canvas.tube(azygos, radius, "vein", patient.vein_hu)
    canvas.tube([azygos[-1], room.at(9.8, -22, 14), room.at(10.0, -25, 38)], radius, "vein",
                0.6 * patient.vein_hu + 0.4 * plain)  # fmt: skip


def _add_jets(canvas: Canvas, cava: NDArray[np.float64], patient: Patient, rng: np.random.Generator) -> None:
    """Layers of denser and thinner blood along the vena cava, where contrast medium has just come in."""
    if patient.upper_vein_hu - patient.vein_hu < 60:
        return
    for _ in range(5):
        offset = rng.uniform(-4, 4, 3) * [1, 1, 0]
        canvas.tube(cava + offset, rng.uniform(1.5, 3.0), "vein", patient.upper_vein_hu * float(rng.uniform(0.45, 1.3)))
