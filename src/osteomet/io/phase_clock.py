"""When the phases of a dynamic DICOM series were taken."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from itertools import pairwise
from types import MappingProxyType

from osteomet.io.dicom_series import SeriesHeader

_CLOCK = re.compile(r"(\d{2}):?(\d{2}):?(\d{2}(?:\.\d+)?)$")
_DAY_S = 86_400.0


def _clock_s(text: str) -> float | None:
    """Seconds since midnight of a DICOM time."""
    found = _CLOCK.match(text.strip())
    return None if found is None else 3600.0 * int(found[1]) + 60.0 * int(found[2]) + float(found[3])


def _number(text: str) -> float | None:
    try:
        return float(text)
    except ValueError:
        return None


def _milliseconds(text: str) -> float | None:
    found = _number(text)
    return None if found is None else found / 1000


_CLOCKS: Mapping[str, Callable[[str], float | None]] = MappingProxyType(
    {"TemporalPositionTimeOffset": _number, "AcquisitionTime": _clock_s, "TriggerTime": _milliseconds}
)
"""Tags that tell times of phases, in the order in which they are tried, and how each is read in seconds."""


def phase_times_s(headers: Sequence[SeriesHeader]) -> tuple[float, ...] | None:
    """Time of each phase, counted from the first one.

    Parameters
    ----------
    headers
        One for each phase, in order. The earliest slice of a phase tells its time.

    Returns
    -------
    tuple of float, or None
        By the first tag that every phase has and that tells every two neighbours apart; None where there is no such
        tag. A series that runs past midnight goes on counting.
    """
    for tag, read in _CLOCKS.items():
        found = [_earliest(header, tag, read) for header in headers]
        times = [time for time in found if time is not None]
        if len(times) == len(headers) and all(a != b for a, b in pairwise(times)):
            days = 0.0
            counted = [0.0]
            for before, after in pairwise(times):
                days += _DAY_S if tag == "AcquisitionTime" and after < before - _DAY_S / 2 else 0.0
                counted.append(round(after + days - times[0], 6))
            return tuple(counted)
    return None


def _earliest(header: SeriesHeader, tag: str, read: Callable[[str], float | None]) -> float | None:
    """Earliest time of a tag over the slices of a phase; None where one has none."""
    times = [read(frame.repeat_tags.get(tag, "")) for frame in header.frames]
    known = [time for time in times if time is not None]
    return min(known) if known and len(known) == len(times) else None
