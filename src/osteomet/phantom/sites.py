"""Where in the skeleton metastases and their mimics arise."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.phantom.shapes import Shapes, distance_to_one

Places = Callable[[np.random.Generator], tuple[int, NDArray[np.float64]]]
"""Draws a place for a deposit: the vocabulary id of the bone, and a point in it (LPS mm, unwarped frame)."""

# Odds of each site, from the order of frequency that series of bone metastases report: column, pelvis, ribs, femora.
_SITE_ODDS = {
    Group.CERVICAL: 0.5,
    Group.THORACIC: 1.0,
    Group.LUMBAR: 1.3,
    Group.SACRAL: 1.0,
    Group.PELVIS: 1.0,
    Group.FEMUR: 0.5,
    Group.THORAX: 0.06,
}
_PREFERENCE = {s.id: _SITE_ODDS.get(s.group, 0.0) for s in STRUCTURES.values()}
_UNNUMBERED = 1.0


def labelled_odds(volumes_mm3: Mapping[int, float]) -> dict[int, float]:
    """Chance of each bone of a label map, by id: preference of its region times its volume to the power of 0.7.

    A vertebra whose level is not determined counts like a thoracic one.
    """
    odds = {owner: (_PREFERENCE[owner] or _UNNUMBERED) * volume**0.7 for owner, volume in volumes_mm3.items()}
    total = sum(odds.values())
    return {owner: value / total for owner, value in odds.items()}


def places_in(bones: Shapes) -> Places:
    """Places in a table of primitives: a primitive by `site_odds`, then a point inside it."""
    odds = site_odds(bones)

    def draw_place(rng: np.random.Generator) -> tuple[int, NDArray[np.float64]]:
        row = int(rng.choice(len(bones), p=odds))
        return int(bones.owners[row]), point_inside(rng, bones, row)

    return draw_place


def site_odds(bones: Shapes) -> NDArray[np.float64]:
    """Chance of each primitive: preference of its region times the size of its box."""
    volume = np.prod(np.maximum(bones.boxes[:, 1] - bones.boxes[:, 0], 4.0), axis=1)
    odds = np.minimum(volume, 40.0**3) ** 0.7 * np.array([_PREFERENCE[int(o)] for o in bones.owners])
    odds *= bones.is_solid
    return np.asarray(odds / odds.sum())


def point_inside(rng: np.random.Generator, bones: Shapes, row: int) -> NDArray[np.float64]:
    """Draw a point inside one primitive by rejection; after 200 misses, the middle of its box."""
    low, high = bones.boxes[row]
    for _ in range(200):
        point = rng.uniform(low, high)
        if distance_to_one(bones, row, point) < -1.0:
            return np.asarray(point)
    return np.asarray((low + high) / 2)
