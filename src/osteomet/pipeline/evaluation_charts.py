"""Which figures an evaluation has: each is drawn where the data allow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osteomet.evaluation.class_metrics import confusion_columns
from osteomet.evaluation.classification import ClassificationResult
from osteomet.evaluation.detection import VOLUME_BINS
from osteomet.evaluation.metrics import LesionEvaluation, Resampling, volumes_ml
from osteomet.evaluation.reader_study import ReaderStudy
from osteomet.report import charts
from osteomet.report.charts import Chart, OperatingPoint, save_chart
from osteomet.report.evaluation_page import ChartFile
from osteomet.stats.bootstrap import bootstrap
from osteomet.stats.calibration import calibration
from osteomet.stats.froc import Marks, froc_curve, froc_statistic
from osteomet.stats.roc import roc_curve

_BIN_TITLES = dict(zip((name for name, _, _ in VOLUME_BINS), ("≤ 0.5", "> 0.5 to 1", "> 1 to 2", "> 2"), strict=True))
_BAND_POINTS = 60
_BAND_DRAWS = 2_000


def draw_lesion_charts(evaluation: LesionEvaluation, resampling: Resampling, folder: Path) -> list[ChartFile]:
    """Violins of the cases, volume agreement, sensitivity by volume, and FROC, ROC and calibration with confidences."""
    metrics, drawn = evaluation.metrics, []
    panels = {
        title: [record.value(name) for case in evaluation.voxels if (record := case.of(None)) is not None]
        for title, name in (("DSC", "dice"), ("VS", "volumetric_similarity"), ("HD (mm)", "hausdorff_mm"))
    }
    values = {title: np.array(column, dtype=np.float64) for title, column in panels.items()}
    if any((~np.isnan(v)).any() for v in values.values()):
        figure = charts.violin_chart(values)
        drawn.append(_chart("violin", figure, folder, "DSC, VS and HD of the cases; the bar is the median."))
    bins = {title: metrics[f"detection.sensitivity.{name}"].estimate for name, title in _BIN_TITLES.items()}
    if any(estimate.value is not None for estimate in bins.values()):
        caption = "Lesion sensitivity by volume, 95 % intervals."
        drawn.append(_chart("sensitivity_by_volume", charts.sensitivity_chart(bins), folder, caption))
    if evaluation.volumes.bland_altman.n > 1:
        figure = charts.bland_altman_chart(*volumes_ml(evaluation.voxels), evaluation.volumes.bland_altman, unit="ml")
        caption = "Bland–Altman plot of the lesion volume of each case; bands are intervals of bias and limits."
        drawn.append(_chart("bland_altman", figure, folder, caption))
    if evaluation.marks is not None and evaluation.marks.n_lesions.sum():
        drawn.append(_froc(evaluation.marks, resampling, folder))
    return drawn + _patient_charts(evaluation, folder)


def draw_class_charts(result: ClassificationResult, folder: Path) -> list[ChartFile]:
    """Confusion matrix, and ROC and calibration of each class where there are probabilities."""
    figure = charts.confusion_chart(result.matrix, result.classes, confusion_columns(result))
    drawn = [_chart("confusion_matrix", figure, folder, "Confusion matrix; shares are of each row.")]
    curves = {one.label: (one.roc, one.auc) for one in result.per_class if one.roc is not None}
    if curves:
        figure = charts.roc_chart(curves)
        drawn.append(_chart("roc", figure, folder, "ROC curve of each class against the rest, areas with intervals."))
    reliability = {one.label: one.calibration for one in result.per_class if one.calibration is not None}
    if reliability:
        figure = charts.calibration_chart(reliability)
        drawn.append(_chart("calibration", figure, folder, "Calibration of each class, Wilson intervals."))
    return drawn


def draw_reader_chart(study: ReaderStudy, folder: Path) -> list[ChartFile]:
    """Operating point of every reader and of the model, where sensitivity is defined."""
    points = [
        OperatingPoint(r.reader, r.condition, r.fp_per_series.value, r.sensitivity.value)
        for r in (*study.readers, study.model)
        if r.sensitivity.value is not None and r.fp_per_series.value is not None
    ]
    if not points:
        return []
    caption = "Readers and model: lesion sensitivity against false positives per series."
    return [_chart("readers", charts.reader_chart(points), folder, caption)]


def _froc(marks: Marks, resampling: Resampling, folder: Path) -> ChartFile:
    """FROC curve with the interval band from resampled patients."""
    curve = froc_curve(marks)
    rates = np.linspace(0.0, max(1.0, float(curve.fp_per_case.max())), _BAND_POINTS)
    band = bootstrap(
        froc_statistic(marks, rates),
        rng=resampling.rng(),
        n_draws=_BAND_DRAWS,
        method="percentile",
        level=resampling.level,
    )
    figure = charts.froc_chart(curve, band=(rates, band.low, band.high))
    return _chart("froc", figure, folder, "FROC curve with every operating point; the band is the percentile interval.")


def _patient_charts(evaluation: LesionEvaluation, folder: Path) -> list[ChartFile]:
    """ROC of the patients where they are scored, and calibration where the scores are probabilities."""
    patients = evaluation.patients
    if patients.score is None or not 0 < patients.reference.sum() < patients.reference.size:
        return []
    area = evaluation.metrics["patient.auc"].estimate
    figure = charts.roc_chart({"patients": (roc_curve(patients.score, patients.reference), area)})
    drawn = [_chart("roc", figure, folder, "ROC curve of the patients; the score is the highest confidence.")]
    if patients.score.min() >= 0 and patients.score.max() <= 1:
        figure = charts.calibration_chart({"patients": calibration(patients.score, patients.reference)})
        drawn.append(_chart("calibration", figure, folder, "Calibration of the patients' scores, Wilson intervals."))
    return drawn


def _chart(name: str, figure: Chart, folder: Path, caption: str) -> ChartFile:
    """Save a figure as bitmap and vectors."""
    _, svg = save_chart(figure, folder, name)
    return ChartFile(svg, caption)
