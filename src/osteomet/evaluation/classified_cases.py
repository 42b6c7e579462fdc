"""Classified cases and the table they are read from."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError
from osteomet.core.findings import ExamGrade
from osteomet.io.csv_rows import Row, check_unique, read_rows

EXAM_GRADES = tuple(grade.value for grade in ExamGrade)
"""Classes of `wangd2023`."""

TUMOUR_ORIGINS = ("metastasis", "primary")
"""Classes of `wangh2024`."""

NO_PREDICTION = "no prediction"
_SUM_TOLERANCE = 0.0101


@dataclass(frozen=True, slots=True, eq=False)
class ClassifiedCases:
    """Classified cases, one row each.

    ``prediction`` is `NO_PREDICTION` where there is none; ``probability`` has one column a class, NaN rows where there
    is no prediction, and is None where the classifier gives none.
    """

    classes: tuple[str, ...]
    cases: tuple[str, ...]
    patients: tuple[str, ...]
    reference: tuple[str, ...]
    prediction: tuple[str, ...]
    probability: NDArray[np.float64] | None

    def __post_init__(self) -> None:
        lengths = {len(column) for column in (self.cases, self.patients, self.reference, self.prediction)}
        shape = None if self.probability is None else self.probability.shape
        if len(lengths) > 1 or shape not in (None, (len(self.cases), len(self.classes))):
            raise DatasetError("the columns of the cases differ in length", got=f"{sorted(lengths)}, {shape}")

    @property
    def patient_index(self) -> NDArray[np.intp]:
        """Number of the patient of each case, from 0 without gaps."""
        return np.unique(np.array(self.patients), return_inverse=True)[1].astype(np.intp)

    @property
    def one_each(self) -> bool:
        """Whether no patient has two cases."""
        return len(set(self.patients)) == len(self.patients)

    @property
    def unpredicted(self) -> tuple[str, ...]:
        """Cases without prediction."""
        return tuple(c for c, p in zip(self.cases, self.prediction, strict=True) if p == NO_PREDICTION)


def read_classified(path: Path, classes: Sequence[str]) -> ClassifiedCases:
    """Read classified cases.

    Parameters
    ----------
    path
        CSV with the columns ``case``, ``patient``, ``reference``, ``prediction`` and, all or none of them,
        ``probability_<class>``. An empty prediction is a missing one; its probabilities are not read.
    classes
        Every class, in the order of the tables.

    Raises
    ------
    DatasetError
        If a column or a cell is missing, a class is unknown, a case stands twice, a probability lies outside 0–1, those
        of a case do not sum to 1 within 0.01 (room for two printed decimals), or the reference has one class only.
    """
    rows = read_rows(path, ("case", "patient", "reference", "prediction"))
    check_unique(rows, ("case",), "the case")
    columns = [f"probability_{label}" for label in classes]
    known = {label: label for label in classes}
    given = sorted(column for row in rows[:1] for column in row.cells if column.startswith("probability_"))
    if given and given != sorted(columns):
        raise rows[0].error(
            "the columns of probabilities are not those of the classes",
            expected=", ".join(columns),
            got=", ".join(given),
        )
    reference = tuple(row.choice("reference", known) for row in rows)
    prediction = tuple(
        row.choice("prediction", known) if row.cells.get("prediction") else NO_PREDICTION for row in rows
    )
    if len(set(reference)) < 2:
        raise DatasetError(
            f"{path}: the reference holds one class only",
            expected="cases of at least two of " + ", ".join(classes),
            got=", ".join(set(reference)) or "no case",
        )
    missing = np.full(len(columns), np.nan)
    pairs = zip(rows, prediction, strict=True)
    table = [missing if p == NO_PREDICTION else _probabilities(row, columns) for row, p in pairs] if given else None
    return ClassifiedCases(
        tuple(classes),
        tuple(row.text("case") for row in rows),
        tuple(row.text("patient") for row in rows),
        reference,
        prediction,
        None if table is None else np.array(table),
    )


def select_cases(cases: ClassifiedCases, names: Sequence[str]) -> ClassifiedCases:
    """Rows of some cases, in the order of ``names``."""
    position = {case: i for i, case in enumerate(cases.cases)}
    rows = [position[name] for name in names]
    return ClassifiedCases(
        cases.classes,
        tuple(names),
        tuple(cases.patients[i] for i in rows),
        tuple(cases.reference[i] for i in rows),
        tuple(cases.prediction[i] for i in rows),
        None if cases.probability is None else cases.probability[rows],
    )


def _probabilities(row: Row, columns: Sequence[str]) -> NDArray[np.float64]:
    """Probabilities of one case, checked."""
    values = np.array([row.number(column) for column in columns])
    if ((values < 0) | (values > 1)).any():
        raise row.error("a probability lies outside 0–1", got=str(values.tolist()))
    if abs(values.sum() - 1) > _SUM_TOLERANCE:
        raise row.error(
            "the probabilities do not sum to 1",
            got=f"{values.sum():.4g}",
            remedy="write softmax outputs, one for each class",
        )
    return values
