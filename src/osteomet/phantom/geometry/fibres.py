"""Which way the bundles of a muscle run, so that fat lies between them as streaks and not as specks."""

from __future__ import annotations

from numba import njit

_TOP_MM, _FRONT_MM, _CLEFT_MM = 95.0, 40.0, 25.0
"""The buttocks lie below, behind and to the sides of these."""
_ALONG, _OVER = (0.719, -0.450, -0.530), (0.695, 0.466, 0.548)
_ACROSS = (0.0, 0.762, -0.647)
"""Axes of the gluteus maximus of either side: along its fibres, and two across, by out, back and up."""
_APART_MM = 500.0
"""Keeps the sides from being mirror images."""


@njit(cache=True, error_model="numpy", inline="always")
def along_fibres(x: float, y: float, z: float) -> tuple[float, float, float]:
    """Point in axes whose third runs along the fibres of muscle, mm: upright but in the buttocks.

    There bundles run from the sacrum outwards, downwards and forwards, so that axial pictures show them lengthwise.
    Axes are those of the patient, from the middle between the hips.
    """
    out = abs(x)
    if z > _TOP_MM or y < _FRONT_MM or out < _CLEFT_MM:
        return x, y, z
    side = _APART_MM if x > 0 else 0.0
    return (
        _ACROSS[1] * y + _ACROSS[2] * z + side,
        _OVER[0] * out + _OVER[1] * y + _OVER[2] * z,
        _ALONG[0] * out + _ALONG[1] * y + _ALONG[2] * z,
    )
