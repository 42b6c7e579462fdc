"""Tables and figures of a fitted signature."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from osteomet.evaluation.tables import Table, write_csv
from osteomet.pipeline.classified_lesions import out_of_fold_table
from osteomet.pipeline.evaluation_charts import draw_class_charts
from osteomet.pipeline.signature_study import Outcome
from osteomet.report.chart_style import save_chart
from osteomet.report.signature_charts import coefficient_chart, deviance_chart, lasso_chart
from osteomet.stats.intervals import Estimate


def write_charts(outcome: Outcome, folder: Path) -> None:
    """Write the figures of the study: coefficients, path, deviance, and ROC, calibration and the like out of fold."""
    figures = folder / "figures"
    figures.mkdir()
    fitted, path, names = outcome.fitted, outcome.fitted.path, outcome.names
    save_chart(coefficient_chart(dict(zip(names, fitted.coefficients.tolist(), strict=True))), figures, "coefficients")
    save_chart(lasso_chart(path.penalties, path.coefficients, names, chosen=fitted.chosen), figures, "lasso_path")
    deviance = deviance_chart(path.penalties, fitted.deviance, fitted.deviance_se, chosen=fitted.chosen)
    save_chart(deviance, figures, "lasso_deviance")
    draw_class_charts(outcome.result, None, figures)


def write_tables(outcome: Outcome, folder: Path) -> None:
    """Write the tables of the study, and out-of-fold predictions in the form that `osteomet evaluate` reads."""
    write_csv(out_of_fold_table(outcome.cases), folder)
    (folder / "tables").mkdir()
    for table in (_folds(outcome), _features(outcome), _coefficients(outcome), _path(outcome)):
        write_csv(table, folder / "tables")


def _folds(outcome: Outcome) -> Table:
    validation, study = outcome.validation, outcome.study
    rows = []
    for repeat in range(len(validation.folds)):
        columns = (validation.folds[repeat], validation.rad_scores[repeat], validation.probabilities[repeat])
        for (case, lesion, _), one, fold, score, p in zip(
            study.table.lesions, study.classes, *(column.tolist() for column in columns), strict=True
        ):
            rows.append((repeat + 1, fold + 1, case, lesion, one.patient, one.label, score, p))
    names = ("repeat", "fold", "case", "lesion", "patient", "reference", "rad_score")
    title = "Every repeat: fold of each lesion, and what the signature that had not seen it said"
    return Table("folds", title, (*names, f"probability_{study.recipe.positive}"), tuple(rows))


def _features(outcome: Outcome) -> Table:
    study, resamples = outcome.study, outcome.resamples
    frequency = np.stack([resamples.chosen.mean(axis=0), resamples.kept.mean(axis=0)], axis=1)
    shares = dict(zip(study.usable.tolist(), frequency.tolist(), strict=True))
    coefficients = dict(zip(outcome.names, outcome.fitted.coefficients.tolist(), strict=True))
    rows = []
    for n, name in enumerate(study.table.names):
        chosen, kept = shares.get(n, (None, None))
        agreement = study.agreement.get(name, Estimate(None))
        reason = study.left_out.get(name)
        rows.append(
            (name, reason, agreement.value, agreement.low, agreement.high, chosen, kept, coefficients.get(name))
        )
    columns = ("feature", "left_out", "icc", "icc_low", "icc_high", "chosen_share", "kept_share", "coefficient")
    title = "Every feature: agreement over perturbed masks, and share of resamples that chose and kept it"
    return Table("features", title, columns, tuple(rows))


def _coefficients(outcome: Outcome) -> Table:
    chosen = outcome.fitted.path.selection
    figures = (chosen.centre.tolist(), chosen.scale.tolist(), outcome.fitted.coefficients.tolist())
    rows = tuple(zip(outcome.names, *figures, strict=True))
    title = "Features in the order of mRMR, with mean, standard deviation and coefficient"
    return Table("coefficients", title, ("feature", "centre", "scale", "coefficient"), rows)


def _path(outcome: Outcome) -> Table:
    fitted, path = outcome.fitted, outcome.fitted.path
    rows = tuple(
        (penalty, deviance, error, int((row != 0).sum()), n == fitted.chosen, *row.tolist())
        for n, (penalty, deviance, error, row) in enumerate(
            zip(
                path.penalties.tolist(),
                fitted.deviance.tolist(),
                fitted.deviance_se.tolist(),
                path.coefficients,
                strict=True,
            )
        )
    )
    columns = ("penalty", "deviance", "deviance_se", "n_kept", "chosen", *outcome.names)
    return Table("lasso_path", "Coefficients and deviance along the path", columns, rows)
