"""Concentration of contrast medium from signal, and the fit of the extended Tofts model.

References
----------
Tofts P.S. et al. 1999, symbols and the extended model: https://doi.org/10.1002/(SICI)1522-2594(199909)10:3<223::AID-JMRI2>3.0.CO;2-S
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import InputError
from osteomet.image.kinetics import extended_tofts_mm

Values = NDArray[np.float64]
_RATES_PER_MIN = np.geomspace(0.02, 20.0, 700)
_BLOCK = 2048


@dataclass(frozen=True, slots=True, eq=False)
class ToftsFit:
    """Parameters of each curve and the root mean square of what the model misses, mmol/l; NaN for a curve with NaN."""

    ktrans_per_min: Values
    ve: Values
    vp: Values
    residual_mm: Values


def concentration_mm(
    enhancement: ArrayLike, *, t1_ms: ArrayLike, tr_ms: float, flip_degree: float, relaxivity_per_mm_s: float
) -> Values:
    """Concentration (mmol/l) from the relative enhancement of a spoiled gradient echo.

    Parameters
    ----------
    enhancement
        Signal over baseline, less 1.
    t1_ms
        T1 of the tissue before contrast, measured or assumed; broadcast against the enhancement.

    Returns
    -------
    NaN where no T1 gives such a signal. Shortening of T2* is neglected.

    Examples
    --------
    >>> concentration_mm([0.0], t1_ms=1000.0, tr_ms=4.0, flip_degree=15.0, relaxivity_per_mm_s=4.5).round(9) + 0.0
    array([0.])
    """
    cosine = np.cos(np.deg2rad(flip_degree))
    decay = np.exp(-tr_ms / np.asarray(t1_ms, dtype=np.float64))
    signal = (1 - decay) / (1 - cosine * decay) * (1 + np.asarray(enhancement, dtype=np.float64))
    with np.errstate(invalid="ignore"):
        after = np.where((signal > -np.inf) & (signal < 1), (1 - signal) / (1 - cosine * signal), np.nan)
    rate_per_s = -np.log(after) / tr_ms * 1e3
    return np.asarray((rate_per_s - 1e3 / np.asarray(t1_ms)) / relaxivity_per_mm_s)


def fit_extended_tofts(concentration: ArrayLike, times_s: Sequence[float]) -> ToftsFit:
    """Fit Ktrans, ve and vp to curves of concentration, with the arterial input of a population.

    Parameters
    ----------
    concentration
        Shape (..., n_times), mmol/l.
    times_s
        Time of each value after the arrival of the medium; negative before it. At least four after arrival.

    Returns
    -------
    ToftsFit
        Arrays of the leading shape; shares between 0 and 1, Ktrans not negative.

    Raises
    ------
    InputError
        If there are fewer than four times after arrival, or times and values do not match.

    Notes
    -----
    For a given rate Ktrans/ve the model is linear in the two others. The best solution for each of 700 rates from 0.02
    to 20 a minute, a hundredth apart, is computed outright, so that there is no start value to choose and no minimum to
    get stuck in. The input is that of `osteomet.image.kinetics`: a patient whose heart is slower has another one.
    """
    curves = np.asarray(concentration, dtype=np.float64)
    if curves.shape[-1] != len(times_s) or sum(t > 0 for t in times_s) < 4:
        raise InputError(
            "the curves cannot be fitted",
            expected="a value for each time, four of them after arrival",
            got=f"{curves.shape[-1]} values, {len(times_s)} times, {sum(t > 0 for t in times_s)} after arrival",
            remedy="count times from the arrival of the contrast medium, in seconds, one for each phase",
        )
    ones, none = np.ones(len(_RATES_PER_MIN)), np.zeros(len(_RATES_PER_MIN))
    leaked = extended_tofts_mm(times_s, ones, 1 / _RATES_PER_MIN, none)
    plasma = extended_tofts_mm(times_s, [0.0], [1.0], [1.0])[0]
    flat = curves.reshape(-1, len(times_s))
    parts = [_fit_block(flat[n : n + _BLOCK], leaked, plasma) for n in range(0, len(flat), _BLOCK)]
    figures = np.concatenate(parts, axis=1) if parts else np.empty((4, 0))
    ktrans, ve, vp, residual = (row.reshape(curves.shape[:-1]) for row in figures)
    return ToftsFit(ktrans, ve, vp, residual)


def _fit_block(curves: Values, leaked: Values, plasma: Values) -> Values:
    """Ktrans, ve, vp and residual of some curves, shape (4, n)."""
    a, b, c = (leaked * leaked).sum(axis=1), leaked @ plasma, float(plasma @ plasma)
    d, e = curves @ leaked.T, (curves @ plasma)[:, None]
    with np.errstate(divide="ignore", invalid="ignore"):
        ktrans = (c * d - b * e) / (a * c - b * b)
        vp = (e - b * ktrans) / c
        ktrans = np.where(vp < 0, d / a, ktrans)
        ktrans = np.clip(ktrans, 0.0, _RATES_PER_MIN)  # ve = Ktrans / rate is a share
    vp = np.clip((e - b * ktrans) / c, 0.0, 1.0)
    misfit = ktrans * ktrans * a + 2 * ktrans * vp * b + vp * vp * c - 2 * (ktrans * d + vp * e)
    best = np.nan_to_num(misfit, nan=np.inf).argmin(axis=1)
    rows = np.arange(len(curves))
    total = np.maximum((curves * curves).sum(axis=1) + misfit[rows, best], 0.0)
    found = ktrans[rows, best]
    return np.stack([found, found / _RATES_PER_MIN[best], vp[rows, best], np.sqrt(total / curves.shape[1])])
