"""Patients: M0 or M1 from the lesions or the calls of their series."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError

ANY_SEQUENCE = "any sequence"


@dataclass(frozen=True, slots=True)
class SeriesCall:
    """What one series of a patient says about metastasis.

    Parameters
    ----------
    case, patient, sequence
        The series, whose it is, and what kind it is; stacks of one sequence (upper and lower spine) are cases of the
        same sequence.
    reference
        Whether the reference has a metastasis.
    prediction
        Whether one was predicted; None where the prediction is missing, which counts as M0 and is listed.
    score
        Higher means more likely metastasis, for example the highest lesion confidence; None where nothing scored it.
    """

    case: str
    patient: str
    sequence: str
    reference: bool
    prediction: bool | None
    score: float | None = None


@dataclass(frozen=True, slots=True)
class SeriesLesions:
    """Lesions of one series: how many the reference and the prediction have, and the score of the series.

    ``n_predicted`` counts what is left after the smallest size allowed, None where the prediction is missing.
    """

    case: str
    patient: str
    sequence: str
    n_reference: int
    n_predicted: int | None
    score: float | None = None

    def call(self) -> SeriesCall:
        """One lesion makes a series positive."""
        prediction = None if self.n_predicted is None else self.n_predicted > 0
        return SeriesCall(self.case, self.patient, self.sequence, self.n_reference > 0, prediction, self.score)


@dataclass(frozen=True, slots=True, eq=False)
class PatientTable:
    """One row a patient, in order of their names.

    ``score`` is None where a predicted series has none. ``unpredicted`` lists the cases that had no prediction and
    count as M0, ``absent`` the patients of the study without a series of this sequence: they are no part of the table.
    """

    name: str
    patients: tuple[str, ...]
    reference: NDArray[np.bool_]
    prediction: NDArray[np.bool_]
    score: NDArray[np.float64] | None
    unpredicted: tuple[str, ...] = ()
    absent: tuple[str, ...] = ()


def patient_table(calls: Sequence[SeriesCall], *, sequence: str | None = None) -> PatientTable:
    """Call a patient M1 when any series does.

    Parameters
    ----------
    calls
        Calls on all series of the study.
    sequence
        Count the predictions on this sequence only, or on every one where None.

    Returns
    -------
    PatientTable
        The reference of a patient is M1 when any series of **any** sequence shows a metastasis there, so that sequences
        and their combination answer to one truth. The score is the highest of the series.

    Raises
    ------
    InputError
        If no series is of this sequence.

    Notes
    -----
    Liu et al. 2021 count a lesion as found when it is segmented on at least one of two sequences, and stage from it.

    References
    ----------
    Liu et al. 2021, https://doi.org/10.3389/fonc.2021.773299.

    Examples
    --------
    >>> calls = [SeriesCall("a", "P1", "DWI", True, False), SeriesCall("b", "P1", "T1-IP", True, True)]
    >>> patient_table(calls, sequence="DWI").prediction, patient_table(calls).prediction
    (array([False]), array([ True]))
    """
    used = [call for call in calls if sequence is None or call.sequence == sequence]
    if not used:
        known = ", ".join(sorted({call.sequence for call in calls}))
        raise InputError("no series is of this sequence", expected=known or "at least one series", got=str(sequence))
    patients = sorted({call.patient for call in used})
    diseased = {call.patient for call in calls if call.reference}
    positive = {call.patient for call in used if call.prediction}
    scores: dict[str, float] = dict.fromkeys(patients, -np.inf)
    for call in used:
        if call.score is not None:
            scores[call.patient] = max(scores[call.patient], call.score)
    scored = all(call.score is not None or call.prediction is None for call in used)
    return PatientTable(
        sequence or ANY_SEQUENCE,
        tuple(patients),
        np.array([p in diseased for p in patients]),
        np.array([p in positive for p in patients]),
        np.array([scores[p] for p in patients]) if scored else None,
        tuple(call.case for call in used if call.prediction is None),
        tuple(sorted({call.patient for call in calls} - set(patients))),
    )


def lesions_of_patients(series: Sequence[SeriesLesions]) -> dict[str, int]:
    """Number of reference lesions of each patient.

    Lesions of the stacks of one sequence are added; between sequences, which show the same lesions, the sequence with
    most counts.

    Examples
    --------
    >>> stacks = [SeriesLesions("a", "P1", "T1", 2, 1), SeriesLesions("b", "P1", "T1", 2, 2)]
    >>> lesions_of_patients([*stacks, SeriesLesions("c", "P1", "CE", 3, 0)])
    {'P1': 4}
    """
    counts: dict[tuple[str, str], int] = {}
    for item in series:
        key = item.patient, item.sequence
        counts[key] = counts.get(key, 0) + item.n_reference
    most: dict[str, int] = {}
    for (patient, _), n in counts.items():
        most[patient] = max(most.get(patient, 0), n)
    return most


def select_patients(table: PatientTable, patients: Sequence[str]) -> PatientTable:
    """Rows of some patients, in the order of ``patients``; the lists of what was missing stay with the whole table."""
    position = {p: i for i, p in enumerate(table.patients)}
    rows = np.array([position[p] for p in patients], dtype=np.intp)
    score = None if table.score is None else table.score[rows]
    return PatientTable(table.name, tuple(patients), table.reference[rows], table.prediction[rows], score)
