"""Free-response curves from marks: FROC with every operating point, AFROC and the JAFROC figure of merit."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import InputError
from osteomet.stats._inputs import check_choice, finite
from osteomet.stats.bootstrap import Statistic
from osteomet.stats.roc import RocCurve, auc_statistic, roc_curve

FalsePositives = Literal["normal", "all"]


@dataclass(frozen=True, slots=True, eq=False)
class Marks:
    """What one reader or model marked on a set of cases, after matching with the reference.

    Parameters
    ----------
    case
        Index of the case of each mark, shape (n_marks,).
    lesion
        Number of the lesion that the mark hits within its case, from 0, or -1 for a false positive; shape (n_marks,).
    confidence
        Higher means surer; shape (n_marks,).
    n_lesions
        Lesions of each case, 0 for a normal case, shape (n_cases,). Cases without marks stand here too.
    patient
        Index of the patient of each case, from 0 without gaps, shape (n_cases,): the unit that is resampled.

    Raises
    ------
    InputError
        If the arrays do not fit each other, or a mark hits a lesion that its case does not have.

    Notes
    -----
    A lesion marked twice counts once, with its highest confidence; the other marks on it count neither way. A study
    that calls them false positives passes -1 for them.
    """

    case: NDArray[np.intp]
    lesion: NDArray[np.intp]
    confidence: NDArray[np.float64]
    n_lesions: NDArray[np.intp]
    patient: NDArray[np.intp]

    def __post_init__(self) -> None:
        confidence = finite(self.confidence, "the confidences")
        fields = {
            name: np.asarray(getattr(self, name), dtype=np.intp) for name in ("case", "lesion", "n_lesions", "patient")
        }
        case, lesion, n_lesions, patient = fields.values()
        if not case.shape == lesion.shape == confidence.shape or n_lesions.shape != patient.shape:
            shapes = {name: a.shape for name, a in fields.items()} | {"confidence": confidence.shape}
            raise InputError("the arrays of marks and cases do not fit each other", got=str(shapes))
        if n_lesions.size == 0 or n_lesions.min() < 0:
            raise InputError("marks need at least one case, and no case has fewer than 0 lesions")
        if not np.array_equal(np.unique(patient), np.arange(patient.max() + 1)):
            raise InputError("patients must be numbered from 0 without gaps", got=str(np.unique(patient)[:10].tolist()))
        if case.size and (case.min() < 0 or case.max() >= n_lesions.size):
            raise InputError(
                "a mark lies on an unknown case",
                expected=f"0 to {n_lesions.size - 1}",
                got=f"{case.min()} to {case.max()}",
            )
        wrong = (lesion < -1) | (lesion >= n_lesions[case])
        if wrong.any():
            first = int(np.flatnonzero(wrong)[0])
            raise InputError(
                f"mark {first} hits a lesion that its case does not have",
                expected=f"-1 to {n_lesions[case[first]] - 1}",
                got=str(lesion[first]),
            )
        for name, array in fields.items():
            object.__setattr__(self, name, array)
        object.__setattr__(self, "confidence", confidence)

    @property
    def lesion_case(self) -> NDArray[np.intp]:
        """Case of each lesion of the study, shape (n_lesions_total,)."""
        return np.repeat(np.arange(self.n_lesions.size), self.n_lesions)

    def lesion_confidence(self) -> NDArray[np.float64]:
        """Highest confidence of the marks on each lesion, −infinity for a missed one, shape (n_lesions_total,)."""
        best = np.full(int(self.n_lesions.sum()), -np.inf)
        hit = self.lesion >= 0
        first = np.cumsum(self.n_lesions) - self.n_lesions
        np.maximum.at(best, first[self.case[hit]] + self.lesion[hit], self.confidence[hit])
        return best

    def case_false_positive(self) -> NDArray[np.float64]:
        """Highest confidence of the false positives on each case, −infinity without any, shape (n_cases,)."""
        worst = np.full(self.n_lesions.size, -np.inf)
        false = self.lesion < 0
        np.maximum.at(worst, self.case[false], self.confidence[false])
        return worst


@dataclass(frozen=True, slots=True, eq=False)
class FrocCurve:
    """Operating points of "a mark counts when its confidence is at least the threshold".

    The first point has threshold infinity and no marks; then one for each distinct confidence, descending, down to and
    including the lowest, where every mark counts. ``sensitivity`` is NaN without lesions.
    """

    threshold: NDArray[np.float64]
    sensitivity: NDArray[np.float64]
    fp_per_case: NDArray[np.float64]
    n_lesions: int
    n_cases: int


def froc_curve(marks: Marks) -> FrocCurve:
    """Compute every operating point: detected share of all lesions against mean number of false positives a case.

    Parameters
    ----------
    marks
        Marks on all cases; the false positives of normal and abnormal cases both count.

    References
    ----------
    Bunch et al. 1978, https://doi.org/10.1117/12.955926.

    Examples
    --------
    >>> case, lesion, confidence = np.array([0, 0, 1]), np.array([0, -1, -1]), np.array([0.9, 0.5, 0.2])
    >>> curve = froc_curve(Marks(case, lesion, confidence, n_lesions=np.array([2, 0]), patient=np.array([0, 1])))
    >>> curve.sensitivity.tolist(), curve.fp_per_case.tolist()
    ([0.0, 0.5, 0.5, 0.5], [0.0, 0.0, 0.5, 1.0])
    """
    thresholds = np.unique(marks.confidence)[::-1]
    found, false = (
        np.concatenate([[0.0], values.size - np.searchsorted(np.sort(values), thresholds)])
        for values in (marks.lesion_confidence(), marks.confidence[marks.lesion < 0])
    )
    total = int(marks.n_lesions.sum())
    sensitivity = found / total if total else np.full(found.size, np.nan)
    n_cases = marks.n_lesions.size
    return FrocCurve(np.concatenate([[np.inf], thresholds]), sensitivity, false / n_cases, total, n_cases)


def froc_statistic(marks: Marks, fp_per_case: ArrayLike) -> Statistic:
    """Sensitivity at given false positive rates, as a statistic of weighted patients: bootstrap it for the band.

    Parameters
    ----------
    marks
        Marks on all cases.
    fp_per_case
        Rates at which to read the curve, shape (m,).

    Returns
    -------
    Statistic
        m sensitivities; NaN for a resample without lesions. At each rate the curve is read as a staircase: the highest
        sensitivity of an operating point that does not exceed the rate, without interpolation between points that no
        threshold reaches.
    """
    rates = finite(fp_per_case, "the false positive rates")
    found, false = marks.lesion_confidence(), marks.lesion < 0
    marked = found > -np.inf
    value = np.concatenate([found[marked], marks.confidence[false]])
    case = np.concatenate([marks.lesion_case[marked], marks.case[false]])
    hit = np.arange(value.size) < np.count_nonzero(marked)
    order = np.argsort(-value, kind="stable")
    starts = np.flatnonzero(np.diff(-value[order], prepend=-np.inf) > 0)

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        drawn = weights[:, marks.patient]
        lesions, cases = drawn @ marks.n_lesions, drawn.sum(axis=1)
        steps = drawn[:, case[order]]
        zero = np.zeros((weights.shape[0], 1))
        tp, fp = (
            np.concatenate([zero, np.cumsum(np.add.reduceat(steps * kind, starts, axis=1), axis=1)], axis=1)
            if value.size
            else zero
            for kind in (hit[order], ~hit[order])
        )
        last = np.stack([(fp <= rate * cases[:, None] + 1e-9).sum(axis=1) - 1 for rate in rates], axis=1)
        reached = np.take_along_axis(tp, last, axis=1)
        total = np.broadcast_to(lesions[:, None], reached.shape)
        return np.asarray(np.divide(reached, total, out=np.full_like(reached, np.nan), where=total > 0))

    n_patients = int(marks.patient.max()) + 1
    return Statistic(n_patients, evaluate, width=6 * value.size + marks.patient.size + 3 * rates.size)


def afroc_curve(marks: Marks, *, false_positives: FalsePositives = "normal") -> RocCurve:
    """Alternative FROC: detected share of lesions against share of cases with a false positive at least as sure.

    Parameters
    ----------
    marks
        Marks on all cases.
    false_positives
        Cases whose highest false positive counts: ``normal`` (AFROC) or ``all`` (AFROC1).

    Returns
    -------
    RocCurve
        ``sensitivity`` is the lesion localisation fraction; ``n_positive`` counts lesions, ``n_negative`` cases.
        Lesions and cases without mark have confidence −infinity, so that the last point is (1, 1).

    References
    ----------
    Chakraborty, Winter 1990, https://doi.org/10.1148/radiology.174.3.2305073.
    """
    scores, truth, _ = _afroc_items(marks, false_positives)
    return roc_curve(scores, truth)


def jafroc_statistic(marks: Marks, *, false_positives: FalsePositives = "normal") -> Statistic:
    """JAFROC figure of merit as a statistic of weighted patients: one figure.

    Parameters
    ----------
    marks
        Marks on all cases.
    false_positives
        ``normal`` is JAFROC, ``all`` JAFROC1, for studies without normal cases.

    Returns
    -------
    Statistic
        NaN for a resample without lesions or without cases that count for false positives.

    Notes
    -----
    The figure is the chance that a lesion is rated above the highest false positive of a case, ties counting half, with
    −infinity for what was not marked. It equals the area under the straight-line AFROC curve that ends in (1, 1).

    References
    ----------
    Chakraborty, Berbaum 2004, https://doi.org/10.1118/1.1769352.

    Examples
    --------
    >>> case, lesion, confidence = np.array([0, 1]), np.array([0, -1]), np.array([0.9, 0.5])
    >>> marks = Marks(case, lesion, confidence, n_lesions=np.array([2, 0]), patient=np.array([0, 1]))
    >>> jafroc_statistic(marks).evaluate(np.ones((1, 2))).tolist()
    [[0.5]]
    """
    scores, truth, patient = _afroc_items(marks, false_positives)
    areas = auc_statistic(scores[None], truth, patient=patient)
    return Statistic(int(marks.patient.max()) + 1, areas.evaluate, width=areas.width)


def _afroc_items(
    marks: Marks, false_positives: FalsePositives
) -> tuple[NDArray[np.float64], NDArray[np.bool_], NDArray[np.intp]]:
    """Ratings of lesions and of cases, which of them are lesions, and their patients."""
    check_choice(false_positives, ("normal", "all"), "choice of false positive cases")
    lesions = marks.lesion_confidence()
    counts = np.flatnonzero(marks.n_lesions == 0) if false_positives == "normal" else np.arange(marks.n_lesions.size)
    scores = np.concatenate([lesions, marks.case_false_positive()[counts]])
    owners = marks.patient[np.concatenate([marks.lesion_case, counts])]
    return scores, np.arange(scores.size) < lesions.size, owners
