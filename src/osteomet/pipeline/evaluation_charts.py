"""Which figures an evaluation has: each is drawn where the data allow it."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osteomet.evaluation.class_metrics import confusion_columns
from osteomet.evaluation.classification import ClassificationResult
from osteomet.evaluation.comparisons import sequence_sides
from osteomet.evaluation.detection import VOLUME_BINS
from osteomet.evaluation.marks import UNAIDED
from osteomet.evaluation.metrics import LesionEvaluation, Resampling, volumes_ml
from osteomet.evaluation.parts import slug
from osteomet.evaluation.reader_study import ReaderStudy
from osteomet.evaluation.reader_tables import ReaderTable
from osteomet.evaluation.readers import case_ratings
from osteomet.evaluation.tables import Table, froc_band_table
from osteomet.report import charts, curve_charts
from osteomet.report.chart_style import Chart, save_chart
from osteomet.report.curve_charts import OperatingPoint
from osteomet.report.evaluation_page import ChartFile
from osteomet.stats.agreement import bland_altman
from osteomet.stats.bootstrap import bootstrap
from osteomet.stats.froc import Marks, afroc_curve, froc_curve, froc_statistic
from osteomet.stats.roc import roc_curve

_BIN_TITLES = dict(zip((name for name, _, _ in VOLUME_BINS), ("≤ 0.5", "> 0.5 to 1", "> 1 to 2", "> 2"), strict=True))
_BAND_POINTS = 60
_BAND_DRAWS = 2_000


def draw_lesion_charts(
    evaluation: LesionEvaluation, resampling: Resampling, folder: Path
) -> tuple[list[ChartFile], list[Table]]:
    """Violins of the cases, volume agreement, sensitivity by volume; with confidences FROC, AFROC, ROC and calibration.

    The tables hold what was computed for the figures alone: the interval band of the FROC curve.
    """
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
    drawn += _volume_charts(evaluation, resampling.level, folder)
    tables = []
    if evaluation.marks is not None and evaluation.marks.n_lesions.sum():
        froc, band = _froc(evaluation.marks, resampling, folder)
        drawn += [froc, _afroc(evaluation, evaluation.marks, folder)]
        tables.append(band)
    return drawn + _patient_charts(evaluation, folder), tables


def _volume_charts(evaluation: LesionEvaluation, level: float, folder: Path) -> list[ChartFile]:
    """Bland–Altman plot of all cases, and of the cases of each sequence where there are several."""
    parts = {"": evaluation.voxels, **{side.name: side.voxels for side in sequence_sides(evaluation)}}
    drawn = []
    for name, voxels in parts.items():
        volumes = volumes_ml(voxels)
        agreement = bland_altman(*volumes, level=level)
        if agreement.n > 1:
            figure = charts.bland_altman_chart(*volumes, agreement, unit="ml")
            whose = f"each case of {name}" if name else "each case"
            caption = f"Bland–Altman plot of the lesion volume of {whose}; bands are intervals of bias and limits."
            drawn.append(_chart(f"bland_altman_{slug(name)}" if name else "bland_altman", figure, folder, caption))
    return drawn


def draw_class_charts(
    result: ClassificationResult, against: ClassificationResult | None, folder: Path, *, end: str = ""
) -> list[ChartFile]:
    """Confusion matrix; with probabilities ROC, calibration and decision curve of each class.

    Of two classes the curves are drawn of the first alone, beside those of a second classifier where there is one.
    ``end`` closes the names of the files that an evaluation of label maps may have too.
    """
    figure = charts.confusion_chart(result.matrix, result.classes, confusion_columns(result))
    drawn = [_chart("confusion_matrix", figure, folder, "Confusion matrix; shares are of each row.")]
    shown = {one.label: one for one in (result.per_class[:1] if len(result.classes) == 2 else result.per_class)}
    for one in against.per_class if against is not None else ():
        if one.label in tuple(shown):
            shown[f"{one.label}, against"] = one
    curves = {name: (one.roc, one.auc) for name, one in shown.items() if one.roc is not None}
    if curves:
        figure = curve_charts.roc_chart(curves)
        drawn.append(
            _chart(f"roc{end}", figure, folder, "ROC curve of each class against the rest, areas with intervals.")
        )
    reliability = {name: one.calibration for name, one in shown.items() if one.calibration is not None}
    if reliability:
        figure = charts.calibration_chart(reliability)
        drawn.append(_chart(f"calibration{end}", figure, folder, "Calibration of each class, Wilson intervals."))
    decisions = {name: one.decision_curve for name, one in shown.items() if one.decision_curve is not None}
    if decisions:
        figure = curve_charts.decision_chart(decisions)
        drawn.append(
            _chart(f"decision_curve{end}", figure, folder, "Decision curves; treating none has a net benefit of 0.")
        )
    return drawn


def draw_reader_charts(study: ReaderStudy, folder: Path) -> list[ChartFile]:
    """Operating points of readers and model; FROC of the model with the readers; ROC of those who scored all marks."""
    points = [
        OperatingPoint(r.reader, r.condition, r.fp_per_series.value, r.sensitivity.value)
        for r in (*study.readers, study.model)
        if r.sensitivity.value is not None and r.fp_per_series.value is not None
    ]
    drawn = []
    if points:
        caption = "Readers and model: lesion sensitivity against false positives per series."
        drawn.append(_chart("readers", curve_charts.reader_chart(points), folder, caption))
    model = study.model_table
    curves = [(table.condition, froc_curve(table.marks())) for table in study.tables if table.scored]
    if model.scored and any(case.n_lesions for case in model.cases):
        readers = [point for point in points if point.group != model.condition]
        figure = curve_charts.froc_chart(froc_curve(model.marks()), points=readers, others=curves)
        caption = "FROC curve of the model on the cases that were read, with the readers."
        drawn.append(_chart("froc_readers", figure, folder, caption))
    return drawn + _reader_roc(study, folder)


def _reader_roc(study: ReaderStudy, folder: Path) -> list[ChartFile]:
    """ROC over cases, each rated by its surest mark, where there are cases with and without lesions."""
    truth = np.array([case.n_lesions > 0 for case in study.model_table.cases])
    scored = [
        (table, figures.auc)
        for table, figures in zip((*study.tables, study.model_table), (*study.readers, study.model), strict=True)
        if table.scored
    ]
    if not scored or truth.all() or not truth.any():
        return []
    curves = {_named(table): (roc_curve(case_ratings(table), truth), area) for table, area in scored}
    caption = "ROC curve over cases of readers and model; a case is rated by its surest mark."
    return [_chart("roc_readers", curve_charts.roc_chart(curves), folder, caption)]


def _named(table: ReaderTable) -> str:
    """Reader, and condition where it is not the plain one."""
    return table.reader if table.condition in (UNAIDED, table.reader) else f"{table.reader}, {table.condition}"


def _froc(marks: Marks, resampling: Resampling, folder: Path) -> tuple[ChartFile, Table]:
    """FROC curve with the interval band from resampled patients, and the band."""
    curve = froc_curve(marks)
    rates = np.linspace(0.0, max(1.0, float(curve.fp_per_case.max())), _BAND_POINTS)
    band = bootstrap(
        froc_statistic(marks, rates),
        rng=resampling.rng(),
        n_draws=_BAND_DRAWS,
        method="percentile",
        level=resampling.level,
    )
    figure = curve_charts.froc_chart(curve, band=(rates, band.low, band.high))
    caption = "FROC curve with every operating point; the band is the percentile interval over patients."
    return _chart("froc", figure, folder, caption), froc_band_table(rates, band.low, band.high)


def _afroc(evaluation: LesionEvaluation, marks: Marks, folder: Path) -> ChartFile:
    """AFROC curve over cases without lesion, where there are some, and over all cases."""
    curves = {"AFROC1": (afroc_curve(marks, false_positives="all"), evaluation.metrics["detection.jafroc1"].estimate)}
    if (marks.n_lesions == 0).any():
        curves = {"AFROC": (afroc_curve(marks), evaluation.metrics["detection.jafroc"].estimate), **curves}
    caption = "AFROC (false positives of cases without lesion) and AFROC1 (of all cases) with their figures of merit."
    return _chart("afroc", curve_charts.afroc_chart(curves), folder, caption)


def _patient_charts(evaluation: LesionEvaluation, folder: Path) -> list[ChartFile]:
    """ROC of the patients where they are scored, and calibration where the scores are probabilities."""
    patients = evaluation.patients
    if patients.score is None or not 0 < patients.reference.sum() < patients.reference.size:
        return []
    area = evaluation.metrics["patient.auc"].estimate
    figure = curve_charts.roc_chart({"patients": (roc_curve(patients.score, patients.reference), area)})
    drawn = [_chart("roc", figure, folder, "ROC curve of the patients; the score is the highest confidence.")]
    figures = evaluation.figures[0]
    if figures.calibration is not None:
        figure = charts.calibration_chart({"patients": figures.calibration})
        drawn.append(_chart("calibration", figure, folder, "Calibration of the patients' scores, Wilson intervals."))
    if figures.decisions is not None:
        figure = curve_charts.decision_chart({"model": figures.decisions})
        caption = "Decision curve of the patients; treating none has a net benefit of 0."
        drawn.append(_chart("decision_curve", figure, folder, caption))
    return drawn


def _chart(name: str, figure: Chart, folder: Path, caption: str) -> ChartFile:
    """Save a figure as bitmap and vectors."""
    _, svg = save_chart(figure, folder, name)
    return ChartFile(svg, caption)
