"""Lungs with their vessels, heart and great vessels, airways and oesophagus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Chest, Levels, Patient

_N_BRANCHES = 3


def add_chest(canvas: Canvas, levels: Levels, chest: Chest, patient: Patient, rng: np.random.Generator) -> None:
    """Draw the organs of the chest, lungs first, then what lies between them."""
    low, high = levels.height_mm(17.3), levels.height_mm(6.9)
    z = np.linspace(low, high, 22)
    half, front, back = (np.interp(z, chest.z_mm, a) for a in (chest.half_width_mm, chest.front_mm, chest.back_mm))
    spine_y = np.array([levels.at(p)[1] for p in levels.places_between(17.3, 6.9, 10.4 / 21)])
    front, back = np.maximum(front, spine_y - 165) + 11, back - 13
    dome = np.interp(z, [low, levels.height_mm(14.2), levels.height_mm(9), high], [0.72, 1, 1, 0.42])
    lung_hu = float(rng.uniform(-880, -800))
    for side in SIDES:
        base = 0.25 if side < 0 else 0.0
        floor = np.interp(z, [low, levels.height_mm(16 - base), levels.height_mm(13.6)], [0.3, 0.45, 1.0])
        depth = (back - front) / 2 * dome * floor
        width = np.maximum(half - 11, 30) * 0.5 * np.minimum(dome * 1.05, 1)
        points = np.column_stack([side * np.maximum(half - 11 - width, 14), back - depth, z])
        canvas.loft(points, width + 1.2, depth + 1.2, "subcutaneous_fat", patient.fat_hu + 60, squareness=0.4)
        canvas.loft(points, width, depth, "lung", lung_hu, squareness=0.4)
        _add_lung_vessels(canvas, levels, side, width, depth, points, patient, rng)
    _add_mediastinum(canvas, levels, patient, rng)
    for side in SIDES:
        places = levels.places_between(17.5, 7.2, 1.0)
        canvas.loft(
            levels.at(places, side * (levels.width(places) + 2), levels.depth(places) * 0.7), 7.0, 12.0,
            "subcutaneous_fat", patient.fat_hu + 45,
        )  # fmt: skip
        canvas.loft(
            levels.at(places, side * (levels.width(places) + 2), levels.depth(places) + 9), 8.0, 9.0, "muscle",
            patient.muscle_hu,
        )  # fmt: skip


def _add_lung_vessels(
    canvas: Canvas,
    levels: Levels,
    side: float,
    width: NDArray[np.float64],
    depth: NDArray[np.float64],
    points: NDArray[np.float64],
    patient: Patient,
    rng: np.random.Generator,
) -> None:
    """Trees from the hilum outwards: each branch splits in two thinner ones until it ends near the pleura."""
    hilum = levels.at(11.5, side * 34.0 * patient.scale, -38.0 * patient.scale)
    hu = 0.75 * patient.vein_hu
    for _ in range(16):
        row = int(rng.integers(2, len(points) - 2))
        aim = points[row] + np.array(
            [rng.uniform(-0.4, 0.75) * side * width[row], rng.uniform(-0.8, 0.8) * depth[row], 0]
        )
        stack = [(hilum, aim, 3.6, 0)]
        while stack:
            start, end, radius, depth_of = stack.pop()
            fork = start + (end - start) * rng.uniform(0.4, 0.6) + rng.normal(0, 4, 3)
            canvas.tube(np.array([start, fork]), [radius, radius * 0.75], "vein", hu)
            canvas.tube(np.array([fork, end]), [radius * 0.7, radius * 0.35], "vein", hu)
            if depth_of < _N_BRANCHES - 1:
                reach = np.linalg.norm(end - fork)
                stack.append((fork, end + rng.normal(0, 0.4 * reach, 3), radius * 0.6, depth_of + 1))


def _add_mediastinum(canvas: Canvas, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Fat with heart, aorta with its arch, superior vena cava, pulmonary trunk, airways and oesophagus."""
    s = patient.scale
    places = levels.places_between(15.8, 7.0, 0.8)
    ahead = levels.depth(places) + np.interp(places, [7, 9, 12, 15.8], [18, 30, 46, 52]) * s
    wide = np.interp(places, [7, 9, 11, 14, 15.8], [24, 30, 34, 44, 40]) * s
    shift = np.interp(places, [7, 11, 14, 15.8], [0, 2, 12, 12]) * s
    deep = np.minimum(ahead + 6, 62 * s)
    canvas.loft(levels.at(places, shift, -ahead), wide, deep, "subcutaneous_fat", patient.fat_hu + 8, squareness=0.4)
    heart = levels.at(14.2, 20 * s, -70 * s)
    axes = np.linalg.qr(np.array([[0.75, -0.3, 0.6], [-0.5, 0.3, 0.8], [-0.45, -0.9, 0.1]]))[0]
    canvas.ellipsoid(heart, np.array([60, 44, 42]) * s, "bowel_wall", patient.muscle_hu + 0.3 * patient.vein_hu - 12,
                     axes=axes)  # fmt: skip
    for offset, radii, hu in (
        ((24, -14, -6), (32, 20, 22), 0.9 * patient.artery_hu), ((-16, -6, 0), (24, 24, 28), patient.vein_hu),
        ((2, 22, 16), (30, 18, 20), 0.9 * patient.artery_hu),
    ):  # fmt: skip
        canvas.ellipsoid(heart + np.array(offset) * s, np.array(radii) * s, "vein", hu)
    route = ((13.2, 4, -62), (11.3, -12, -66), (9.6, -10, -58), (9.0, 2, -46), (9.3, 14, -28))
    arch = np.array([levels.at(place, left * s, back * s) for place, left, back in route])
    canvas.tube(arch, rng.uniform(13.0, 16.5) * s, "artery", patient.artery_hu)
    canvas.tube([levels.at(12.6, -26 * s, -56 * s), levels.at(8.0, -20 * s, -50 * s)], 9.5 * s, "vein",
                patient.vein_hu + 0.4 * (patient.artery_hu - patient.vein_hu))  # fmt: skip
    trunk = np.array(
        [levels.at(12.2, 16 * s, -72 * s), levels.at(11.0, 16 * s, -54 * s), levels.at(11.2, 40 * s, -36 * s)]
    )
    canvas.tube(trunk, 12.0 * s, "vein", patient.vein_hu)
    canvas.tube(
        [levels.at(11.0, 16 * s, -54 * s), levels.at(11.6, -36 * s, -38 * s)], 10.0 * s, "vein", patient.vein_hu
    )
    for x, y in ((-13, -46), (3, -40), (18, -34)):
        canvas.tube([levels.at(9.3, x * s, y * s), levels.at(6.5, x * 1.5 * s, (y + 4) * s)], 4.5 * s, "artery",
                    patient.artery_hu)  # fmt: skip
    _add_airways(canvas, levels, patient, rng)


