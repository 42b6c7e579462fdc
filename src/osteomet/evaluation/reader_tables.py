"""Readings of a reader study, sorted by condition and reader over all cases."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.evaluation.mark_matching import MatchedReading
from osteomet.stats.froc import Marks


@dataclass(frozen=True, slots=True)
class ReadCase:
    """A case (series) of the reader study, whose it is, and how many lesions the reference has."""

    case: str
    patient: str
    n_lesions: int


@dataclass(frozen=True, slots=True)
class ReaderTable:
    """Everything one reader, or a model, did under one condition.

    ``readings`` has one entry for each case; a case in ``unread`` had no reading and counts as read without marks.
    """

    reader: str
    condition: str
    cases: tuple[ReadCase, ...]
    readings: tuple[MatchedReading, ...]
    unread: tuple[str, ...]

    @property
    def scored(self) -> bool:
        """Whether every mark has a likelihood."""
        return all(value is not None for reading in self.readings for value in reading.likelihood)

    @property
    def patient_index(self) -> NDArray[np.intp]:
        """Number of the patient of each case, from 0 without gaps."""
        return np.unique([case.patient for case in self.cases], return_inverse=True)[1].astype(np.intp)

    def marks(self) -> Marks:
        """Marks for free-response curves: a mark that hits several lesions stands once for each.

        Raises
        ------
        InputError
            If a mark has no likelihood.
        """
        if not self.scored:
            raise InputError(
                f"reader “{self.reader}” ({self.condition}) has marks without likelihood",
                remedy="give every mark a likelihood, or compare sensitivity, PPV and false positives only",
            )
        entries = [
            (case, lesion, value)
            for case, reading in enumerate(self.readings)
            for hits, value in zip(reading.hits, reading.likelihood, strict=True)
            for lesion in hits or (-1,)
        ]
        return Marks(
            case=np.array([entry[0] for entry in entries], dtype=np.intp),
            lesion=np.array([entry[1] for entry in entries], dtype=np.intp),
            confidence=np.array([entry[2] for entry in entries], dtype=np.float64),
            n_lesions=np.array([case.n_lesions for case in self.cases], dtype=np.intp),
            patient=self.patient_index,
        )


def reader_tables(cases: Sequence[ReadCase], readings: Sequence[MatchedReading]) -> tuple[ReaderTable, ...]:
    """Sort readings by condition and reader.

    Parameters
    ----------
    cases
        Every case of the study. One that a reader has no reading of counts as read without marks, and is listed.
    readings
        Matched readings in any order.

    Returns
    -------
    tuple of ReaderTable
        In the order in which condition and reader first stand.

    Raises
    ------
    InputError
        If there is no case, a case stands twice, a reading is of an unknown case, or stands twice.
    """
    names = [case.case for case in cases]
    if not names or len(set(names)) < len(names):
        twice = sorted({name for name in names if names.count(name) > 1})
        raise InputError("a reader study needs cases, each of its own name", got=", ".join(twice) or "no case")
    groups: dict[tuple[str, str], dict[str, MatchedReading]] = {}
    for reading in readings:
        group = groups.setdefault((reading.condition, reading.reader), {})
        what = f"reader “{reading.reader}” ({reading.condition}): case “{reading.case}”"
        if reading.case not in names:
            raise InputError(f"{what} is not in the reference", remedy="check the name of the case")
        if reading.case in group:
            raise InputError(f"{what} was read twice")
        group[reading.case] = reading
    return tuple(_table(key, cases, group) for key, group in groups.items())


def _table(key: tuple[str, str], cases: Sequence[ReadCase], read: Mapping[str, MatchedReading]) -> ReaderTable:
    """Readings of one reader in the order of the cases."""
    condition, reader = key
    readings = tuple(read.get(c.case) or MatchedReading(reader, condition, c.case, (), ()) for c in cases)
    return ReaderTable(reader, condition, tuple(cases), readings, tuple(c.case for c in cases if c.case not in read))
