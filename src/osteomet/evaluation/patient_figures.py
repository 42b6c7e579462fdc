"""Figures over patients: one reading, two readings of the same patients, subgroups."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from osteomet.core.errors import InputError
from osteomet.evaluation.patients import PatientTable, select_patients
from osteomet.stats.agreement import cohen_kappa
from osteomet.stats.calibration import DECISION_THRESHOLDS, Calibration, DecisionCurve, calibration, decision_curve
from osteomet.stats.classes import DiagnosticAccuracy, diagnostic_accuracy
from osteomet.stats.hypothesis import SignificanceTest, mcnemar
from osteomet.stats.intervals import Estimate
from osteomet.stats.roc import AucComparison, auc, compare_auc


@dataclass(frozen=True, slots=True)
class PatientFigures:
    """Patient-level figures of one reading, with both binomial intervals.

    ``kappa`` is Cohen's, of calls and reference. ``auc`` is that of the scores, undefined without them;
    ``auc_of_calls`` that of the yes/no calls, half the sum of sensitivity and specificity, which some studies print as
    their AUC (Liu et al. 2021 do). ``calibration`` and ``decisions`` (the decision curve at thresholds from 0.01 to
    0.99) are None where there are no scores or they are no probabilities.
    """

    name: str
    n_patients: int
    n_positive: int
    clopper_pearson: DiagnosticAccuracy
    wilson: DiagnosticAccuracy
    kappa: Estimate
    auc: Estimate
    auc_of_calls: Estimate
    calibration: Calibration | None
    decisions: DecisionCurve | None


def patient_figures(table: PatientTable, *, level: float = 0.95) -> PatientFigures:
    """Sensitivity, specificity, accuracy, PPV, NPV and AUC over patients; what has no patient to count is undefined."""
    truth, call, score = table.reference, table.prediction, table.score
    probable = score is not None and score.size > 0 and bool(((score >= 0) & (score <= 1)).all())
    return PatientFigures(
        table.name,
        truth.size,
        int(truth.sum()),
        diagnostic_accuracy(truth, call, level=level),
        diagnostic_accuracy(truth, call, method="wilson", level=level),
        cohen_kappa(truth.astype(np.int64), call.astype(np.int64), level=level),
        Estimate(None, level=level) if score is None else auc(score, truth, level=level),
        auc(call, truth, level=level),
        calibration(score, truth, level=level) if score is not None and probable else None,
        decision_curve(score, truth, DECISION_THRESHOLDS) if score is not None and probable else None,
    )


@dataclass(frozen=True, slots=True)
class PatientComparison:
    """Two readings of the same patients.

    The three tests are McNemar's: sensitivity among the diseased, specificity among the others, accuracy among all.
    ``auc`` is None where a reading has no scores. ``left_out`` lists patients that only one of the readings has.
    """

    first: str
    second: str
    n_patients: int
    left_out: tuple[str, ...]
    sensitivity: SignificanceTest
    specificity: SignificanceTest
    accuracy: SignificanceTest
    auc: AucComparison | None
    auc_of_calls: AucComparison


def compare_patients(
    first: PatientTable, second: PatientTable, *, method: Literal["exact", "mid-p"] = "exact", level: float = 0.95
) -> PatientComparison:
    """Compare two sequences, or two models, on the patients that both have.

    Parameters
    ----------
    first, second
        Readings of the same study.
    method
        Form of McNemar's test.
    level
        Confidence level of the areas and their difference.

    Raises
    ------
    InputError
        If they share no patient, or disagree about the reference of one.

    Notes
    -----
    Predictive values are not compared: their denominators, the patients called positive or negative, differ between the
    readings, and McNemar's test does not apply to them.
    """
    common = sorted(set(first.patients) & set(second.patients))
    left_out = tuple(sorted(set(first.patients) ^ set(second.patients)))
    if not common:
        raise InputError("the two readings share no patient", got=f"{first.name} against {second.name}")
    a, b = select_patients(first, common), select_patients(second, common)
    differ = [p for p, x, y in zip(common, a.reference, b.reference, strict=True) if x != y]
    if differ:
        raise InputError(
            "the two readings disagree about the reference", got=f"patient {differ[0]}: {first.name} and {second.name}"
        )
    truth = a.reference
    scored = None if a.score is None or b.score is None else compare_auc(a.score, b.score, truth, level=level)
    return PatientComparison(
        first.name,
        second.name,
        len(common),
        left_out,
        mcnemar(a.prediction[truth], b.prediction[truth], method=method),
        mcnemar(~a.prediction[~truth], ~b.prediction[~truth], method=method),
        mcnemar(a.prediction == truth, b.prediction == truth, method=method),
        scored,
        compare_auc(a.prediction, b.prediction, truth, level=level),
    )


@dataclass(frozen=True, slots=True)
class Subgroup:
    """Figures of the patients that share a value, for example a scanner."""

    value: str
    figures: PatientFigures


def subgroup_figures(table: PatientTable, groups: Mapping[str, str], *, level: float = 0.95) -> tuple[Subgroup, ...]:
    """Figures of each subgroup.

    Parameters
    ----------
    table
        All patients.
    groups
        Value of each patient (scanner, centre, number of lesions); subgroups come out in the order in which their
        values first stand here. Patients that are missing here form a last subgroup ``unknown``.
    level
        Confidence level.
    """
    value_of = {p: groups.get(p, "unknown") for p in table.patients}
    order = [v for v in dict.fromkeys([*groups.values(), "unknown"]) if v in value_of.values()]
    parts = [(v, select_patients(table, [p for p in table.patients if value_of[p] == v])) for v in order]
    return tuple(Subgroup(v, patient_figures(part, level=level)) for v, part in parts)
