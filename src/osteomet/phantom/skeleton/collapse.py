"""Vertebrae that lose height: under a metastasis, or from osteoporosis. Decided before the column is built.

References
----------
Genant H.K. et al. Vertebral fracture assessment using a semiquantitative technique. J Bone Miner Res 1993;8:1137-1148.
https://doi.org/10.1002/jbmr.5650080915
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from osteomet.core.errors import UsageError

_SITES = ("T5", "T6", "T7", "T8", "T9", "T10", "T11", "T12", "L1", "L2", "L3", "L4")
# Benign fractures gather about the mid-thoracic column and the thoracolumbar junction.
_BENIGN_ODDS = np.array([1, 1.5, 2, 2, 1, 1, 2, 4, 4, 2, 1, 1]) / 22.5
_PATHOLOGICAL_ODDS = 0.12
_BENIGN_ODDS_OF_PATIENT, _POROTIC = 0.13, 0.7
POSTERIOR_SHARE = 0.35
"""Loss of height of the back of a collapsed body, relative to that of its front: it becomes a wedge."""


@dataclass(frozen=True, slots=True)
class Collapses:
    """Loss of anterior height, 0 to 1, of each collapsed level, by what broke it."""

    benign: Mapping[str, float]
    pathological: Mapping[str, float]

    @property
    def all(self) -> dict[str, float]:
        """Every level with its loss."""
        return {**self.benign, **self.pathological}

    @property
    def density(self) -> float:
        """Density of spongiosa relative to what it would be: bone that broke by itself is porotic."""
        return _POROTIC if self.benign else 1.0


def sample_collapses(rng: np.random.Generator, *, n_metastases: int) -> Collapses:
    """Draw which levels collapse: from osteoporosis in 13 % of patients, under a metastasis in 12 % of those with some.

    Losses span the mild, moderate and severe grades of Genant: 20 to 60 %. The odds are chosen, not published: the
    patients of a cancer cohort are of the age of fractures.
    """
    n = int(rng.integers(1, 4)) if rng.random() < _BENIGN_ODDS_OF_PATIENT else 0
    levels = rng.choice(_SITES, n, replace=False, p=_BENIGN_ODDS)
    benign = {str(level): float(rng.uniform(0.2, 0.6)) for level in levels}
    pathological: dict[str, float] = {}
    if n_metastases > 0 and rng.random() < _PATHOLOGICAL_ODDS:
        level = str(rng.choice([s for s in _SITES if s not in benign]))
        pathological[level] = float(rng.uniform(0.2, 0.6))
    return Collapses(MappingProxyType(benign), MappingProxyType(pathological))


def collapsed_height(height_mm: float, wedge: float, loss: float) -> tuple[float, float]:
    """Height and wedge of a body whose front loses a share of its height, and whose back `POSTERIOR_SHARE` of that.

    ``wedge`` is as in `shapes.ShapeTable.vertebral_body`: the front is ``height · (1 − wedge)``, the back
    ``height · (1 + wedge)``.

    Raises
    ------
    UsageError
        If the loss does not lie from 0 up to, but without, 1.

    Examples
    --------
    >>> collapsed_height(20.0, 0.0, 0.5)
    (13.25, 0.24528301886792453)
    """
    if not 0 <= loss < 1:
        raise UsageError(
            "a vertebra cannot lose this share of its height",
            expected="0 to below 1",
            got=f"{loss:g}",
            remedy="state the loss as a share, not in percent",
        )
    front, back = height_mm * (1 - wedge) * (1 - loss), height_mm * (1 + wedge) * (1 - POSTERIOR_SHARE * loss)
    height = (front + back) / 2
    return height, (back - front) / (2 * height)
