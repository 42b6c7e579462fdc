"""The steps of an evaluation, each of which adds its metrics, tables and figures to the results."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osteomet import __version__
from osteomet.evaluation.cases import CaseSettings, EvaluatedCases, evaluate_cases
from osteomet.evaluation.characteristics import (
    add_lesions,
    characteristics_metrics,
    characteristics_table,
    read_characteristics,
)
from osteomet.evaluation.checklist import class_checklist, lesion_checklist
from osteomet.evaluation.class_metrics import class_metrics, confusion_table, decision_table
from osteomet.evaluation.classification import ClassificationResult, compare_classifiers, evaluate_classification
from osteomet.evaluation.classified_cases import ClassifiedCases
from osteomet.evaluation.comparisons import (
    PairedTest,
    accuracy_test,
    area_test,
    compare_models,
    compare_sequences,
    comparison_table,
    group_table,
    p_metrics,
)
from osteomet.evaluation.definitions import class_definitions, lesion_definitions
from osteomet.evaluation.demographics import demographics
from osteomet.evaluation.mark_files import read_readings
from osteomet.evaluation.metrics import LesionEvaluation, Metric, Resampling, evaluate_lesions
from osteomet.evaluation.observers import read_rounds, round_agreement
from osteomet.evaluation.protocols import Protocol
from osteomet.evaluation.reader_study import ReaderStudy, evaluate_readers, reader_table
from osteomet.evaluation.rounds import agreement_metrics, agreement_table, read_round_folders, round_pair_table
from osteomet.evaluation.tables import Table, afroc_table, froc_table, lesion_tables, reliability_table, roc_table
from osteomet.io.dataset import LeftOut, PairedCases
from osteomet.pipeline.evaluation_charts import draw_class_charts, draw_lesion_charts, draw_reader_charts
from osteomet.report.evaluation_page import ChartFile
from osteomet.report.wording import count
from osteomet.stats.froc import afroc_curve, froc_curve
from osteomet.stats.roc import roc_curve

PREDICTION, AGAINST = "prediction", "against"


@dataclass(frozen=True, slots=True)
class Run:
    """An evaluation under way.

    ``folder`` is written to; ``progress`` is told the number of cases done and of all.
    """

    protocol: Protocol
    settings: CaseSettings
    resampling: Resampling
    folder: Path
    progress: Callable[[int, int], None]
    continue_on_error: bool


@dataclass(slots=True)
class Results:
    """What has been computed so far, in the order in which it is written."""

    facts: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    charts: list[ChartFile] = field(default_factory=list)
    definitions: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    checklist: Table | None = None


@dataclass(frozen=True, slots=True)
class Evaluated:
    """Label maps evaluated: their files, their records, and all results on them."""

    paired: PairedCases
    cases: EvaluatedCases
    result: LesionEvaluation


def software() -> str:
    """Name and version of this program."""
    return f"osteomet {__version__}"


def evaluate_maps(run: Run, paired: PairedCases) -> Evaluated:
    """Evaluate label maps under the protocol of the run."""
    cases = evaluate_cases(paired, run.settings, continue_on_error=run.continue_on_error, progress=run.progress)
    return Evaluated(paired, cases, evaluate_lesions(cases, run.protocol, run.resampling))


def add_lesion_results(results: Results, run: Run, evaluated: Evaluated) -> None:
    """Add everything about label maps alone."""
    evaluation, cases = evaluated.result, evaluated.cases
    results.metrics |= evaluation.metrics
    charts, tables = draw_lesion_charts(evaluation, run.resampling, run.folder / "figures")
    results.tables += [*lesion_tables(evaluation), *_curves(evaluation), *tables]
    results.charts += charts
    tests = compare_sequences(evaluation, run.resampling)
    if tests:
        _add_tests(results, tests, "sequence_comparisons", "Sequences compared on the same patients")
    groups = group_table(evaluation)
    if groups is not None:
        results.tables.append(groups)
    results.definitions |= lesion_definitions(run.protocol, run.settings, run.resampling)
    results.missing, results.left_out = cases.missing, cases.left_out
    results.facts |= {
        "cases": count(len(cases.records), "case"),
        "patients": count(len(evaluation.patients.patients), "patient"),
        "lesions": count(sum(len(case.references) for case in evaluation.detections), "lesion"),
    }


def add_checklist(results: Results, run: Run, evaluated: Evaluated) -> None:
    """Fill the checklist for label maps, from all that has been added before."""
    results.checklist = lesion_checklist(
        evaluated.result,
        left_out=results.left_out,
        missing=evaluated.cases.missing,
        resampling=run.resampling,
        software=software(),
        tables={table.name for table in results.tables},
    )


def add_characteristics(results: Results, evaluated: Evaluated, table: Path) -> None:
    """Add the characteristics of the patients that the table of cases gives."""
    records = add_lesions(read_characteristics(table), evaluated.result.detections)
    found = demographics(records)
    results.metrics |= characteristics_metrics(found)
    results.tables.append(characteristics_table(found))


def add_readers(results: Results, run: Run, evaluated: Evaluated, readers: Path) -> None:
    """Add the readers beside the model, on the cases that were evaluated."""
    out = {left.case for left in evaluated.cases.left_out}
    done = {case.facts.case for case in evaluated.result.detections}
    study = evaluate_readers(
        [reading for reading in read_readings(readers) if reading.case not in out],
        pairs=[pair for pair in evaluated.paired.pairs if pair.facts.case in done],
        detections=evaluated.result.detections,
        protocol=run.protocol,
        resampling=run.resampling,
        continue_on_error=run.continue_on_error,
    )
    results.left_out += study.left_out
    results.metrics |= study.metrics
    results.tables += [reader_table(study), study.comparisons, *_reader_curves(study)]
    results.charts += draw_reader_charts(study, run.folder / "figures")


def add_observers(results: Results, run: Run, observers: Path, patients: Mapping[str, str]) -> None:
    """Add the agreement of annotation rounds, from folders of label maps or a table of pairs."""
    left_out: tuple[LeftOut, ...] = ()
    if observers.is_dir():
        pairs, left_out = read_round_folders(observers, patients, continue_on_error=run.continue_on_error)
    else:
        pairs = read_rounds(observers)
    resampling = run.resampling
    found = round_agreement(pairs, rng=resampling.rng(), n_draws=resampling.n_draws, level=resampling.level)
    results.metrics |= agreement_metrics(found)
    results.tables += [agreement_table(found), round_pair_table(pairs)]
    results.left_out += left_out


def add_comparison(results: Results, run: Run, first: Evaluated, second: Evaluated) -> None:
    """Add a second set of predictions of the same cases, and the comparison of the two."""
    results.metrics |= {f"{AGAINST}.{name}": metric for name, metric in second.result.metrics.items()}
    tests = compare_models((PREDICTION, first.result), (AGAINST, second.result), run.resampling)
    _add_tests(results, tests, "model_comparisons", "Two sets of predictions compared on the same patients")
    results.definitions["against"] = _against(second.cases.missing, [left.case for left in second.cases.left_out])


def add_classes(results: Results, run: Run, cases: ClassifiedCases, against: ClassifiedCases | None) -> None:
    """Add classified cases, and a second classifier of the same cases where there is one."""
    result = _classify(run, cases)
    second = None if against is None else _classify(run, against)
    curves = [roc_table(one.label, one.roc) for one in result.per_class if one.roc is not None]
    results.metrics |= class_metrics(result)
    results.tables += [confusion_table(result), *curves]
    if curves:
        reliability = {one.label: one.calibration for one in result.per_class if one.calibration is not None}
        results.tables += [decision_table(result), reliability_table(reliability, "classes")]
    end = "_classes" if results.charts else ""
    results.charts += draw_class_charts(result, second, run.folder / "figures", end=end)
    results.definitions |= class_definitions(run.resampling)
    results.missing += result.unpredicted
    classified = f"{count(result.n_cases, 'classified case')} of {count(result.n_patients, 'patient')}"
    results.facts |= {"classified": classified}
    if against is not None and second is not None:
        results.metrics |= {f"{AGAINST}.{name}": metric for name, metric in class_metrics(second).items()}
        tests = _classifier_tests(run, cases, against)
        _add_tests(results, tests, "classifier_comparisons", "Two classifiers compared on the same cases")
        results.definitions["against"] = _against(second.unpredicted, [])
    if results.checklist is None:
        counts = dict(zip(result.classes, result.matrix.sum(axis=1).tolist(), strict=True))
        results.checklist = class_checklist(
            counts,
            n_patients=result.n_patients,
            missing=result.unpredicted,
            resampling=run.resampling,
            software=software(),
        )


def _add_tests(results: Results, tests: tuple[PairedTest, ...], name: str, title: str) -> None:
    """Add paired tests as metrics and as a table."""
    results.metrics |= p_metrics(tests)
    results.tables.append(comparison_table(tests, name, title))


def _against(missing: tuple[str, ...], left_out: list[str]) -> str:
    """What became of the second predictions, in words."""
    parts = [f"without prediction, counted as empty or wrong: {', '.join(missing)}"] if missing else []
    parts += [f"left out: {', '.join(left_out)}"] if left_out else []
    return "second predictions of the same cases; " + ("; ".join(parts) or "all there")


def _curves(evaluation: LesionEvaluation) -> list[Table]:
    """Operating points of FROC and AFROC curves and of the patients, where confidences are known."""
    marks, patients = evaluation.marks, evaluation.patients
    tables = []
    if marks is not None:
        tables.append(froc_table(froc_curve(marks)))
        tables.append(afroc_table("afroc1", afroc_curve(marks, false_positives="all")))
        if (marks.n_lesions == 0).any():
            tables.append(afroc_table("afroc", afroc_curve(marks)))
    if patients.score is not None and 0 < patients.reference.sum() < patients.reference.size:
        tables.append(roc_table("patients", roc_curve(patients.score, patients.reference)))
    return tables


def _reader_curves(study: ReaderStudy) -> list[Table]:
    """Operating points of every reader who scored all marks, in one table."""
    rows = tuple(
        (table.reader, table.condition, *point)
        for table in study.tables
        if table.scored
        for curve in (froc_curve(table.marks()),)
        for point in zip(curve.threshold.tolist(), curve.fp_per_case.tolist(), curve.sensitivity.tolist(), strict=True)
    )
    columns = ("reader", "condition", "threshold", "fp_per_case", "sensitivity")
    return [Table("froc_readers", "Operating points of the readers' FROC curves", columns, rows)] if rows else []


def _classify(run: Run, cases: ClassifiedCases) -> ClassificationResult:
    """Figures of one classifier."""
    resampling = run.resampling
    return evaluate_classification(cases, rng=resampling.rng(), n_draws=resampling.n_draws, level=resampling.level)


def _classifier_tests(run: Run, first: ClassifiedCases, second: ClassifiedCases) -> tuple[PairedTest, ...]:
    """McNemar's test of being right, and the areas of each class."""
    tests: list[PairedTest] = []
    for label in first.classes:
        found = compare_classifiers(first, second, positive=label, rng=run.resampling.rng(), level=run.resampling.level)
        if not tests:
            tests.append(accuracy_test(PREDICTION, AGAINST, found.accuracy))
        if found.auc is not None:
            tests.append(area_test(PREDICTION, AGAINST, f"classification.auc.{label}", found.auc))
    return tuple(tests)