def _add_airways(canvas: Canvas, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """Trachea to its fork at T4–T5, main bronchi, and the oesophagus behind it, at times with a little gas."""
    s = patient.scale
    fork = levels.at(10.6, -2 * s, -36 * s)
    top = levels.at(5.2, 0, -(levels.depth(5.2) + 16) * s)
    middle = levels.at(7.5, -1 * s, -32 * s)
    for radius, tissue, hu in ((10.0, "cartilage", 45.0), (8.4, "gas", -995.0)):
        canvas.tube([fork, middle, top], radius * s, tissue, hu)
        for side in SIDES:
            canvas.tube([fork, levels.at(11.5, side * 32 * s, -38 * s)], (radius - 2.4) * s, tissue, hu)
    places = levels.places_between(16.3, 5.2, 1.0)
    ahead = levels.depth(places) + np.interp(places, [5.2, 7, 11, 16.3], [6, 9, 11, 20]) * s
    left = np.interp(places, [5.2, 9, 13, 16.3], [1, 5, 3, 12]) * s
    canvas.loft(levels.at(places, left, -ahead), 8 * s, 5.5 * s, "bowel_wall", 42.0)
    if rng.random() < 0.4:
        upper, lower = np.sort(rng.uniform(6, 15, 2))
        some = levels.places_between(float(lower), float(upper))
        canvas.loft(levels.at(some, np.interp(some, places[::-1], left[::-1]),
                              -np.interp(some, places[::-1], ahead[::-1])), 3.0, 2.0, "gas", -700.0)  # fmt: skip
