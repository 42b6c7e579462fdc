"""Neck: airway, thyroid, carotid arteries, jugular veins and the muscles around the column."""

from __future__ import annotations

import numpy as np

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Levels, Patient


def add_neck(canvas: Canvas, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Draw from the root of the neck to the skull."""
    s = patient.scale
    places = levels.places_between(6.8, -0.4, 0.6)
    ahead = levels.depth(places)
    canvas.loft(levels.at(places, 0, -(ahead + 24 * s)), 44 * s, 20 * s, "subcutaneous_fat", patient.fat_hu + 25)
    for side in SIDES:

        def belly(
            left: float, back: list[float], width: float, depth: float, turn: float = 0.0, side: float = side
        ) -> None:
            """One muscle along the neck; ``back`` by place C1, C4, C7."""
            behind = np.interp(places, [0, 3, 6], back) * s
            canvas.belly(
                levels.at(places, side * left * s, behind), width * s, depth * s, patient, turn_rad=side * turn
            )

        belly(9, [-13, -11, -12], 6, 3.5)
        belly(44, [2, -18, -34], 8, 17, -0.6)
        belly(24, [2, 3, -2], 9, 8)
        belly(34, [20, 16, 14], 7, 15, 0.3)
        belly(11, [32, 28, 30], 9, 9)
        belly(14, [46, 42, 44], 12, 5)
        belly(22, [56, 52, 52], 22, 3.5, 0.15)
        for left, back, radius, tissue, hu in (
            (25, -22, 3.6, "artery", patient.artery_hu), (32, -17, rng.uniform(4, 7), "vein", patient.vein_hu)
        ):  # fmt: skip
            canvas.loft(levels.at(places, side * left * s, back * s), radius * s, radius * s, tissue, float(hu))
        canvas.loft(levels.at(places, side * 13.5 * s, 2 * s), 2.2 * s, 2.2 * s, "artery", patient.artery_hu)
        canvas.ellipsoid(levels.at(6.0, side * 17 * s, -24 * s), np.array([9, 10, 22]) * s, "lymph_node",
                         100 + 0.3 * patient.artery_hu)  # fmt: skip
    _add_airway(canvas, levels, patient)


def _add_airway(canvas: Canvas, levels: Levels, patient: Patient) -> None:
    """Pharynx, larynx within its cartilage, and the jaw region in front as muscle and fat."""
    s = patient.scale
    upper = levels.places_between(3.5, -0.4, 0.6)
    ahead = levels.depth(upper)
    canvas.loft(levels.at(upper, 0, -(ahead + 40 * s)), 36 * s, 26 * s, "muscle", patient.muscle_hu)
    canvas.loft(levels.at(upper, 0, -(ahead + 11 * s)), 17 * s, 7 * s, "bowel_wall", 50.0)
    canvas.loft(levels.at(upper, 0, -(ahead + 12 * s)), 12 * s, 4.5 * s, "gas", -990.0)
    lower = levels.places_between(5.4, 3.2, 0.5)
    ahead = levels.depth(lower)
    canvas.loft(levels.at(lower, 0, -(ahead + 18 * s)), 20 * s, 15 * s, "cartilage", 110.0)
    canvas.loft(levels.at(lower, 0, -(ahead + 18 * s)), 16 * s, 12 * s, "bowel_wall", 60.0)
    canvas.loft(levels.at(lower, 0, -(ahead + 17 * s)), 7 * s, 9 * s, "gas", -990.0)
