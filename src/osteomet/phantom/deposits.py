"""Deposits: lobed shapes that change the bone they sit in, be it a metastasis or something that looks like one."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import LesionType

METASTASIS = "metastasis"


@dataclass(frozen=True, slots=True, eq=False)
class Deposit:
    """A lobed change of the bone that it sits in.

    ``lobes_mm`` has shape (n, 4): centre (LPS mm, in the unwarped frame) and radius. ``types`` names the change of each
    lobe; ``cause`` is `METASTASIS` or the name of a mimic. ``shift_hu`` is added to sclerotic lobes; lytic lobes move
    towards ``fill_hu``. ``breach`` lets a lytic lobe destroy cortex and outgrow it.
    """

    lobes_mm: NDArray[np.float64]
    types: tuple[LesionType, ...]
    owner: int
    cause: str
    fill_hu: float
    shift_hu: float
    edge_mm: float
    ripple_mm: float
    phase: NDArray[np.float64]
    rim_hu: float
    breach: bool

    @property
    def is_metastasis(self) -> bool:
        """Whether the labels of lesions show it; a mimic changes the picture alone."""
        return self.cause == METASTASIS

    def distance_mm(self, points: NDArray[np.float32], lobe: int) -> NDArray[np.float32]:
        """Signed distance of points, shape (..., 3), to one rippled lobe, negative inside."""
        centre, radius = self.lobes_mm[lobe, :3].astype(np.float32), np.float32(self.lobes_mm[lobe, 3])
        offset = points - centre
        wave = np.sin(offset @ (self.phase[:3] / radius).T.astype(np.float32) + self.phase[3].astype(np.float32))
        smooth = np.sqrt((offset**2).sum(axis=-1)) - radius
        return np.asarray(smooth + np.float32(self.ripple_mm) * wave.mean(axis=-1), dtype=np.float32)


def random_phase(rng: np.random.Generator) -> NDArray[np.float64]:
    """Three random wave directions (rows 0–2) and their phases (row 3)."""
    waves = rng.normal(size=(3, 3))
    waves *= rng.uniform(2, 5, (3, 1)) / np.linalg.norm(waves, axis=1, keepdims=True)
    return np.vstack([waves, rng.uniform(0, 2 * np.pi, 3)])
