"""Results as tables: those of the papers with ours filled in, and a row a metric, case, lesion or prediction."""

from __future__ import annotations

import csv
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.evaluation.detection import false_positive_causes
from osteomet.evaluation.matching import CaseDetections
from osteomet.evaluation.metrics import LesionEvaluation, Metric
from osteomet.evaluation.paper_tables import Form, Ours, PaperTable
from osteomet.evaluation.patient_figures import PatientFigures
from osteomet.evaluation.patients import PatientTable
from osteomet.evaluation.segmentation import METRIC_UNITS, CaseVoxels
from osteomet.stats.calibration import Calibration
from osteomet.stats.froc import FrocCurve
from osteomet.stats.roc import RocCurve

UNDEFINED = "–"
"""How a table shows a figure that is not there or undefined."""

Value = str | int | float | bool | None


@dataclass(frozen=True, slots=True)
class Table:
    """A table as it is written and shown; ``note`` stands below it."""

    name: str
    title: str
    columns: tuple[str, ...]
    rows: tuple[tuple[Value, ...], ...]
    note: str = ""


def write_csv(table: Table, folder: Path) -> Path:
    """Write a table as ``NAME.csv``: UTF-8, full precision, None as an empty cell."""
    path = folder / f"{table.name}.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(table.columns)
        writer.writerows(table.rows)
    return path


def fill_paper_table(paper: PaperTable, metrics: Mapping[str, Metric]) -> Table:
    """Fill the cells of ours in a paper's table; a metric that was not computed or is undefined shows `UNDEFINED`."""
    rows = tuple(
        tuple(format_metric(metrics.get(cell.metric), cell.form) if isinstance(cell, Ours) else cell for cell in row)
        for row in paper.rows
    )
    return Table(paper.name, paper.title, paper.columns, rows, paper.note)


def format_metric(metric: Metric | None, form: Form = "interval") -> str:
    """Write a metric the way a paper prints it.

    Examples
    --------
    >>> from osteomet.stats.intervals import Estimate
    >>> metric = Metric(Estimate(0.875, 0.617, 0.984, 14, 16))
    >>> format_metric(metric), format_metric(metric, "count"), format_metric(metric, "percent interval")
    ('0.875 (0.617–0.984)', '0.875 (14/16)', '87.5 (61.7–98.4)')
    """
    if metric is None or metric.estimate.value is None:
        return UNDEFINED
    e, value = metric.estimate, metric.estimate.value
    scale, digits = (100.0, 1) if form.startswith("percent") else (1.0, 3)
    text = f"{scale * value:.{digits}f}"
    if form == "n":
        return f"{value if e.numerator is None else e.numerator:g}"
    if form == "median":
        return f"{value:.2f}" if e.low is None else f"{value:.2f} ({e.low:.2f}–{e.high:.2f})"
    if form == "mean sd":
        return f"{value:.2f}" if metric.sd is None else f"{value:.2f} ± {metric.sd:.2f}"
    if form.endswith("count") and e.numerator is not None and e.denominator is not None:
        return f"{text} ({e.numerator:g}/{e.denominator:g})"
    if form.endswith("interval") and e.low is not None and e.high is not None:
        return f"{text} ({scale * e.low:.{digits}f}–{scale * e.high:.{digits}f})"
    return text


def metric_table(metrics: Mapping[str, Metric]) -> Table:
    """Every metric, one row each: those of all cases first, then those of labels, bins and groups."""
    columns = ("metric", "value", "low", "high", "numerator", "denominator", "unit", "sd", "interval")
    rows = tuple(
        (name, e.value, e.low, e.high, e.numerator, e.denominator, metric.unit, metric.sd, e.method)
        for name, metric in sorted(metrics.items(), key=lambda item: item[0].count("."))
        for e in (metric.estimate,)
    )
    return Table("metrics", "All metrics", columns, rows)


