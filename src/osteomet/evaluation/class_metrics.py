"""Metrics of classified cases by their dotted names, and their tables."""

from __future__ import annotations

from osteomet.evaluation.classification import ClassificationResult
from osteomet.evaluation.classified_cases import NO_PREDICTION
from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.parts import slug
from osteomet.evaluation.tables import Table
from osteomet.stats.intervals import Estimate


def class_metrics(result: ClassificationResult) -> dict[str, Metric]:
    """Metrics under ``classification.``: in total, and of each class against the rest with its name at the end."""
    metrics = {
        "classification.accuracy": Metric(result.accuracy),
        "classification.kappa": Metric(result.kappa),
        "classification.macro_recall": Metric(result.macro_recall),
        "classification.macro_f1": Metric(result.macro_f1),
    }
    for one in result.per_class:
        figures = {
            "accuracy": one.accuracy,
            "recall": one.recall,
            "precision": one.precision,
            "f1": one.f1,
            "auc": one.auc,
        }
        if one.calibration is not None:
            figures["ece"] = Estimate(one.calibration.ece)
            figures["brier"] = Estimate(one.calibration.brier)
        metrics |= {f"classification.{name}.{slug(one.label)}": Metric(e) for name, e in figures.items()}
    return metrics


def confusion_columns(result: ClassificationResult) -> tuple[str, ...]:
    """Names of the columns of the confusion matrix."""
    return (*result.classes, NO_PREDICTION)[: result.matrix.shape[1]]


def confusion_table(result: ClassificationResult) -> Table:
    """Confusion matrix: a row for each reference class."""
    rows = tuple((name, *row) for name, row in zip(result.classes, result.matrix.tolist(), strict=True))
    title = "Confusion matrix (rows reference, columns prediction)"
    return Table("confusion_matrix", title, ("reference", *confusion_columns(result)), rows)


def decision_table(result: ClassificationResult) -> Table:
    """Net benefit of each class at each threshold, where there are probabilities."""
    rows = tuple(
        (one.label, *row)
        for one in result.per_class
        if (curve := one.decision_curve) is not None
        for row in zip(curve.threshold.tolist(), curve.model.tolist(), curve.treat_all.tolist(), strict=True)
    )
    return Table("decision_curves", "Decision curves", ("class", "threshold", "net_benefit", "treat_all"), rows)
