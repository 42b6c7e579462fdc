"""Ribs, one pair for each thoracic vertebra, and the sternum."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.geometry.shapes import ShapeTable
from osteomet.phantom.skeleton.anatomy import Column, Vertebra
from osteomet.phantom.skeleton.parts import PARTS
from osteomet.phantom.skeleton.vertebrae import SIDES, transverse_tip

_N_SEGMENTS = 15


def add_ribs(table: ShapeTable, column: Column, rng: np.random.Generator) -> None:
    """Add a pair of ribs for each thoracic vertebra, from its joint with the bodies round the chest, and the sternum.

    All ribs have the owner ``rib``; the part tells side and number.
    """
    thoracic = [v for v in column.vertebrae if v.name.startswith("T")]
    slope = rng.uniform(0.25, 0.55)
    half_chest, depth = rng.uniform(115, 150) * column.scale, rng.uniform(85, 115) * column.scale
    last_short = rng.uniform(0.15, 0.3)
    owner = STRUCTURES["rib"].id
    for v in thoracic:
        number = v.place - 6.0
        widest = half_chest * np.interp(number, [1, 3, 7, 10, 12], [0.48, 0.75, 1.0, 1.0, 0.92])
        deep = depth * np.interp(number, [1, 3, 7, 12], [0.45, 0.75, 1.0, 1.0])
        sweep = np.interp(number, [1, 7, 10, 11, 12], [2.6, 2.65, 2.35, 1.6, 1.6 * last_short + 0.7])
        upright = np.interp(number, [1, 2, 4], [0.8, 1.8, 3.0]) * column.scale
        for side, word in SIDES:
            path = _rib_path(v, side, float(widest), float(deep), float(sweep), slope)
            part = PARTS[f"rib_{word}_{v.name[1:]}"]
            with table.joining(blend_mm=0.8):
                rise = np.array([0, 0, upright])
                table.capsule(path[0], path[1], (4.6, 3.8), owner=owner, part=part)
                for a, b in pairwise(path[1:]):
                    table.quad([a + rise, b + rise, b - rise, a - rise], 3.1, owner=owner, part=part)
    _add_sternum(table, column, depth, rng)


def _rib_path(v: Vertebra, side: float, widest: float, deep: float, sweep: float, slope: float) -> NDArray[np.float64]:
    """Middle line of one rib: head, neck, tubercle in front of the transverse process, then round the chest."""
    head = v.at(side * (v.width_mm / 2 + 3.5), v.depth_mm * 0.28, 0.42 * v.height_mm)
    tip = transverse_tip(v, side)
    tubercle = v.at(tip[0] + side * 1.5, tip[1] - 7.5, tip[2] + 1.0)
    start = float(np.arcsin(min(0.6, abs(tubercle[0] - v.centre_mm[0]) / widest))) + 0.22
    angles = np.linspace(start, max(sweep, start + 0.3), 8)
    round_ = np.sign(np.cos(angles)) * np.abs(np.cos(angles)) ** 0.85
    arc = np.stack(
        [
            v.centre_mm[0] + side * widest * np.sin(angles) ** 0.9,
            tubercle[1] + 4.0 + deep * (round_ - round_[0]),
            tubercle[2] - 3.0 - slope * deep * (1 - np.cos(angles - start + 0.1)),
        ],
        axis=1,
    )
    knots = np.vstack([head, tubercle, arc])
    along = np.concatenate([[0], np.cumsum(np.linalg.norm(np.diff(knots, axis=0), axis=1))])
    smooth = CubicSpline(along, knots)
    neck = smooth(np.linspace(0, along[1], 3))
    return np.vstack([neck, smooth(np.linspace(along[1], along[-1], _N_SEGMENTS)[1:])])


def _add_sternum(table: ShapeTable, column: Column, depth: float, rng: np.random.Generator) -> None:
    """Manubrium and body in front of the chest from T3 to T9."""
    owner = STRUCTURES["sternum"].id
    top = column.nearest("T3").centre_mm + [0, -depth * rng.uniform(0.75, 0.95), 0]
    bottom = column.nearest("T9").centre_mm + [0, -depth * rng.uniform(1.4, 1.65), 0]
    half = rng.uniform(14, 19)
    angle = top + 0.28 * (bottom - top) - [0, 4, 0]
    with table.joining(blend_mm=4.0):
        for (a, wide_a), (b, wide_b) in pairwise([(top, 1.7), (angle, 0.75), (bottom, 1.1)]):
            across_a, across_b = np.array([half * wide_a, 0, 0]), np.array([half * wide_b, 0, 0])
            table.quad([a + across_a, a - across_a, b - across_b, b + across_b], 5.0, owner=owner)
