"""Metastases: how many, where, how large, of which kind."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import LesionType
from osteomet.phantom.deposits import METASTASIS, Deposit, random_phase
from osteomet.phantom.sites import Places

LEAST_LYTIC_CONTRAST_HU = 40.0


def sample_metastases(
    rng: np.random.Generator, draw_place: Places, spongiosa_hu: NDArray[np.float32], *, n: int
) -> list[Deposit]:
    """Draw ``n`` metastases at places that ``draw_place`` chooses; diameters log-normal from 6 mm, median 14 mm.

    ``spongiosa_hu`` is the density of each bone by id. Where it exceeds soft tissue by less than
    `LEAST_LYTIC_CONTRAST_HU` the metastasis is sclerotic: a lysis that no reader could see must not be taught.
    """
    found = []
    for _ in range(n):
        owner, centre = draw_place(rng)
        found.append(draw_metastasis(rng, owner, centre, float(spongiosa_hu[owner])))
    return found


def draw_metastasis(rng: np.random.Generator, owner: int, centre: NDArray[np.float64], spongiosa_hu: float) -> Deposit:
    """Draw one metastasis about a point (LPS mm) of the bone ``owner``, whose spongiosa has this density."""
    radius = float(np.clip(rng.lognormal(np.log(7), 0.5), 3.0, 22))
    kind = rng.choice(["lytic", "sclerotic", "mixed"], p=[0.5, 0.35, 0.15])
    fill_hu = float(rng.uniform(5, 75))
    if spongiosa_hu < fill_hu + LEAST_LYTIC_CONTRAST_HU:
        kind = "sclerotic"
    n_lobes = int(rng.integers(1, 5)) if radius > 4 else 1
    n_lobes = max(n_lobes, 2) if kind == "mixed" else n_lobes
    lobes = np.empty((n_lobes, 4))
    for lobe in range(n_lobes):
        direction = rng.normal(size=3)
        step = direction / np.linalg.norm(direction) * radius * (0.9 if kind == "mixed" else 0.7)
        lobes[lobe] = [*(centre + step * (lobe > 0)), radius * (1.0 if lobe == 0 else rng.uniform(0.5, 0.9))]
    if kind == "mixed":
        types = tuple((LesionType.LYTIC, LesionType.SCLEROTIC)[lobe % 2] for lobe in range(n_lobes))
    else:
        types = (LesionType(str(kind)),) * n_lobes
    return Deposit(
        lobes_mm=lobes,
        types=types,
        owner=owner,
        cause=METASTASIS,
        fill_hu=fill_hu,
        shift_hu=float(rng.uniform(150, 350) if rng.random() < 0.45 else rng.uniform(350, 950)),
        edge_mm=float(rng.uniform(0.4, 2.0)),
        ripple_mm=float(radius * rng.uniform(0.1, 0.45)),
        phase=random_phase(rng),
        rim_hu=float(rng.uniform(100, 400) if rng.random() < 0.15 else 0.0),
        breach=bool(rng.random() < 0.6),
    )