def lesion_tables(evaluation: LesionEvaluation) -> tuple[Table, ...]:
    """Tables of the cases, labels, reference lesions, predicted lesions, patients and causes of false positives."""
    return (
        _case_table(evaluation.voxels, evaluation.detections),
        _label_table(evaluation.voxels),
        _reference_table(evaluation.detections),
        _prediction_table(evaluation.detections),
        _patient_table(evaluation.patients),
        _figure_table(evaluation.figures),
        _cause_table(evaluation.detections),
        *_decision_table(evaluation.figures[0]),
        *_reliability_table(evaluation.figures[0]),
    )


def _case_table(voxels: Sequence[CaseVoxels], detections: Sequence[CaseDetections]) -> Table:
    """One row a case: counts of lesions, volumes, and the voxel metrics of all labels together."""
    columns = (
        *("case", "patient", "prediction", "reference_lesions", "found", "predicted_lesions", "true"),
        *("false_positives", "split", "merging", "set_aside", "neutral", "dropped", "reference_ml", "prediction_ml"),
        *METRIC_UNITS,
    )
    rows: list[tuple[Value, ...]] = []
    for case, outcome in zip(voxels, detections, strict=True):
        record = case.of(None)
        assert record is not None, "every case has a record of all labels together"
        true = sum(p.true for p in outcome.predictions)
        counts = (
            len(outcome.references),
            sum(r.found for r in outcome.references),
            len(outcome.predictions),
            true,
            len(outcome.predictions) - true,
            outcome.n_split,
            outcome.n_merging,
            outcome.n_set_aside,
            outcome.n_neutral,
            outcome.n_dropped,
        )
        predicted = "present" if case.predicted else "missing"
        values = (record.value(metric) for metric in METRIC_UNITS)
        volumes = record.reference_ml, record.prediction_ml
        rows.append((case.facts.case, case.facts.patient, predicted, *counts, *volumes, *values))
    return Table("cases", "Cases", columns, tuple(rows))


def _label_table(voxels: Sequence[CaseVoxels]) -> Table:
    """One row a case and label."""
    rows = tuple(
        (
            case.facts.case,
            record.label,
            record.reference_ml,
            record.prediction_ml,
            *(record.value(metric) for metric in METRIC_UNITS),
            record.reason("dice") or record.reason("hd95_mm"),
        )
        for case in voxels
        for record in case.labels
        if record.label is not None
    )
    columns = ("case", "label", "reference_ml", "prediction_ml", *METRIC_UNITS, "why_undefined")
    return Table("labels", "Labels of each case", columns, rows)


def _reference_table(detections: Sequence[CaseDetections]) -> Table:
    """One row a reference lesion."""
    columns = ("case", "lesion", "label", "site", "volume_ml", "x_mm", "y_mm", "z_mm", "found", "hit_by", "dice", "iou")
    rows = tuple(
        (
            case.facts.case,
            x.instance.id,
            x.instance.label,
            x.instance.site,
            x.instance.volume_ml,
            *x.instance.centroid_xyz_mm,
            x.found,
            " ".join(map(str, x.hits)),
            x.best.dice if x.best else None,
            x.best.iou if x.best else None,
        )
        for case in detections
        for x in case.references
    )
    return Table("reference_lesions", "Reference lesions", columns, rows)


def _prediction_table(detections: Sequence[CaseDetections]) -> Table:
    """One row a predicted lesion."""
    columns = ("case", "lesion", "label", "volume_ml", "x_mm", "y_mm", "z_mm", "confidence", "true", "hits", "cause")
    rows = tuple(
        (
            case.facts.case,
            x.instance.id,
            x.instance.label,
            x.instance.volume_ml,
            *x.instance.centroid_xyz_mm,
            x.instance.confidence,
            x.true,
            " ".join(map(str, x.hits)),
            x.instance.cause,
        )
        for case in detections
        for x in case.predictions
    )
    return Table("predicted_lesions", "Predicted lesions", columns, rows)


def _patient_table(patients: PatientTable) -> Table:
    """One row a patient."""
    scores = [None] * len(patients.patients) if patients.score is None else patients.score.tolist()
    stage = {True: "M1", False: "M0"}
    rows = tuple(
        (name, stage[bool(truth)], stage[bool(call)], score)
        for name, truth, call, score in zip(
            patients.patients, patients.reference, patients.prediction, scores, strict=True
        )
    )
    return Table("patients", "Patients", ("patient", "reference", "prediction", "score"), rows)


