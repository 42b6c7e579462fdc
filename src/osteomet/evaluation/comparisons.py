"""Two sets of predictions on the same patients: two sequences, or two models; and centres and scanners side by side."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import combinations

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from osteomet.core.errors import InputError
from osteomet.evaluation.detection import UNKNOWN, detection_measures
from osteomet.evaluation.matching import CaseDetections
from osteomet.evaluation.metrics import LesionEvaluation, Metric, Resampling
from osteomet.evaluation.parts import case_groups, series_lesions, slug
from osteomet.evaluation.patient_figures import compare_patients, patient_figures
from osteomet.evaluation.patients import PatientTable, patient_table, select_patients
from osteomet.evaluation.segmentation import CaseVoxels
from osteomet.evaluation.tables import Table
from osteomet.stats.bootstrap import bootstrap, difference_statistic
from osteomet.stats.hypothesis import (
    SignificanceTest,
    holm_by_family,
    mcnemar,
    one_way_anova,
    paired_t,
    wilcoxon_signed_rank,
)
from osteomet.stats.intervals import Estimate, number
from osteomet.stats.roc import AucComparison

COMPARED = ("dice", "volumetric_similarity", "hausdorff_mm", "hd95_mm", "assd_mm", "nsd")
"""Voxel figures that are compared between two sets of predictions, and between centres and scanners."""

_COLUMNS = ("first", "second", "figure", "n", "first_value", "second_value", "second_minus_first", "low", "high")


@dataclass(frozen=True, slots=True, eq=False)
class Side:
    """One of two sets of predictions: its records, and its calls on patients."""

    name: str
    voxels: tuple[CaseVoxels, ...]
    detections: tuple[CaseDetections, ...]
    patients: PatientTable


@dataclass(frozen=True, slots=True)
class PairedTest:
    """One test of one figure on the patients, or lesions, that both sides have; ``test.n`` counts the pairs."""

    first: str
    second: str
    figure: str
    values: tuple[float | None, float | None]
    difference: Estimate
    test: SignificanceTest

    @property
    def metric(self) -> str:
        """Name of its p value among the metrics."""
        test = slug(self.test.name.lower()).replace("__", "_")
        return f"p.{test}.{self.figure}.{slug(self.first)}.{slug(self.second)}"


def sequence_sides(evaluation: LesionEvaluation) -> tuple[Side, ...]:
    """One side for each sequence, in order of their names; none where there is one sequence only."""
    groups = case_groups(evaluation.detections, "sequence")
    names = sorted(set(groups.values()) - {UNKNOWN})
    calls = [series_lesions(case).call() for case in evaluation.detections]
    return tuple(
        Side(
            name,
            tuple(case for case in evaluation.voxels if groups[case.facts.case] == name),
            tuple(case for case in evaluation.detections if groups[case.facts.case] == name),
            patient_table(calls, sequence=name),
        )
        for name in (names if len(names) > 1 else ())
    )


def compare_sides(
    first: Side, second: Side, labels: Sequence[str], resampling: Resampling, *, same_lesions: bool
) -> tuple[PairedTest, ...]:
    """Compare two sets of predictions on the patients that both have.

    Parameters
    ----------
    first, second
        The two sides.
    labels
        Labels whose voxel figures are compared too.
    resampling
        Seed, draws and level.
    same_lesions
        Whether both answer to the same reference lesions (two models), so that lesions can be paired; two sequences
        have references of their own.

    Returns
    -------
    tuple of PairedTest
        Voxel figures by the paired t and Wilcoxon's test of patient means; figures of detection by a bootstrap over
        patients; lesions found, where they can be paired, and patients by McNemar's exact and mid-p tests; areas by
        DeLong's test. None where no patient is common.

    Notes
    -----
    McNemar's test of lesions takes lesions as independent, as studies report it; the bootstrap does not.
    """
    common = sorted({c.facts.patient for c in first.voxels} & {c.facts.patient for c in second.voxels})
    if not common:
        return ()
    tests = [*_voxel_tests(first, second, labels, resampling.level), *_detection_tests(first, second, resampling)]
    if same_lesions:
        tests += _lesion_tests(first, second)
    return (*tests, *_patient_tests(first, second, resampling.level))


def compare_sequences(evaluation: LesionEvaluation, resampling: Resampling) -> tuple[PairedTest, ...]:
    """Compare every two sequences of an evaluation."""
    pairs = combinations(sequence_sides(evaluation), 2)
    return tuple(
        test
        for first, second in pairs
        for test in compare_sides(first, second, evaluation.labels, resampling, same_lesions=False)
    )


def compare_models(
    first: tuple[str, LesionEvaluation], second: tuple[str, LesionEvaluation], resampling: Resampling
) -> tuple[PairedTest, ...]:
    """Compare two named sets of predictions on the cases that were evaluated of both; `InputError` if there is none."""
    both = [{case.facts.case for case in one.voxels} for _, one in (first, second)]
    kept = both[0] & both[1]
    if not kept:
        raise InputError("the two sets of predictions share no case that could be evaluated")
    a, b = (_model_side(name, one, kept) for name, one in (first, second))
    labels = [label for label in first[1].labels if label in second[1].labels]
    return compare_sides(a, b, labels, resampling, same_lesions=True)


def _model_side(name: str, evaluation: LesionEvaluation, kept: Collection[str]) -> Side:
    """Some cases of a set of predictions."""
    voxels = tuple(case for case in evaluation.voxels if case.facts.case in kept)
    detections = tuple(case for case in evaluation.detections if case.facts.case in kept)
    calls = [series_lesions(case).call() for case in detections]
    return Side(name, voxels, detections, replace(patient_table(calls), name=name))


def p_metrics(tests: Sequence[PairedTest]) -> dict[str, Metric]:
    """P values by name, before correction; undefined where the test is."""
    return {test.metric: Metric(Estimate(test.test.p_value, denominator=float(test.test.n))) for test in tests}


def comparison_table(tests: Sequence[PairedTest], name: str, title: str) -> Table:
    """One row a test, with p values corrected by Holm over all defined tests of one kind in the table."""
    adjusted = holm_by_family([(test.test.name, test.test.p_value) for test in tests])
    rows = tuple(
        (
            *(test.first, test.second, test.figure, test.test.n, *test.values),
            *(test.difference.value, test.difference.low, test.difference.high),
            *(test.test.name, test.test.statistic, test.test.p_value, p, test.test.note),
        )
        for test, p in zip(tests, adjusted, strict=True)
    )
    columns = (*_COLUMNS, "test", "statistic", "p", "p_holm", "note")
    note = "p_holm: Holm's correction over all rows of the same test in this table. n counts the pairs of the test."
    return Table(name, title, columns, rows, note)


def group_table(evaluation: LesionEvaluation) -> Table | None:
    """One-way analyses of variance of voxel figures between centres and between scanners, over patients.

    Patients with cases of several centres or scanners, or of none that is known, take no part. None where there is
    nothing to compare.
    """
    found: list[tuple[str, str, int, SignificanceTest]] = []
    for column in ("centre", "scanner"):
        groups = _patient_groups(evaluation.voxels, column)
        for figure in COMPARED:
            means = _patient_means(evaluation.voxels, figure, None)
            parts = [[means[p] for p in patients if p in means] for patients in groups.values()]
            filled = [part for part in parts if part]
            if len(filled) > 1:
                found.append((column, f"lesion.{figure}", len(filled), one_way_anova(*filled)))
    if not found:
        return None
    adjusted = holm_by_family([(test.name, test.p_value) for *_, test in found])
    rows = tuple(
        (column, figure, n, test.n, test.name, test.statistic, test.p_value, p)
        for (column, figure, n, test), p in zip(found, adjusted, strict=True)
    )
    columns = ("column", "figure", "groups", "patients", "test", "F", "p", "p_holm")
    return Table("group_comparisons", "Centres and scanners compared", columns, rows)


def _patient_groups(cases: Sequence[CaseVoxels], column: str) -> dict[str, list[str]]:
    """Patients of each value of a column, those of one known value alone."""
    values: dict[str, set[str]] = {}
    for case in cases:
        values.setdefault(case.facts.patient, set()).add(case.facts.columns.get(column, UNKNOWN))
    groups: dict[str, list[str]] = {}
    for patient, own in values.items():
        if len(own) == 1 and own != {UNKNOWN}:
            groups.setdefault(own.pop(), []).append(patient)
    return groups


def _patient_means(cases: Sequence[CaseVoxels], metric: str, label: str | None) -> Mapping[str, float]:
    """Mean of a metric over the cases of each patient for which it is defined."""
    values: dict[str, list[float]] = {}
    for case in cases:
        record = case.of(label)
        value = None if record is None else record.value(metric)
        if value is not None:
            values.setdefault(case.facts.patient, []).append(value)
    return {patient: float(np.mean(v)) for patient, v in values.items()}


def _voxel_tests(first: Side, second: Side, labels: Sequence[str], level: float) -> Iterator[PairedTest]:
    """Paired t and Wilcoxon's test of each voxel figure, for all labels together and for each."""
    for label in (None, *labels):
        for metric in COMPARED:
            sides = [_patient_means(side.voxels, metric, label) for side in (first, second)]
            common = sorted(sides[0].keys() & sides[1].keys())
            if not common:
                continue
            a, b = (np.array([side[patient] for patient in common]) for side in sides)
            figure = f"lesion.{metric}" + ("" if label is None else f".{slug(label)}")
            values, change = (float(a.mean()), float(b.mean())), _mean_difference(b - a, level)
            for test in (paired_t(b, a), wilcoxon_signed_rank(b, a)):
                yield PairedTest(first.name, second.name, figure, values, change, test)


