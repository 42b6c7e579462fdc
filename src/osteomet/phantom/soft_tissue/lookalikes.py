"""What grows dense in a body without being bone: calcified cartilage of ribs, calcified lymph nodes."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.geometry.shapes import Shapes
from osteomet.phantom.skeleton.parts import PARTS
from osteomet.phantom.soft_tissue.canvas import Canvas, Levels, Patient

_NODES = 0.12
"""Share of patients with calcified lymph nodes."""
_LAST_STERNAL, _LAST_COSTAL = 7, 10
"""Ribs down to the first number reach the breastbone by a cartilage of their own, down to the second by that above."""


def add_lookalikes(canvas: Canvas, levels: Levels, bones: Shapes, patient: Patient, rng: np.random.Generator) -> None:
    """Draw the cartilage of the ribs, with the calcium of age, and now and then calcified lymph nodes."""
    for side in ("left", "right"):
        _add_costal_cartilage(canvas, bones, side, patient, rng)
    if rng.random() < _NODES:
        _add_calcified_nodes(canvas, levels, patient, rng)


def _add_costal_cartilage(
    canvas: Canvas, bones: Shapes, side: str, patient: Patient, rng: np.random.Generator
) -> None:
    """Cartilage from the tips of the ribs on, denser at its rim with age."""
    sternum = bones.boxes[bones.owners == STRUCTURES["sternum"].id]
    bottom, top = sternum[:, 0].min(axis=0), sternum[:, 1].max(axis=0)
    sign = 1.0 if side == "left" else -1.0
    calcified = float(np.clip(rng.normal(patient.wear, 0.3), 0, 1))
    above: NDArray[np.float64] | None = None
    for number in range(1, _LAST_COSTAL + 1):
        rows = np.flatnonzero(bones.parts == PARTS[f"rib_{side}_{number}"])
        if rows.size == 0:
            continue
        tip = bones.boxes[rows[-1]].mean(axis=0)
        if number <= _LAST_STERNAL:
            height = top[2] - (number - 0.5) / _LAST_STERNAL * (top[2] - bottom[2])
            share = (height - bottom[2]) / (top[2] - bottom[2])
            end = np.array([0.5 * (top[0] + bottom[0]) + sign * 15 * patient.scale,
                            0.5 * (sternum[0, :, 1].mean() * share + sternum[-1, :, 1].mean() * (1 - share))
                            + 0.5 * np.clip(tip[1], bottom[1], top[1]), height])  # fmt: skip
        elif above is not None:
            end = above
        bend = 0.5 * (tip + end) + [sign * 6, -6, -6]
        canvas.tube([tip, bend, end], [5.0, 5.5, 4.5], "cartilage", float(rng.uniform(75, 115)))
        _calcify(canvas, np.array([tip, bend, end]), calcified, rng)
        above = bend


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