def _figure_table(figures: Sequence[PatientFigures]) -> Table:
    """Patient-level figures of all patients and of each group, with both binomial intervals."""
    limits = ("clopper_pearson_low", "clopper_pearson_high", "wilson_low", "wilson_high")
    columns = ("patients", "figure", "value", "numerator", "denominator", *limits)
    rows: list[tuple[Value, ...]] = []
    for group in figures:
        for name in ("sensitivity", "specificity", "accuracy", "ppv", "npv"):
            exact, wilson = getattr(group.clopper_pearson, name), getattr(group.wilson, name)
            counts = exact.value, exact.numerator, exact.denominator
            rows.append((group.name, name, *counts, exact.low, exact.high, wilson.low, wilson.high))
    return Table(
        "patient_figures", "Patient-level figures with Clopper–Pearson and Wilson intervals", columns, tuple(rows)
    )


def _decision_table(figures: PatientFigures) -> tuple[Table, ...]:
    """Net benefit over patients, where their scores are probabilities."""
    curve = figures.decisions
    if curve is None:
        return ()
    rows = tuple(zip(curve.threshold.tolist(), curve.model.tolist(), curve.treat_all.tolist(), strict=True))
    columns = ("threshold", "net_benefit", "treat_all")
    return (Table("decision_curve_patients", "Decision curve of the patients", columns, rows),)


def _reliability_table(figures: PatientFigures) -> tuple[Table, ...]:
    """Reliability over patients, where their scores are probabilities."""
    return () if figures.calibration is None else (reliability_table({"patients": figures.calibration}, "patients"),)


def reliability_table(curves: Mapping[str, Calibration], name: str) -> Table:
    """Bins of reliability of each curve: mean probability and observed share, with Wilson intervals."""
    rows = tuple(
        (title, float(low), float(high), int(n), None if n == 0 else float(p), e.value, e.low, e.high)
        for title, curve in curves.items()
        for low, high, n, p, e in zip(
            curve.edges[:-1], curve.edges[1:], curve.n, curve.mean_probability, curve.observed, strict=True
        )
    )
    columns = ("curve", "from", "to", "n", "mean_probability", "observed", "low", "high")
    return Table(f"reliability_{name}", f"Reliability, {name}", columns, rows)


def _cause_table(detections: Sequence[CaseDetections]) -> Table:
    """False positives by reviewed cause."""
    causes = false_positive_causes(detections)
    return Table("false_positive_causes", "False positives by cause", ("cause", "n"), tuple(causes.items()))


def froc_band_table(rates: NDArray[np.float64], low: NDArray[np.float64], high: NDArray[np.float64]) -> Table:
    """Interval of the sensitivity at each rate of false positives."""
    rows = tuple(zip(rates.tolist(), low.tolist(), high.tolist(), strict=True))
    return Table("froc_band", "Interval band of the FROC curve", ("fp_per_case", "low", "high"), rows)


def afroc_table(name: str, curve: RocCurve) -> Table:
    """Every operating point of an AFROC curve."""
    rates = curve.threshold.tolist(), curve.false_positive_rate.tolist(), curve.sensitivity.tolist()
    columns = ("threshold", "cases_with_false_positive", "lesions_found")
    return Table(name, "Operating points of the AFROC curve", columns, tuple(zip(*rates, strict=True)))


def froc_table(curve: FrocCurve) -> Table:
    """Every operating point of a FROC curve."""
    rows = tuple(zip(curve.threshold.tolist(), curve.fp_per_case.tolist(), curve.sensitivity.tolist(), strict=True))
    return Table("froc", "Operating points of the FROC curve", ("threshold", "fp_per_case", "sensitivity"), rows)


def roc_table(name: str, curve: RocCurve) -> Table:
    """Every operating point of an ROC curve."""
    rates = (curve.threshold.tolist(), curve.false_positive_rate.tolist(), curve.sensitivity.tolist())
    columns = ("threshold", "false_positive_rate", "sensitivity")
    return Table(f"roc_{name}", f"Operating points of the ROC curve, {name}", columns, tuple(zip(*rates, strict=True)))