def _mean_difference(difference: NDArray[np.float64], level: float) -> Estimate:
    """Mean difference with Student's interval."""
    mean, n = float(difference.mean()), difference.size
    if n < 2:
        return Estimate(mean, level=level)
    half = float(stats.t.isf((1 - level) / 2, n - 1) * difference.std(ddof=1) / np.sqrt(n))
    return Estimate(mean, mean - half, mean + half, method="paired t", level=level)


def _detection_tests(first: Side, second: Side, resampling: Resampling) -> Iterator[PairedTest]:
    """Difference of each figure of detection by a bootstrap over the common patients."""
    patients = [{case.facts.patient for case in side.detections} for side in (first, second)]
    kept = patients[0] & patients[1]
    measures = [
        detection_measures([case for case in side.detections if case.facts.patient in kept]) for side in (first, second)
    ]
    values = [one.values() for one in measures]
    drawn = bootstrap(
        difference_statistic(measures[0].statistic, measures[1].statistic),
        rng=resampling.rng(),
        n_draws=resampling.n_draws,
        level=resampling.level,
    )
    for name, change, p in zip(measures[0].names, drawn.estimates(), drawn.p_value, strict=True):
        figure = "detection.f2" if name == "f_beta" else f"detection.{name}"
        test = SignificanceTest("patient bootstrap", None, number(float(p)), len(kept))
        yield PairedTest(first.name, second.name, figure, (values[0][name], values[1][name]), change, test)


