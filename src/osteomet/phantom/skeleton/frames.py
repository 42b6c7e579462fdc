"""Frames of vertebral bodies by bone id, as compiled loops want them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.skeleton.anatomy import Column


@dataclass(frozen=True, slots=True, eq=False)
class Frames:
    """Where each bone lies.

    ``to_own`` has shape (256, 3, 4) and takes a point (x, y, z, 1) in LPS mm to left, posterior and superior of the
    middle of its vertebral body; bones that are none keep the patient axes. ``half_mm``, shape (256, 3), holds half the
    width, depth and height of bodies and 0 for all other bones.
    """

    to_own: NDArray[np.float64]
    half_mm: NDArray[np.float64]


def frames_of(column: Column) -> Frames:
    """Gather the frames of a column."""
    to_own, half = np.tile(np.eye(3, 4), (256, 1, 1)), np.zeros((256, 3))
    for v in column.vertebrae:
        owner = STRUCTURES[v.name].id
        to_own[owner, :, :3], to_own[owner, :, 3] = v.axes.T, -v.axes.T @ v.centre_mm
        half[owner] = v.width_mm / 2, v.depth_mm / 2, v.height_mm / 2
    return Frames(to_own, half)
