"""What grows dense in a body without being bone: calcified cartilage of ribs, calcified lymph nodes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from osteomet.phantom.geometry.shapes import Shapes
from osteomet.phantom.skeleton.parts import PARTS
from osteomet.phantom.soft_tissue.canvas import Canvas, Chest, Levels, Patient
from osteomet.phantom.soft_tissue.outline import Outline

_NODES = 0.12
"""Share of patients with calcified lymph nodes."""
_BELOW_SKIN_MM = 13.0
_LAST_STERNAL, _LAST_COSTAL = 7, 10
"""Ribs down to the first number reach the breastbone by a cartilage of their own, down to the second by that above."""


def add_lookalikes(
    canvas: Canvas, levels: Levels, chest: Chest, outline: Outline, bones: Shapes, patient: Patient,
    rng: np.random.Generator,
) -> None:  # fmt: skip
    """Draw the cartilage of the ribs, with the calcium of age, and now and then calcified lymph nodes."""
    for side in ("left", "right"):
        for path in _costal_cartilages(chest, outline, bones, side, patient):
            canvas.tube(path, [5.0, 5.5, 4.5], "cartilage", float(rng.uniform(75, 115)))
            _calcify(canvas, path, float(np.clip(rng.normal(patient.wear, 0.3), 0, 1)), rng)
    if rng.random() < _NODES:
        _add_calcified_nodes(canvas, levels, patient, rng)


def _costal_cartilages(
    chest: Chest, outline: Outline, bones: Shapes, side: str, patient: Patient
) -> Iterator[NDArray[np.float64]]:
    """Middle lines from the tips of the ribs on: to the breastbone, or to the cartilage above; below the skin."""
    sign = 1.0 if side == "left" else -1.0
    end: NDArray[np.float64] | None = None
    for number in range(1, _LAST_COSTAL + 1):
        rows = np.flatnonzero(bones.parts == PARTS[f"rib_{side}_{number}"])
        if number <= _LAST_STERNAL:
            share = 1 - (number - 0.5) / _LAST_STERNAL
            end = chest.sternum_at(share) + [sign * 14 * patient.scale, 0, 0]
        if rows.size == 0 or end is None:
            continue
        tip = bones.boxes[rows[-1]].mean(axis=0)
        path = np.array([tip, 0.5 * (tip + end) - [0, 0, 8], end])
        skin = [outline.below_front(float(x), float(z), _BELOW_SKIN_MM)[1] for x, _, z in path]
        path[1:, 1] = np.maximum(path[1:, 1], skin[1:])
        yield path
        end = path[1]


def _calcify(canvas: Canvas, path: NDArray[np.float64], much: float, rng: np.random.Generator) -> None:
    """Flecks of calcium along the rim of a cartilage."""
    for _ in range(int(rng.poisson(9 * much))):
        n, part = int(rng.integers(len(path) - 1)), rng.random()
        turn, up = rng.uniform(0, 2 * np.pi), rng.uniform(-1, 1)
        out = np.array([np.cos(turn), np.sin(turn), up]) / np.hypot(1, up)
        spot = path[n] + part * (path[n + 1] - path[n]) + 4.2 * out
        canvas.ellipsoid(spot, rng.uniform(0.9, 3.0, 3), "cortical_bone", float(rng.uniform(180, 600)))


def _add_calcified_nodes(canvas: Canvas, levels: Levels, patient: Patient, rng: np.random.Generator) -> None:
    """A few nodes beside the windpipe, at the hila or behind the belly."""
    s = patient.scale
    for _ in range(int(rng.integers(1, 6))):
        place = float(rng.choice([rng.uniform(9.5, 12.5), rng.uniform(18, 23)], p=[0.7, 0.3]))
        ahead = float(levels.depth(place)) + rng.uniform(10, 40) * s
        centre, radius = levels.at(place, rng.uniform(-34, 34) * s, -ahead), rng.uniform(2.5, 6)
        canvas.ellipsoid(centre, (radius + 1.5,) * 3, "lymph_node", 45.0)
        for _ in range(int(rng.integers(1, 4))):
            spot = centre + rng.uniform(-0.5, 0.5, 3) * radius
            canvas.ellipsoid(spot, rng.uniform(0.4, 0.9, 3) * radius, "cortical_bone", float(rng.uniform(250, 900)))
