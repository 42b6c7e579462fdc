"""Checks that every statistic makes on its arrays; each returns the array in the one form the package computes with."""

from __future__ import annotations

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import InputError, UsageError


def finite(values: ArrayLike, what: str, *, ndim: int = 1) -> NDArray[np.float64]:
    """Return float64 of the given number of axes without NaN or infinity."""
    array = np.asarray(values, dtype=np.float64)
    if array.ndim != ndim:
        raise InputError(f"{what} must have {ndim} axes", got=f"shape {array.shape}")
    bad = int((~np.isfinite(array)).sum())
    if bad:
        raise InputError(
            f"{what} hold values that are not numbers", got=f"{bad} of {array.size}", remedy="leave those cases out"
        )
    return array


def orderable(values: ArrayLike, what: str, *, ndim: int = 1) -> NDArray[np.float64]:
    """Return float64 of the given number of axes; infinities are fine, NaN has no place in an order and is refused."""
    array = np.asarray(values, dtype=np.float64)
    finite(np.where(np.isinf(array), 0.0, array), what, ndim=ndim)
    return array


def binary(values: ArrayLike, what: str) -> NDArray[np.bool_]:
    """Return a boolean vector; 0 and 1 are accepted, anything else is refused."""
    array = np.asarray(values)
    if array.ndim != 1 or not np.isin(array, (0, 1)).all():
        raise InputError(f"{what} must be a vector of truth values", expected="True and False, or 1 and 0")
    return array.astype(bool)


def vanishes(mean_square: float, values: NDArray[np.float64]) -> bool:
    """Tell whether a mean square of these values is nothing but rounding."""
    return mean_square <= (1e-12 * float(np.abs(values).max())) ** 2


def check_paired(first: NDArray[np.generic], second: NDArray[np.generic], what: str) -> None:
    """Refuse two arrays whose last axes differ in length."""
    if first.shape[-1] != second.shape[-1]:
        raise InputError(f"{what} differ in length", got=f"{first.shape[-1]} against {second.shape[-1]}")


def check_level(level: float) -> None:
    """Refuse a confidence level outside (0, 1), such as 95 for 0.95."""
    if not 0.0 < level < 1.0:
        raise UsageError("a confidence level lies between 0 and 1", got=str(level), remedy="write 0.95 for 95 %")


def check_choice(value: str, choices: tuple[str, ...], what: str) -> None:
    """Refuse a name that is not one of the choices."""
    if value not in choices:
        raise UsageError(f"unknown {what}", expected=" or ".join(choices), got=value)