def _lesion_tests(first: Side, second: Side) -> Iterator[PairedTest]:
    """McNemar's tests of the reference lesions that each side finds."""
    found = [
        {(case.facts.case, x.instance.id): x.found for case in side.detections for x in case.references}
        for side in (first, second)
    ]
    common = sorted(found[0].keys() & found[1].keys())
    if not common:
        return
    a, b = (np.array([side[lesion] for lesion in common]) for side in found)
    yield from _mcnemar(first.name, second.name, "detection.sensitivity", a, b)


def _patient_tests(first: Side, second: Side, level: float) -> Iterator[PairedTest]:
    """McNemar's tests of sensitivity, specificity and accuracy, and DeLong's of the areas."""
    comparison = compare_patients(first.patients, second.patients, level=level)
    mid = compare_patients(first.patients, second.patients, method="mid-p", level=level)
    names, sides = (first.name, second.name), (first.patients, second.patients)
    common = sorted(set(sides[0].patients) & set(sides[1].patients))
    accuracy = [patient_figures(select_patients(side, common)).clopper_pearson for side in sides]
    for figure in ("sensitivity", "specificity", "accuracy"):
        a, b = (getattr(one, figure).value for one in accuracy)
        change = Estimate(None if a is None or b is None else b - a, level=level)
        for test in (getattr(comparison, figure), getattr(mid, figure)):
            yield PairedTest(*names, f"patient.{figure}", (a, b), change, test)
    for figure, areas in (("auc", comparison.auc), ("auc_of_calls", comparison.auc_of_calls)):
        if areas is not None:
            yield area_test(*names, f"patient.{figure}", areas)


def accuracy_test(first: str, second: str, test: SignificanceTest) -> PairedTest:
    """Two classifiers compared by how often they are right, as a row of a table."""
    return PairedTest(first, second, "classification.accuracy", (None, None), Estimate(None), test)


def area_test(first: str, second: str, figure: str, areas: AucComparison) -> PairedTest:
    """Two areas compared, as a row of a table."""
    return PairedTest(first, second, figure, (areas.first.value, areas.second.value), areas.difference, areas.test)


def _mcnemar(first: str, second: str, figure: str, a: NDArray[np.bool_], b: NDArray[np.bool_]) -> Iterator[PairedTest]:
    """Exact and mid-p test of paired yes/no outcomes."""
    change = Estimate(float(b.mean() - a.mean()))
    for test in (mcnemar(a, b), mcnemar(a, b, method="mid-p")):
        yield PairedTest(first, second, figure, (float(a.mean()), float(b.mean())), change, test)
