"""A radiomic signature from tables of features and classes: judged by nested folds, fitted, and written as a folder."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import numpy as np

from osteomet import __version__
from osteomet.core.signature import Signature, SignatureTerm
from osteomet.evaluation.class_metrics import class_metrics
from osteomet.evaluation.classification import evaluate_classification
from osteomet.evaluation.metrics import Metric
from osteomet.io.output import output_folder
from osteomet.io.signature_file import SIGNATURE_FILE, write_signature
from osteomet.pipeline.classified_lesions import classify_lesions
from osteomet.pipeline.signature_outputs import write_charts, write_tables
from osteomet.pipeline.signature_study import FitJob, Outcome, Study, read_study
from osteomet.radiomics.cross_validation import cross_validate, mean_auc_statistic, prevalence_of
from osteomet.radiomics.folds import folds_rng
from osteomet.radiomics.signature import fit_signature
from osteomet.radiomics.stability import resample_selection
from osteomet.stats.bootstrap import bootstrap
from osteomet.stats.intervals import Estimate
from osteomet.stats.roc import auc
from osteomet.stats.selection import selection_stability

_N_DRAWS = 2_000


def fit_from_tables(job: FitJob, *, progress: Callable[[str, int, int], None]) -> dict[str, Any]:
    """Fit a signature, judge it, and write everything into one folder.

    Parameters
    ----------
    job
        What to fit it to.
    progress
        Called with what is being done, and the number of steps done and of all.

    Returns
    -------
    dict
        Content of ``metrics.json``.

    Raises
    ------
    UsageError
        If the folder exists.
    InputError
        If a table cannot be used; the message names the line, the case or the feature.
    """
    with output_folder(job.out, overwrite=job.overwrite) as folder:
        recipe, study = job.recipe, read_study(job)
        outcome = _compute(study, progress)
        signature = to_signature(outcome, features=job.features.name)
        sha256 = write_signature(signature, folder / SIGNATURE_FILE)
        write_tables(outcome, folder)
        write_charts(outcome, folder)
        document = {
            "software": f"osteomet {__version__}",
            "signature": {"name": recipe.name, "sha256": sha256, "features": [t.feature for t in signature.terms]},
            "recipe": asdict(recipe),
            "definitions": _DEFINITIONS,
            "metrics": {name: metric.as_json() for name, metric in outcome.metrics.items()},
        }
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
        return document


_DEFINITIONS = {
    "cross_validation.auc": "area under the ROC curve of out-of-fold probabilities, mean over repeats; BCa bootstrap "
    "over patients",
    "cross_validation.n_kept": "features kept by the LASSO, mean over folds and repeats",
    "classification": "out-of-fold probabilities averaged over repeats; the class is the more probable one",
    "apparent.auc": "of the signature on the lesions it was fitted to: too high, never to be quoted as performance",
    "stability.chosen": "index of Nogueira et al. 2018 of the choice of mRMR over bootstrap resamples of patients",
    "stability.kept": "the same of the features that the LASSO kept",
}


def _compute(study: Study, progress: Callable[[str, int, int], None]) -> Outcome:
    """Judge and fit; each of the three parts has its own stream of random numbers."""
    recipe, lesions = study.recipe, study.lesions
    _, draws_rng, fit_rng, interval_rng = np.random.default_rng(recipe.seed).spawn(4)  # the first is that of the folds
    rng = folds_rng(recipe.seed)
    validation = cross_validate(lesions, recipe, rng=rng, progress=lambda n, of: progress("folds", n, of))
    resamples = resample_selection(lesions, recipe, rng=draws_rng, progress=lambda n, of: progress("resamples", n, of))
    fitted = fit_signature(lesions, recipe, rng=fit_rng)
    keys = [key[:2] for key in study.table.lesions]
    cases = classify_lesions(keys, study.classes, recipe.classes, validation.probabilities.mean(axis=0))
    result = evaluate_classification(cases, rng=interval_rng, n_draws=_N_DRAWS)
    areas = bootstrap(mean_auc_statistic(validation.probabilities, lesions), rng=interval_rng, n_draws=_N_DRAWS)
    metrics = {
        "cross_validation.auc": Metric(areas.estimates()[0]),
        "cross_validation.n_kept": Metric(Estimate(float(validation.n_kept.mean()))),
        **class_metrics(result),
        "apparent.auc": Metric(auc(fitted.rad_scores(lesions.features), lesions.truth)),
        "stability.chosen": Metric(selection_stability(resamples.chosen)),
        "stability.kept": Metric(selection_stability(resamples.kept)),
    }
    return Outcome(study, fitted, validation, resamples, cases, result, metrics)


def to_signature(outcome: Outcome, *, features: str) -> Signature:
    """What a fitted signature says about itself; ``features`` names the table it was fitted to."""
    study, fitted, chosen = outcome.study, outcome.fitted, outcome.fitted.path.selection
    recipe, lesions = study.recipe, study.lesions
    terms = zip(outcome.names, chosen.centre.tolist(), chosen.scale.tolist(), fitted.coefficients.tolist(), strict=True)
    prevalence = prevalence_of(lesions, recipe)
    return Signature(
        name=recipe.name,
        classes=recipe.classes,
        terms=tuple(SignatureTerm(*term) for term in terms if term[3] != 0),
        intercept=fitted.intercept + float(np.log(prevalence / (1 - prevalence))),
        slope=fitted.slope,
        prevalence=prevalence,
        extraction=study.table.settings,
        training={
            "software": f"osteomet {__version__}",
            "features": features,
            "n_lesions": int(lesions.truth.size),
            "n_patients": int(np.unique(lesions.patients).size),
            "n_of_class": {label: int((lesions.truth == (n == 0)).sum()) for n, label in enumerate(recipe.classes)},
            "n_features": len(study.table.names),
            "n_features_left_out": len(study.left_out),
            "recipe": asdict(recipe),
        },
        metrics={name: metric.as_json() for name, metric in outcome.metrics.items()},
        image=study.table.image,
    )
