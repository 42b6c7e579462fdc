"""What surrounds the bones on CT: skin, fat, muscle, viscera, gas, vessels, lungs, discs, canal and the table."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import COLUMN
from osteomet.phantom.anatomy import Column
from osteomet.phantom.shapes import Shapes, ShapeTable


@dataclass(frozen=True, slots=True, eq=False)
class Trunk:
    """Outline of the body: an ellipse at each height. All arrays share the knots ``z_mm`` (ascending); mm."""

    z_mm: NDArray[np.float64]
    centre_y_mm: NDArray[np.float64]
    half_width_mm: NDArray[np.float64]
    half_depth_mm: NDArray[np.float64]
    fat_mm: float
    wall_mm: float
    table_y_mm: float

    def distance_mm(self, points: NDArray[np.float32]) -> NDArray[np.float32]:
        """Approximate signed distance to the skin at points of shape (..., 3), negative inside."""
        z = points[..., 2]
        half_width = np.interp(z, self.z_mm, self.half_width_mm).astype(np.float32)
        half_depth = np.interp(z, self.z_mm, self.half_depth_mm).astype(np.float32)
        y = points[..., 1] - np.interp(z, self.z_mm, self.centre_y_mm).astype(np.float32)
        r = ((np.abs(points[..., 0]) / half_width) ** 2.4 + (np.abs(y) / half_depth) ** 2.4) ** (1 / 2.4)
        return np.asarray((r - 1) * np.minimum(half_width, half_depth), dtype=np.float32)


@dataclass(frozen=True, slots=True, eq=False)
class SoftTissue:
    """Everything but bone, in painting order: shapes with one HU value each, over the layers of the trunk."""

    trunk: Trunk
    shapes: Shapes
    values_hu: NDArray[np.float64]
    fat_hu: float
    muscle_hu: float
    streak_of_fat: float


def sample_soft_tissue(rng: np.random.Generator, column: Column) -> SoftTissue:
    """Draw habitus, organs and contrast phase around a column."""
    table, values = ShapeTable(), []
    centres = {name: column.nearest(name).centre_mm for name in COLUMN}
    heights = np.array([v.centre_mm[2] for v in column.vertebrae])
    depths = np.array([v.centre_mm[1] for v in column.vertebrae])
    trunk = _trunk(rng, column, heights, depths)
    muscle, contrast = float(rng.uniform(40, 70)), float(rng.choice([45.0, rng.uniform(100, 550)]))
    cavity_top, cavity_low = centres["T10"][2], -30.0
    belly_y = float(np.interp(0.0, trunk.z_mm, trunk.centre_y_mm)) - 15
    half = np.interp(centres["L2"][2], trunk.z_mm, trunk.half_width_mm) - trunk.fat_mm - trunk.wall_mm
    deep = np.interp(centres["L2"][2], trunk.z_mm, trunk.half_depth_mm) - trunk.fat_mm - trunk.wall_mm

    def blob(centre: tuple[float, float, float], radii: tuple[float, float, float], hu: float) -> None:
        table.ellipsoid(centre, np.maximum(radii, 2.0), owner=0)
        values.append(hu)

    def tube(names: list[str], offset: tuple[float, float, float], radius: float, hu: float) -> None:
        for a, b in pairwise(names):
            table.capsule(centres[a] + offset, centres[b] + offset, (radius, radius), owner=0)
            values.append(hu)

    middle = (cavity_top + cavity_low) / 2
    blob((0, belly_y, middle), (half, deep * 0.85, (cavity_top - cavity_low) / 2), float(rng.uniform(-110, -70)))
    for _ in range(int(rng.integers(14, 30))):
        place = (
            rng.uniform(-0.8, 0.8) * half,
            belly_y + rng.uniform(-0.6, 0.35) * deep,
            rng.uniform(cavity_low, cavity_top),
        )
        blob(place, tuple(rng.uniform(10, 38, 3)), float(rng.choice([rng.uniform(0, 60), rng.uniform(40, 180)])))
        if rng.random() < 0.25:
            blob(place, tuple(rng.uniform(5, 18, 3)), float(rng.choice([-900.0, rng.uniform(150, 600)], p=[0.8, 0.2])))
    blob((-half * 0.5, belly_y - 10, centres["T12"][2]), (half * 0.5, deep * 0.6, 75), float(rng.uniform(45, 120)))
    for side in (1, -1):
        kidney = (side * rng.uniform(55, 70), centres["L2"][1] + 5, centres["L1"][2] - 10)
        blob(kidney, (26, 24, 50), 30 + 0.5 * contrast)
    blob((0, -20, -5), tuple(rng.uniform(20, 45, 3)), float(rng.uniform(0, 20)))
    chest_y = centres["T7"][1] - rng.uniform(55, 75)
    chest = rng.uniform(0.55, 0.66) * 130 * column.scale
    lung_hu = float(rng.uniform(-900, -750))
    for side in (1, -1):
        blob((side * chest, chest_y + 12, centres["T6"][2]), (62, 88, 135), lung_hu)
        blob((side * 48, chest_y + 62, centres["T7"][2]), (38, 36, 110), lung_hu)
    blob((18, chest_y - 12, centres["T9"][2]), (58, 45, 52), 0.8 * contrast + 5)
    blob((0, chest_y + 5, centres["T4"][2]), (32, 30, 60), float(rng.uniform(-90, 40)))
    for _ in range(60):
        side = rng.choice([-1, 1])
        start = np.array(
            [side * rng.uniform(25, 100), chest_y + rng.uniform(-40, 60), centres["T7"][2] + rng.uniform(-90, 90)]
        )
        table.capsule(start, start + rng.normal(0, 16, 3), (2.2, 1.2), owner=0)
        values.append(contrast * 0.6)
    _add_muscles(table, values, rng, column, muscle)
    aorta = ["L4", "L3", "L2", "L1", "T12", "T11", "T10", "T9", "T8", "T7", "T6", "T5"]
    tube(aorta, (rng.uniform(6, 16), -rng.uniform(28, 36), 0), float(rng.uniform(8, 14)), contrast)
    tube(aorta[:6], (-rng.uniform(10, 22), -rng.uniform(26, 33), 0), float(rng.uniform(8, 12)), 0.7 * contrast + 10)
    _add_column_contents(table, values, rng, column)
    return SoftTissue(
        trunk, table.freeze(), np.array(values), float(rng.uniform(-115, -85)), muscle, float(rng.uniform(0.1, 0.9))
    )


def _trunk(
    rng: np.random.Generator, column: Column, heights: NDArray[np.float64], depths: NDArray[np.float64]
) -> Trunk:
    """Outline that holds the skeleton, with a back that follows the column."""
    z = np.linspace(-320, float(heights.max()) + 60, 24)
    spine_y = np.interp(z, heights, depths)
    spine_y[z < heights.min()] = depths[0] + 25
    fat = float(rng.uniform(6, 38))
    relative = np.interp(z, [-320, -60, 60, 130, 260, 440, 500, 560], [0.62, 1.05, 1.08, 0.92, 1.0, 0.98, 0.8, 0.35])
    half_width = relative * (145 * column.scale + fat)
    half_depth = (
        np.interp(z, [-320, 0, 150, 350, 480, 560], [70, 95, 92, 105, 90, 55]) * rng.uniform(0.95, 1.15) + fat * 0.7
    )
    back = 62 * column.scale + fat * 0.6 + rng.uniform(0, 15)
    centre_y = spine_y + back - half_depth
    return Trunk(
        z, centre_y, half_width, half_depth, fat, float(rng.uniform(12, 24)), float((centre_y + half_depth).max() + 5)
    )


def _add_muscles(
    table: ShapeTable, values: list[float], rng: np.random.Generator, column: Column, muscle_hu: float
) -> None:
    """Psoas beside the lumbar bodies and the erector spinae behind the whole column."""
    vertebrae = column.vertebrae
    for lower, upper in pairwise(vertebrae):
        for side in (1, -1):
            table.capsule(lower.at(side * 20, 42, 0), upper.at(side * 20, 42, 0), (15, 15), owner=0)
            values.append(muscle_hu + rng.normal(0, 4))
            if lower.name in ("L5", "L4", "L3", "L2", "L1"):
                radius = {"L5": 19.0, "L4": 19.0, "L3": 17.0, "L2": 14.0, "L1": 10.0}[lower.name] * rng.uniform(
                    0.9, 1.1
                )
                out = lower.width_mm / 2 + 0.6 * radius
                table.capsule(
                    lower.at(side * out, 2, 0), upper.at(side * (out - 3), 4, 0), (radius, radius * 0.9), owner=0
                )
                values.append(muscle_hu)


def _add_column_contents(table: ShapeTable, values: list[float], rng: np.random.Generator, column: Column) -> None:
    """Discs between the bodies, epidural fat, thecal sac and cord in the canal."""
    disc_hu, gas = float(rng.uniform(55, 115)), bool(rng.random() < 0.1)
    for v in column.vertebrae[:-1]:
        place = v.at(0, 0, -(v.height_mm + v.disc_below_mm) / 2)
        table.ellipsoid(place, (v.width_mm * 0.52, v.depth_mm * 0.53, v.disc_below_mm * 0.75), axes=v.axes, owner=0)
        values.append(disc_hu + rng.normal(0, 8))
        if gas and rng.random() < 0.3:
            table.ellipsoid(place, (v.width_mm * 0.2, v.depth_mm * 0.2, 1.5), axes=v.axes, owner=0)
            values.append(-500.0)
    for lower, upper in pairwise(column.vertebrae):
        for radius, hu in ((9.0, -60.0), (7.0, 18.0), (4.5, 38.0)):
            a, b = (v.at(0, v.depth_mm / 2 + 7.5, 0) for v in (lower, upper))
            table.capsule(a, b, (radius, radius), owner=0)
            values.append(hu)
