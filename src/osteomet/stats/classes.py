"""Figures of yes/no and of multi-class decisions, counted from the confusion matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import InputError
from osteomet.stats._inputs import binary, check_paired
from osteomet.stats.intervals import Estimate, ProportionMethod, proportion_interval


@dataclass(frozen=True, slots=True)
class DiagnosticAccuracy:
    """The five figures of a yes/no decision, each with its count and interval."""

    sensitivity: Estimate
    specificity: Estimate
    accuracy: Estimate
    ppv: Estimate
    npv: Estimate


def diagnostic_accuracy(
    reference: ArrayLike,
    prediction: ArrayLike,
    *,
    method: ProportionMethod = "clopper-pearson",
    level: float = 0.95,
) -> DiagnosticAccuracy:
    """Compare yes/no predictions with the reference, patient by patient.

    Parameters
    ----------
    reference, prediction
        True for diseased and for called diseased; shape (n,).
    method, level
        As in `osteomet.stats.intervals.proportion_interval`.

    Returns
    -------
    DiagnosticAccuracy
        A figure without cases to count is undefined.

    Examples
    --------
    >>> result = diagnostic_accuracy([1, 1, 1, 0, 0], [1, 1, 0, 0, 1])
    >>> result.sensitivity.value, result.specificity.value, result.npv.numerator
    (0.6666666666666666, 0.5, 1)
    """
    truth, call = binary(reference, "the reference"), binary(prediction, "the prediction")
    check_paired(truth, call, "reference and prediction")

    def figure(hit: NDArray[np.bool_], among: NDArray[np.bool_]) -> Estimate:
        return proportion_interval(int((hit & among).sum()), int(among.sum()), method=method, level=level)

    return DiagnosticAccuracy(
        sensitivity=figure(call, truth),
        specificity=figure(~call, ~truth),
        accuracy=figure(call == truth, np.ones_like(truth)),
        ppv=figure(truth, call),
        npv=figure(~truth, ~call),
    )


@dataclass(frozen=True, slots=True)
class ClassFigures:
    """One class against the rest; ``f1`` has no interval of its own (bootstrap it)."""

    label: str
    accuracy: Estimate
    recall: Estimate
    precision: Estimate
    f1: Estimate


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationReport:
    """Confusion matrix (rows reference, columns prediction) and what follows from it.

    ``macro_recall`` and ``macro_f1`` are plain means over the classes, None when a class has none defined.
    """

    labels: tuple[str, ...]
    matrix: NDArray[np.int64]
    accuracy: Estimate
    classes: tuple[ClassFigures, ...]
    macro_recall: float | None
    macro_f1: float | None


def classification_report(
    reference: ArrayLike,
    prediction: ArrayLike,
    labels: Sequence[str],
    *,
    method: ProportionMethod = "clopper-pearson",
    level: float = 0.95,
) -> ClassificationReport:
    """Compare multi-class predictions with the reference.

    Parameters
    ----------
    reference, prediction
        Class of each case, one of ``labels``; shape (n,).
    labels
        Every class in the order of the matrix, also those that no case has.
    method, level
        As in `osteomet.stats.intervals.proportion_interval`.

    Returns
    -------
    ClassificationReport
        Figures without cases to count are undefined: recall of a class that the reference lacks, precision of one never
        predicted, F1 of one that neither has.

    Raises
    ------
    InputError
        If a case has a class that is not among the labels.

    Examples
    --------
    >>> report = classification_report(["none", "mild", "mild"], ["none", "mild", "none"], ["none", "mild"])
    >>> report.matrix.tolist()
    [[1, 0], [1, 1]]
    """
    rows, columns = _positions(reference, labels), _positions(prediction, labels)
    check_paired(rows, columns, "reference and prediction")
    matrix = np.zeros((len(labels), len(labels)), dtype=np.int64)
    np.add.at(matrix, (rows, columns), 1)
    total = int(matrix.sum())

    def proportion(k: int, n: int) -> Estimate:
        return proportion_interval(k, n, method=method, level=level)

    def figures(index: int) -> ClassFigures:
        hit, real, called = (int(x) for x in (matrix[index, index], matrix[index].sum(), matrix[:, index].sum()))
        f1 = Estimate(2 * hit / (real + called) if real + called else None, None, None, 2 * hit, real + called)
        right = total - real - called + 2 * hit
        return ClassFigures(labels[index], proportion(right, total), proportion(hit, real), proportion(hit, called), f1)

    classes = tuple(figures(i) for i in range(len(labels)))
    return ClassificationReport(
        tuple(labels),
        matrix,
        proportion(int(np.trace(matrix)), total),
        classes,
        _mean([c.recall.value for c in classes]),
        _mean([c.f1.value for c in classes]),
    )


def _positions(values: ArrayLike, labels: Sequence[str]) -> NDArray[np.intp]:
    """Index of each value among the labels."""
    index = {label: i for i, label in enumerate(labels)}
    given = [str(v) for v in np.asarray(values).tolist()]
    unknown = sorted(set(given) - set(index))
    if unknown:
        raise InputError("a case has an unknown class", expected=", ".join(labels), got=", ".join(unknown))
    return np.array([index[v] for v in given], dtype=np.intp)


def _mean(values: Sequence[float | None]) -> float | None:
    """Mean, or None when one is missing."""
    defined = [v for v in values if v is not None]
    return float(np.mean(defined)) if defined and len(defined) == len(values) else None
