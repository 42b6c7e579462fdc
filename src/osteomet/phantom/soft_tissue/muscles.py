"""Muscle groups along the column and about the pelvis, each in its sheath of fat."""

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
    rows = [(side * 88 * patient.scale, -34 * patient.scale, 12 * patient.scale, 17, 15),
            (side * 102 * patient.scale, -12 * patient.scale, -45 * patient.scale, 12, 12)]  # fmt: skip
    low = np.array([r[:3] for r in reversed(rows)])
    width = np.concatenate([[11, 18], radius * 0.92])
    deep = np.concatenate([[11, 16], radius * 1.12])
    canvas.belly(np.vstack([low, path]), width * 1.0, deep * 1.0, patient, hu=rng.normal(3, 3))


def add_hip_muscles(canvas: Canvas, patient: Patient, rng: np.random.Generator) -> None:
    """Gluteal muscles, iliacus, obturator, pectineus and the front of the hip; mm from the middle of the hips."""
    s = patient.scale
    strong = rng.uniform(0.88, 1.12)
    cleft = np.array([[0, 60, -80], [0, 78, -30], [0, 92, 30], [0, 100, 70]]) * s
    canvas.loft(cleft, np.array([44, 40, 26, 8]) * s, np.array([40, 36, 26, 10]) * s, "subcutaneous_fat",
                patient.fat_hu)  # fmt: skip
    for side in SIDES:

        def belly(
            rows: tuple[tuple[float, float, float, float, float], ...], turn: float = 0.0, side: float = side
        ) -> None:
            """Knots of (left, back, up, half width, half depth), upwards."""
            table = np.array(rows) * s
            points = table[:, :3] * [side, 1, 1]
            canvas.belly(
                points, table[:, 3] * strong, table[:, 4] * strong, patient, turn_rad=side * turn, hu=rng.normal(0, 3)
            )

        belly(((104, 50, -85, 24, 14), (88, 70, -35, 48, 20), (76, 78, 15, 48, 19), (64, 86, 60, 36, 14),
               (52, 88, 95, 12, 6)), -0.45)  # fmt: skip
        belly(((128, 22, -10, 10, 8), (128, 26, 35, 18, 22), (128, 30, 75, 15, 34), (126, 30, 112, 8, 26)), 0.45)
        belly(((120, 14, 20, 7, 12), (116, 24, 55, 8, 26), (114, 28, 85, 6, 26)), 0.45)
        belly(((96, -30, 18, 14, 12), (100, -16, 60, 10, 22), (112, 0, 98, 7, 28), (118, 8, 116, 3, 16)), 0.45)
        belly(((100, -44, -80, 13, 10), (104, -46, 0, 13, 10), (112, -50, 60, 8, 6)))
        belly(((58, -42, -60, 20, 14), (48, -46, -20, 14, 9)))
        belly(((44, 5, -50, 9, 22), (46, 8, -5, 8, 24), (56, 14, 22, 3, 12)), -0.2)
        belly(((60, 60, -15, 26, 6), (66, 58, 20, 24, 7)), -0.3)
