"""When the phases of dynamic series were taken: the table ``phases.csv`` of a data set."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from osteomet.core.errors import DatasetError
from osteomet.io.csv_rows import check_unique, read_rows

PHASES_FILE = "phases.csv"


def read_phase_times(data: Path) -> dict[str, dict[str, float]]:
    """Time of each channel of each case, seconds by the clock of its series.

    Parameters
    ----------
    data
        Data set with ``phases.csv``, columns ``case``, ``channel`` and ``time_s``.

    Raises
    ------
    DatasetError
        If there is no such table, a phase stands twice, or a time is no number.
    """
    path = data / PHASES_FILE
    if not path.is_file():
        raise DatasetError(
            f"{path} is missing",
            expected="a table with the columns case, channel and time_s",
            remedy="write one: maps need to know when each phase was taken",
        )
    rows = read_rows(path, ("case", "channel", "time_s"))
    check_unique(rows, ("case", "channel"), "the phase")
    times: dict[str, dict[str, float]] = {}
    for row in rows:
        times.setdefault(row.text("case"), {})[row.text("channel")] = row.number("time_s")
    return times


def times_of(times: dict[str, dict[str, float]], case: str, channels: Sequence[str]) -> tuple[float, ...]:
    """Times of the channels of a case in their order; raises `DatasetError` where one is not in the table."""
    known = times.get(case, {})
    missing = [name for name in channels if name not in known]
    if missing:
        raise DatasetError(
            f"{PHASES_FILE} does not say when phases of the case were taken",
            expected=f"a row for each of {', '.join(channels)}",
            got=f"no {', '.join(missing)}",
        )
    return tuple(known[name] for name in channels)
