"""The column: where each vertebra stands and how large it is.

Sizes are means of published morphometry, scaled by stature and jittered by level.

References
----------
Panjabi M.M. et al. Cervical human vertebrae. Spine 1991;16:861-869. https://doi.org/10.1097/00007632-199108000-00001
Panjabi M.M. et al. Thoracic human vertebrae. Spine 1991;16:888-901. https://doi.org/10.1097/00007632-199108000-00006
Panjabi M.M. et al. Human lumbar vertebrae. Spine 1992;17:299-306. https://doi.org/10.1097/00007632-199203000-00010
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.interpolate import CubicSpline

# Level: end-plate width, end-plate depth, posterior body height, height of the disc below (mm).
# fmt: off
_SIZES_MM = {
    "C3": (15.8, 15.0, 11.6, 4.5), "C4": (17.2, 15.3, 11.4, 4.5), "C5": (17.5, 15.2, 11.4, 4.5),
    "C6": (18.5, 16.4, 10.9, 4.5), "C7": (21.8, 18.1, 12.8, 4.5), "T1": (24.5, 18.5, 14.1, 4.0),
    "T2": (24.9, 19.6, 15.6, 3.5), "T3": (24.6, 22.7, 15.7, 3.5), "T4": (24.5, 23.3, 16.2, 3.5),
    "T5": (24.9, 24.3, 16.2, 3.5), "T6": (26.2, 26.0, 17.4, 4.0), "T7": (27.8, 27.4, 18.2, 4.0),
    "T8": (29.5, 27.9, 18.7, 4.5), "T9": (30.6, 29.3, 19.3, 4.5), "T10": (31.9, 30.5, 20.2, 5.0),
    "T11": (34.9, 31.9, 21.3, 6.0), "T12": (39.0, 32.8, 22.7, 7.0), "L1": (41.2, 34.1, 23.8, 8.0),
    "L2": (42.6, 34.6, 24.3, 9.0), "L3": (44.1, 35.2, 23.8, 10.0), "L4": (46.6, 35.5, 24.1, 11.0),
    "L5": (47.3, 34.7, 22.9, 10.0),
}
# fmt: on
# Sagittal tilt in degrees of the superior axis of a level, positive to posterior, of a supine adult.
_TILT_KNOTS = {"L5": -22.0, "L3": 0.0, "L1": 9.0, "T10": 10.0, "T6": -3.0, "T2": -22.0, "C6": -14.0, "C3": 2.0}


@dataclass(frozen=True, slots=True, eq=False)
class Vertebra:
    """One vertebra: centre of its body (LPS mm), own axes as columns (left, posterior, superior), body size in mm."""

    name: str
    centre_mm: NDArray[np.float64]
    axes: NDArray[np.float64]
    width_mm: float
    depth_mm: float
    height_mm: float
    disc_below_mm: float
    wedge: float

    def at(self, u_mm: float, v_mm: float, w_mm: float) -> NDArray[np.float64]:
        """World position of a point in the frame of the vertebra: left, posterior, superior of the body centre."""
        return np.asarray(self.centre_mm + self.axes @ np.array([u_mm, v_mm, w_mm]))


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """The column from L5 upwards, with the frame of the first sacral body below it and the stature that scales all."""

    vertebrae: tuple[Vertebra, ...]
    sacrum_centre_mm: NDArray[np.float64]
    sacral_tilt_rad: float
    scale: float


def sample_column(rng: np.random.Generator) -> Column:
    """Draw a column: stature, lordosis, kyphosis, scoliosis, level by level variation.

    The centre of the first sacral body lies at (0, 45, 85) mm times the scale, in a frame whose origin lies midway
    between the hip joints.
    """
    scale = float(np.clip(rng.normal(1.0, 0.07), 0.84, 1.18))
    curvature = float(rng.uniform(0.4, 1.4))
    names = list(_SIZES_MM)[::-1]
    positions = np.arange(len(names))
    knots = sorted((names.index(n), t * curvature + rng.normal(0, 3)) for n, t in _TILT_KNOTS.items())
    tilt = np.deg2rad(CubicSpline([k for k, _ in knots], [t for _, t in knots])(positions))
    scoliosis_rad = np.deg2rad(rng.choice([2.0, 6.0, 14.0], p=[0.6, 0.3, 0.1]) * rng.normal())
    phase, wave = rng.uniform(0, 2 * np.pi), rng.uniform(6, 14)
    lean = scoliosis_rad * np.sin(2 * np.pi * positions / wave + phase) + rng.normal(0, 0.015, len(names))

    sacral_tilt = float(np.deg2rad(-40 + rng.normal(0, 7)))
    sacrum = np.array([0.0, 45.0, 85.0]) * scale
    sacral_axes = frame(sacral_tilt, 0.0)
    top = sacrum + sacral_axes[:, 2] * 15.0 * scale
    slim_disc = rng.uniform(0.55, 1.15)
    before = sacral_axes
    vertebrae = []
    for position, name in enumerate(names):
        width, depth, height, disc = np.array(_SIZES_MM[name]) * scale * rng.normal(1, 0.03, 4)
        disc *= slim_disc * rng.choice([1.0, 0.6], p=[0.9, 0.1])
        axes = frame(float(tilt[position]), float(lean[position]))
        middle = before[:, 2] + axes[:, 2]
        centre = top + disc * middle / np.linalg.norm(middle) + axes[:, 2] * height / 2
        wedge = float(rng.normal(0.02, 0.02))
        vertebrae.append(Vertebra(name, centre, axes, float(width), float(depth), float(height), float(disc), -wedge))
        top, before = centre + axes[:, 2] * height / 2, axes
    return Column(tuple(vertebrae), sacrum, sacral_tilt, scale)


def frame(tilt_rad: float, lean_rad: float) -> NDArray[np.float64]:
    """Axes (left, posterior, superior as columns) after a sagittal tilt to posterior and a coronal lean to the left."""
    superior = np.array([np.sin(lean_rad), np.sin(tilt_rad) * np.cos(lean_rad), np.cos(tilt_rad) * np.cos(lean_rad)])
    left = np.array([1.0, 0.0, 0.0]) - superior[0] * superior
    left /= np.linalg.norm(left)
    return np.stack([left, np.cross(superior, left), superior], axis=1)
