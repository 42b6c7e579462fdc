"""Multi-class decisions, such as the grade of an exam or metastasis against primary tumour."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.evaluation.classified_cases import NO_PREDICTION, ClassifiedCases, select_cases
from osteomet.stats.agreement import cohen_kappa
from osteomet.stats.bootstrap import Statistic, bootstrap, difference_statistic, ratio_statistic
from osteomet.stats.calibration import DECISION_THRESHOLDS, Calibration, DecisionCurve, calibration, decision_curve
from osteomet.stats.classes import ClassFigures, classification_report
from osteomet.stats.hypothesis import SignificanceTest, mcnemar
from osteomet.stats.intervals import Estimate, number
from osteomet.stats.roc import AucComparison, RocCurve, auc, auc_statistic, compare_auc, roc_curve


@dataclass(frozen=True, slots=True, eq=False)
class ClassResult:
    """One class against the rest. Curves are None where there are no probabilities."""

    label: str
    accuracy: Estimate
    recall: Estimate
    precision: Estimate
    f1: Estimate
    auc: Estimate
    roc: RocCurve | None
    calibration: Calibration | None
    decision_curve: DecisionCurve | None


@dataclass(frozen=True, slots=True, eq=False)
class ClassificationResult:
    """Confusion matrix and figures.

    ``matrix`` has a row for each reference class and a column for each predicted one, and a last column for cases
    without prediction where there are some; they count as wrong and are listed in ``unpredicted``. ``kappa`` is
    Cohen's, of reference and prediction; its interval takes cases as independent.
    """

    classes: tuple[str, ...]
    n_cases: int
    n_patients: int
    unpredicted: tuple[str, ...]
    matrix: NDArray[np.int64]
    accuracy: Estimate
    kappa: Estimate
    per_class: tuple[ClassResult, ...]
    macro_recall: Estimate
    macro_f1: Estimate


def evaluate_classification(
    cases: ClassifiedCases, *, rng: np.random.Generator, n_draws: int = 2_000, level: float = 0.95
) -> ClassificationResult:
    """Figures of a classifier with intervals.

    Parameters
    ----------
    cases
        Cases with their predictions.
    rng
        Source of the bootstrap draws.
    n_draws
        Number of bootstrap draws.
    level
        Confidence level.

    Returns
    -------
    ClassificationResult
        A figure without cases to count is undefined. Curves and areas are of the cases that have probabilities.

    Notes
    -----
    Where each patient has one case, proportions have Clopper–Pearson and areas DeLong intervals. Where a patient has
    several, these would be too short, and patients are resampled (BCa) for every figure. F1 and the macro means
    always are. The decision curve is read at thresholds from 0.01 to 0.99.
    """
    labels = (*cases.classes, NO_PREDICTION) if cases.unpredicted else cases.classes
    report = classification_report(cases.reference, cases.prediction, labels, level=level)
    statistic = _figures(cases)
    drawn = bootstrap(statistic, rng=rng, n_draws=n_draws, level=level).estimates()
    figures = []
    for i, counted in enumerate(report.classes[: len(cases.classes)]):
        own = drawn[1 + 4 * i : 5 + 4 * i]
        counts = (counted.accuracy, counted.recall, counted.precision, counted.f1)
        resampled = ClassFigures(counted.label, *map(_with_counts, own, counts))
        figures.append(replace(counted, f1=resampled.f1) if cases.one_each else resampled)
    return ClassificationResult(
        cases.classes,
        len(cases.cases),
        statistic.n_patients,
        cases.unpredicted,
        report.matrix[: len(cases.classes)],
        report.accuracy if cases.one_each else _with_counts(drawn[0], report.accuracy),
        cohen_kappa(*([labels.index(x) for x in side] for side in (cases.reference, cases.prediction)), level=level),
        tuple(_class_result(cases, f, rng=rng, n_draws=n_draws, level=level) for f in figures),
        macro_recall=drawn[-2],
        macro_f1=drawn[-1],
    )


@dataclass(frozen=True, slots=True)
class ClassifierComparison:
    """Two classifiers on the cases that both predicted; ``left_out`` lists the others.

    ``accuracy`` is McNemar's test of being right, ``auc`` the areas of the class ``positive`` against the rest, None
    where a classifier gives no probabilities.
    """

    positive: str
    n_cases: int
    left_out: tuple[str, ...]
    accuracy: SignificanceTest
    auc: AucComparison | None


def compare_classifiers(
    first: ClassifiedCases, second: ClassifiedCases, *, positive: str, rng: np.random.Generator, level: float = 0.95
) -> ClassifierComparison:
    """Compare two classifiers, for example radiomics with a network, on the same cases.

    Parameters
    ----------
    first, second
        Predictions of the two.
    positive
        Class whose areas are compared.
    rng
        Source of the bootstrap draws, which are made only where a patient has several cases.
    level
        Confidence level.

    Raises
    ------
    InputError
        If they share no predicted case, disagree about a reference, or ``positive`` is no class of theirs.

    Notes
    -----
    McNemar's test takes cases as independent; where patients have several, read the interval of the areas, which
    then resamples patients.
    """
    predicted = [set(c.cases) - set(c.unpredicted) for c in (first, second)]
    common = sorted(predicted[0] & predicted[1])
    left_out = tuple(sorted({*first.cases, *second.cases} - set(common)))
    if first.classes != second.classes or positive not in first.classes:
        got = f"{positive}, among {', '.join(first.classes)} and among {', '.join(second.classes)}"
        raise InputError("the class to compare is not one of both classifiers", got=got)
    if not common:
        raise InputError("the two classifiers share no predicted case")
    a, b = select_cases(first, common), select_cases(second, common)
    for case, x, y in zip(common, a.reference, b.reference, strict=True):
        if x != y:
            raise InputError(f"the two classifiers disagree about the reference of case “{case}”", got=f"{x} and {y}")
    right = [np.array(c.prediction) == np.array(c.reference) for c in (a, b)]
    areas = None
    if a.probability is not None and b.probability is not None:
        column, truth = a.classes.index(positive), np.array(a.reference) == positive
        scores = np.stack([a.probability[:, column], b.probability[:, column]])
        if a.one_each:
            areas = compare_auc(scores[0], scores[1], truth, level=level)
        else:
            areas = _clustered_comparison(scores, truth, patient=a.patient_index, rng=rng, level=level)
    return ClassifierComparison(positive, len(common), left_out, mcnemar(*right), areas)


def _figures(cases: ClassifiedCases) -> Statistic:
    """Accuracy, four figures a class, macro recall and macro F1, as a statistic of patients."""
    answers = (np.array(cases.reference), np.array(cases.prediction))
    real, called = (a[:, None] == np.array(cases.classes) for a in answers)
    hit = real & called
    tops = np.stack([real == called, hit, hit, 2 * hit], axis=2).reshape(len(real), -1)
    bottoms = np.stack([np.ones_like(hit), real, called, 1 * real + called], axis=2).reshape(len(real), -1)
    right = hit.any(axis=1, keepdims=True)
    patient = cases.patient_index
    sums = np.zeros((2, int(patient.max()) + 1, 1 + tops.shape[1]))
    np.add.at(sums[0], patient, np.concatenate([right, tops], axis=1))
    np.add.at(sums[1], patient, np.concatenate([np.ones_like(right), bottoms], axis=1))
    ratios = ratio_statistic(sums[0], sums[1])

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        values = ratios.evaluate(weights)
        macro = [values[:, first::4].mean(axis=1, keepdims=True) for first in (2, 4)]
        return np.concatenate([values, *macro], axis=1)

    return Statistic(ratios.n_patients, evaluate, width=ratios.width)


def _class_result(
    cases: ClassifiedCases, figures: ClassFigures, *, rng: np.random.Generator, n_draws: int, level: float
) -> ClassResult:
    """Figures of one class together with its curves."""
    label = figures.label
    parts = (label, figures.accuracy, figures.recall, figures.precision, figures.f1)
    if cases.probability is None:
        return ClassResult(*parts, Estimate(None, level=level), None, None, None)
    rows = np.flatnonzero(~np.isnan(cases.probability).any(axis=1))
    score = cases.probability[rows, cases.classes.index(label)]
    truth = np.array(cases.reference)[rows] == label
    area = auc(score, truth, level=level)
    if not cases.one_each and area.value is not None:
        patient = np.unique(cases.patient_index[rows], return_inverse=True)[1]
        statistic = auc_statistic(score[None], truth, patient=patient)
        area = bootstrap(statistic, rng=rng, n_draws=n_draws, level=level).estimates()[0]
    decisions = decision_curve(score, truth, DECISION_THRESHOLDS) if rows.size else None
    return ClassResult(*parts, area, roc_curve(score, truth), calibration(score, truth, level=level), decisions)


def _clustered_comparison(
    scores: NDArray[np.float64],
    truth: NDArray[np.bool_],
    *,
    patient: NDArray[np.intp],
    rng: np.random.Generator,
    level: float,
) -> AucComparison:
    """Two areas compared by resampling patients."""
    both = [auc_statistic(score[None], truth, patient=patient) for score in scores]
    first, second = (bootstrap(s, rng=rng, n_draws=2_000, level=level).estimates()[0] for s in both)
    change = bootstrap(difference_statistic(*both), rng=rng, n_draws=2_000, level=level)
    test = SignificanceTest("patient bootstrap", None, number(change.p_value[0]), both[0].n_patients)
    return AucComparison(first, second, change.estimates()[0], test)


def _with_counts(interval: Estimate, count: Estimate) -> Estimate:
    """Interval of one estimate with the counts of another."""
    return replace(interval, numerator=count.numerator, denominator=count.denominator)
