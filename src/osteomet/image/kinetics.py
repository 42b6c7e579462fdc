"""Concentration of contrast medium over time: a population's arterial input and the extended Tofts model.

References
----------
Tofts P.S. et al. 1999, symbols and the extended model: https://doi.org/10.1002/(SICI)1522-2586(199909)10:3<223::AID-JMRI2>3.0.CO;2-S
Parker G.J.M. et al. 2006, arterial input function: https://doi.org/10.1002/mrm.21066
"""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import UsageError

Values = NDArray[np.float64]

HAEMATOCRIT = 0.42
_BOLUSES = ((0.809, 0.17046, 0.0563), (0.330, 0.365, 0.132))
_ALPHA_MM, _BETA_PER_MIN, _S_PER_MIN, _TAU_MIN = 1.050, 0.1685, 38.078, 0.483
_STEP_S = 0.5


def arterial_blood_mm(time_s: ArrayLike) -> Values:
    """Concentration in arterial blood (mmol/l) after 0.1 mmol/kg, ``time_s`` counted from arrival; 0 before it.

    Two Gaussians for the first and second pass and an exponential that a sigmoid switches on (Parker 2006, eq. 1).
    """
    time = np.asarray(time_s, dtype=np.float64) / 60
    blood = _ALPHA_MM * np.exp(-_BETA_PER_MIN * time) / (1 + np.exp(-_S_PER_MIN * (time - _TAU_MIN)))
    for area, centre, width in _BOLUSES:
        blood = blood + area / (width * np.sqrt(2 * np.pi)) * np.exp(-((time - centre) ** 2) / (2 * width**2))
    return np.where(time >= 0, blood, 0.0)


def extended_tofts_mm(time_s: ArrayLike, ktrans_per_min: ArrayLike, ve: ArrayLike, vp: ArrayLike) -> Values:
    """Concentration in tissue (mmol/l), shape (n_tissues, n_times).

    ``C(t) = vp Cp(t) + Ktrans ∫ Cp(u) exp(−Ktrans/ve (t−u)) du`` with the plasma concentration Cp of the population.
    Plasma is taken as linear between steps of half a second, for which the integral is exact.

    Raises
    ------
    UsageError
        If an extracellular share ``ve`` is not positive.
    """
    time = np.atleast_1d(np.asarray(time_s, dtype=np.float64))
    ktrans, extra, plasma_share = (np.atleast_1d(np.asarray(x, dtype=np.float64)) for x in (ktrans_per_min, ve, vp))
    if (extra <= 0).any():
        raise UsageError(
            "the extracellular share ve must be positive",
            expected="above 0 and up to 1",
            got=f"smallest {extra.min():g}",
            remedy="for tissue that takes up nothing pass a transfer constant of 0 and any ve above 0",
        )
    grid = np.arange(0, max(float(time.max()), 0) + 2 * _STEP_S, _STEP_S)
    plasma = arterial_blood_mm(grid) / (1 - HAEMATOCRIT)
    leaked = _exponential_convolution(plasma, ktrans / extra / 60) * (ktrans / 60)[:, None]
    curves = plasma_share[:, None] * plasma + leaked
    return np.stack([np.interp(time, grid, curve, left=0.0) for curve in curves])


def _exponential_convolution(plasma: Values, rate_per_s: Values) -> Values:
    """``∫ plasma(u) exp(−rate (t−u)) du`` at every step, shape (n_rates, n_steps), for plasma linear in between."""
    x = rate_per_s * _STEP_S
    small = x < 1e-4
    safe = np.where(small, 1.0, x)
    decay = np.exp(-x)
    # Weights of the old and the new end of one step.
    new = _STEP_S * np.where(small, 0.5 - x / 6, (1 - (1 - np.exp(-safe)) / safe) / safe)
    old = _STEP_S * np.where(small, 0.5 - x / 3, ((1 - np.exp(-safe)) / safe - np.exp(-safe)) / safe)
    out = np.zeros((rate_per_s.size, plasma.size))
    for n in range(1, plasma.size):
        out[:, n] = decay * out[:, n - 1] + old * plasma[n - 1] + new * plasma[n]
    return out
