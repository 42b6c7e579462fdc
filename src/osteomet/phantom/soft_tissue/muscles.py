"""Muscle groups along the column, each in its sheath of fat."""

from __future__ import annotations

import numpy as np

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Levels, Patient


def add_back_muscles(canvas: Canvas, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Erector spinae, multifidus, quadratus lumborum, psoas, and the muscles behind the neck."""
    strong = rng.uniform(0.85, 1.15) * patient.scale
    places = levels.places_between(24.5, 5.0, 0.75)
    behind = levels.depth(places)
    for side in SIDES:
        width = np.interp(places, [5, 8, 13, 17, 20, 23, 24.5], [10, 17, 21, 24, 28, 25, 14]) * strong
        deep = np.interp(places, [5, 8, 13, 17, 20, 23, 24.5], [10, 12, 13, 17, 22, 18, 8]) * strong
        out = np.interp(places, [5, 8, 13, 17, 20, 23, 24.5], [16, 24, 30, 36, 40, 38, 30]) * patient.scale
        back = behind + np.interp(places, [5, 8, 13, 20, 23, 24.5], [26, 30, 31, 34, 36, 38]) * patient.scale
        canvas.belly(levels.at(places, side * out, back), width, deep, patient, hu=rng.normal(0, 3), squareness=0.4)
        width = np.interp(places, [5, 12, 18, 22, 24.5], [8, 9, 12, 16, 12]) * strong
        deep = np.interp(places, [5, 12, 18, 22, 24.5], [10, 10, 14, 17, 9]) * strong
        back = behind + np.interp(places, [5, 12, 18, 22, 24.5], [26, 31, 34, 38, 40]) * patient.scale
        canvas.belly(
            levels.at(places, side * (width + 1.5), back), width, deep, patient, hu=rng.normal(-4, 3), squareness=0.4
        )
        _add_quadratus(canvas, levels, patient, side, strong)
        _add_psoas(canvas, levels, patient, side, strong, rng)


def _add_quadratus(canvas: Canvas, levels: Levels, patient: Patient, side: float, strong: float) -> None:
    """From the last rib to the iliac crest, beside the transverse processes."""
    places = levels.places_between(22.6, 18.0, 0.6)
    out = np.interp(places, [18, 20, 22.6], [48, 60, 72]) * patient.scale
    back = levels.depth(places) + 14 * patient.scale
    taper = np.interp(places, [18, 19, 22, 22.6], [0.5, 1, 1, 0.5]) * strong
    canvas.belly(levels.at(places, side * out, back), 19 * taper, 8 * taper, patient, turn_rad=side * 0.25)


def _add_psoas(
    canvas: Canvas, levels: Levels, patient: Patient, side: float, strong: float, rng: np.random.Generator
) -> None:
    """From T12 along the lumbar bodies and over the brim of the pelvis to the lesser trochanter."""
    places = levels.places_between(23.6, 17.8, 0.6)
    radius = np.interp(places, [17.8, 18.5, 20, 22, 23.6], [3, 7, 13, 19, 20]) * strong * rng.uniform(0.9, 1.1)
    out = levels.width(places) + np.interp(places, [17.8, 20, 22, 23.6], [1, 7, 15, 24]) * patient.scale
    back = np.interp(places, [17.8, 20, 22, 23.6], [8, 5, -4, -14]) * patient.scale
    path = levels.at(places, side * out, back)
    low = np.array([(side * 104, -6, -62), (side * 101, -24, -34), (side * 96, -36, 0), (side * 88, -32, 24)])
    width = np.concatenate([np.array([9, 16, 21, 19]) * strong, radius * 0.92])
    deep = np.concatenate([np.array([9, 15, 17, 17]) * strong, radius * 1.12])
    canvas.belly(np.vstack([low * patient.scale, path]), width, deep, patient, hu=rng.normal(3, 3))
