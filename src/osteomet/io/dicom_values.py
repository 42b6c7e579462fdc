"""Single values from headers, where the first of several layers that has a value speaks.

The layers of a classic object are its one data set; those of a frame of an enhanced object are the items of its own
functional groups, then of the shared ones, then the data set. Values that are empty or cannot be decoded count as
absent: what must be there is checked where it is used.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pydicom import Dataset
from pydicom.multival import MultiValue

Layers = Sequence[Dataset]


def value_of(layers: Layers, keyword: str) -> Any:
    """First value that is there, None where none is."""
    for layer in layers:
        try:
            value = layer.get(keyword)
        except (ValueError, TypeError, NotImplementedError):
            continue
        if value is not None and value != "" and not (isinstance(value, MultiValue) and len(value) == 0):
            return value
    return None


def text_of(layers: Layers, keyword: str) -> str:
    """Value as text without surrounding blanks, empty where absent."""
    value = value_of(layers, keyword)
    return "" if value is None else str(value).strip()


def tokens_of(layers: Layers, keyword: str) -> tuple[str, ...]:
    """All values of an attribute in upper case, empty ones left out."""
    tokens = (str(v).strip().upper() for v in _listed(value_of(layers, keyword)))
    return tuple(token for token in tokens if token)


def numbers_of(layers: Layers, keyword: str, *, count: int) -> list[float] | None:
    """Exactly ``count`` finite numbers, None where there are more, fewer or others."""
    values = _listed(value_of(layers, keyword))
    numbers = [number for v in values if (number := finite(v)) is not None]
    return numbers if len(numbers) == count == len(values) else None


def number_of(layers: Layers, keyword: str) -> float | None:
    """First value as a finite number."""
    values = _listed(value_of(layers, keyword))
    return finite(values[0]) if values else None


def integer_of(layers: Layers, keyword: str) -> int | None:
    """First value as a whole number."""
    number = number_of(layers, keyword)
    return None if number is None else int(number)


def finite(value: Any) -> float | None:
    """Value as a float, None where it is no finite number.

    Examples
    --------
    >>> finite("2.5"), finite("nan"), finite("abc")
    (2.5, None, None)
    """
    try:
        number = float(value)
    except (TypeError, ValueError):
        return None
    return number if math.isfinite(number) else None


def _listed(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if isinstance(value, (list, MultiValue)) else [value]
