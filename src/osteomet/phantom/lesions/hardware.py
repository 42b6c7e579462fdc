"""Metal in the body: screws with rods in the spine, hip prostheses."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np

from osteomet.phantom.geometry.shapes import Shapes, ShapeTable
from osteomet.phantom.skeleton.anatomy import Column, Vertebra

SCREWS, PROSTHESIS = "pedicle_screws", "hip_prosthesis"
_SCREW_ODDS, _PROSTHESIS_ODDS = 0.04, 0.06
TITANIUM_PER_MM, COBALT_PER_MM = 0.26, 0.70
"""Linear attenuation at 70 keV (NIST XCOM), for titanium screws and cobalt–chromium prostheses."""


@dataclass(frozen=True, slots=True, eq=False)
class Hardware:
    """Metal parts: one shape each, in the unwarped frame, with the mimic that it is labelled as."""

    shapes: Shapes
    causes: tuple[str, ...]
    attenuation_per_mm: float


def sample_hardware(rng: np.random.Generator, column: Column) -> Hardware | None:
    """Draw a hip prosthesis or screws with rods, or most often nothing."""
    chance = rng.random()
    if chance < _PROSTHESIS_ODDS:
        return hip_prosthesis(column.scale, side=str(rng.choice(["left", "right"])))
    if chance < _PROSTHESIS_ODDS + _SCREW_ODDS:
        lumbar = [v for v in column.vertebrae if v.name[0] in "TL" and v.name not in ("T1", "T2", "T3")]
        lowest, n = int(rng.integers(0, len(lumbar) - 4)), int(rng.integers(2, 5))
        return screws_and_rods(rng, lumbar[lowest : lowest + n])
    return None


def screws_and_rods(rng: np.random.Generator, vertebrae: Sequence[Vertebra]) -> Hardware:
    """Two screws through the pedicles of each vertebra, their heads joined by two rods."""
    table = ShapeTable()
    radius = float(rng.uniform(2.4, 3.4))
    for side in (1.0, -1.0):
        heads = []
        for v in vertebrae:
            tip = v.at(side * 0.18 * v.width_mm, -0.25 * v.depth_mm, 0.18 * v.height_mm)
            way = side * (0.26 if v.name[0] == "T" else 0.27) * v.width_mm
            entry = v.at(way, v.depth_mm / 2 + 6, 0.2 * v.height_mm)
            head = entry + (entry - tip) / np.linalg.norm(entry - tip) * rng.uniform(11, 15)
            table.capsule(tip, head, (radius * 0.75, radius), owner=0)
            table.capsule(head - v.axes[:, 2] * 3, head + v.axes[:, 2] * 3, (5.5, 5.5), owner=0)
            heads.append(head + v.axes[:, 1] * 3)
        for below, above in pairwise(heads):
            table.capsule(below, above, (2.9, 2.9), owner=0)
    shapes = table.freeze()
    return Hardware(shapes, (SCREWS,) * len(shapes), TITANIUM_PER_MM)


def hip_prosthesis(scale: float, *, side: str) -> Hardware:
    """A head in its cup, a neck and a stem."""
    sign = 1.0 if side == "left" else -1.0
    head = np.array([sign * 88, 0, 0]) * scale
    table = ShapeTable()
    table.capsule(head, head, (24.0, 24.0), owner=0)
    table.capsule(head, head + np.array([sign * 40, 8, -35]), (9.0, 10.0), owner=0)
    table.capsule(head + np.array([sign * 42, 8, -40]), head + np.array([sign * 32, 4, -170]), (9.0, 6.0), owner=0)
    shapes = table.freeze()
    return Hardware(shapes, (PROSTHESIS,) * len(shapes), COBALT_PER_MM)
