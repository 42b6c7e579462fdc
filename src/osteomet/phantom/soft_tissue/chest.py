"""Lungs with their vessels, the fat between them with heart and great vessels, airways and oesophagus."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.soft_tissue.canvas import SIDES, Canvas, Chest, Levels, Patient
from osteomet.phantom.soft_tissue.heart import add_heart
from osteomet.phantom.soft_tissue.room import Room
from osteomet.phantom.soft_tissue.thoracic_vessels import add_pulmonary_vessels, add_upper_veins, hilum

_N_BRANCHES = 3
_TREES = {"artery": 12, "upper": 5, "lower": 5}
"""Trees of vessels in each lung by the vessel that they come from."""


def add_chest(
    canvas: Canvas, levels: Levels, chest: Chest, room: Room, patient: Patient, rng: np.random.Generator
) -> None:
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
        _add_lung_vessels(canvas, room, side, (width, depth, points), patient, rng)
    _add_mediastinum(canvas, levels, room, patient, rng)
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
    room: Room,
    side: float,
    lung: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    patient: Patient,
    rng: np.random.Generator,
) -> None:
    """Trees of arteries and veins from the hilum outwards: each branch splits in thinner ones until near the pleura.

    ``lung`` holds half width, half depth and middle of its sections.
    """
    width, depth, points = lung
    for name, n_trees in _TREES.items():
        start, hu = hilum(room, name, side), patient.pulmonary_hu if name == "artery" else patient.artery_hu
        low, high = {"artery": (2, 2), "upper": (len(points) // 2, 2), "lower": (2, len(points) // 2)}[name]
        for _ in range(n_trees):
            row = int(rng.integers(low, len(points) - high))
            aim = points[row] + np.array(
                [rng.uniform(-0.4, 0.8) * side * width[row], rng.uniform(-0.85, 0.85) * depth[row], 0]
            )
            _add_tree(canvas, lung, (start, aim), float(rng.uniform(2.6, 4.0)), hu, rng)


def _add_tree(
    canvas: Canvas,
    lung: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]],
    ends: tuple[NDArray[np.float64], NDArray[np.float64]],
    radius_mm: float,
    hu: float,
    rng: np.random.Generator,
) -> None:
    """One vessel with branches that part from it one after another and end in the lung."""
    start, end = ends
    for _ in range(_N_BRANCHES):
        fork = start + (end - start) * rng.uniform(0.4, 0.6) + rng.normal(0, 4, 3)
        canvas.tube([start, fork, end], [radius_mm, 0.72 * radius_mm, 0.35 * radius_mm], "vein", hu)
        reach = float(np.linalg.norm(end - fork))
        start, end, radius_mm = fork, _within(lung, end + rng.normal(0, 0.4 * reach, 3)), 0.6 * radius_mm


def _within(
    lung: tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]], point: NDArray[np.float64]
) -> NDArray[np.float64]:
    """Nearest point to the middle at which a vessel still lies in its lung."""
    width, depth, middle = lung
    z = float(np.clip(point[2], middle[1, 2], middle[-2, 2]))
    x, y, a, b = (float(np.interp(z, middle[:, 2], v)) for v in (middle[:, 0], middle[:, 1], width, depth))
    out = np.array([(point[0] - x) / a, (point[1] - y) / b])
    out /= max(1.0, float(np.linalg.norm(out)) / 0.93)
    return np.array([x + out[0] * a, y + out[1] * b, z])


def _add_mediastinum(canvas: Canvas, levels: Levels, room: Room, patient: Patient, rng: np.random.Generator) -> None:
    """Fat, thymic remnant, heart, vessels of the lungs and of the upper body, airways, oesophagus."""
    s = patient.scale
    places = levels.places_between(15.8, 7.0, 0.8)
    wide = np.interp(places, [7, 9, 11, 13, 15.8], [26, 31, 33, 25, 18]) * s
    left = np.interp(places, [7, 11, 14, 15.8], [0, 2, 4, 6]) * s
    ahead = np.interp(places, [7, 9, 12, 15.8], [24, 40, 54, 54]) * room.deep * s
    deep = np.interp(places, [7, 9, 12, 15.8], [26, 42, 56, 56]) * room.deep * s
    middle = levels.at(places, left, -(levels.depth(places) + ahead))
    canvas.loft(middle, wide, deep, "subcutaneous_fat", patient.fat_hu + 8, squareness=0.4)
    thymus = room.path((9.4, 0, 74), (11.6, 6, 92))
    remnant = float(rng.uniform(0, 1)) * (1 - patient.wear)
    canvas.tube(thymus, [5.0 * s, 7.0 * s], "lymph_node", patient.fat_hu + remnant * (45 - patient.fat_hu))
    add_heart(canvas, room, patient, rng)
    add_pulmonary_vessels(canvas, room, patient, rng)
    add_upper_veins(canvas, room, levels, patient, rng)
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
