"""Fit what makes probabilities of the scores of a model, on phantoms that neither train nor judge it."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from osteomet.core.calibration import ModelCalibration, PlattMap
from osteomet.core.errors import InputError
from osteomet.core.findings import ExamGrade
from osteomet.evaluation.model_cases import N_BINS, ModelCase, judged_calls
from osteomet.io.model_package import ModelPackage, read_package
from osteomet.lesions.exam import calibrate_confidence, exam_evidence, grade_of
from osteomet.pipeline.judging.model_card import CALIBRATED, rewrite_package, with_section
from osteomet.pipeline.judging.model_cohort import CohortJob, Progress, cohort_of, open_run, run_cohort
from osteomet.report.chart_style import save_chart
from osteomet.report.charts import calibration_chart
from osteomet.stats.calibration import Calibration, calibration
from osteomet.stats.platt import apply_platt, fit_platt, log_odds_of

CALIBRATION_SEED = 92026
PACKAGE, CHART = "package", "reliability_calibration"
UNCALIBRATED = "Confidence is not calibrated. "
"""Sentence of the limitations that a calibration makes untrue."""


@dataclass(frozen=True, slots=True, eq=False)
class Fit:
    """Maps, and the reliability of calls and exams on the cohort itself, before and after."""

    maps: ModelCalibration
    reliability: dict[str, Calibration]


def calibrate_model(package: ModelPackage, out: Path, job: CohortJob, *, progress: Progress) -> Path:
    """Analyse a cohort, fit the maps, and write the model with them; returns the folder of the package.

    Parameters
    ----------
    package
        A model with the parts ``bones`` and ``lesions``; a calibration that it has already is fitted anew.
    out
        Folder that grows, as `run_cohort` says; the model is written to ``package`` in it.
    job
        Phantoms to fit on: others than train and judge the model.

    Raises
    ------
    InputError
        If there is nothing to fit on, as `fit_calibration` says.
    UsageError, ModelError
        As `run_cohort`.
    """
    raw = replace(package, description=replace(package.description, calibration=None))
    open_run(out, package, seed=job.seed)
    cases = run_cohort(raw, out, job, progress=progress)
    fit = fit_calibration(cases, fitted_on=f"{job.n_cases} phantoms of {cohort_of(package)}, seed {job.seed}")
    png, _ = save_chart(calibration_chart(fit.reliability), out, CHART)
    picture = f"pictures/{CHART}.png"
    description = package.description
    folder = out / PACKAGE
    shutil.rmtree(folder, ignore_errors=True)
    rewrite_package(
        package,
        folder,
        description=replace(
            description, calibration=fit.maps, limitations=description.limitations.replace(UNCALIBRATED, "")
        ),
        card=with_section(package.card.replace(UNCALIBRATED, ""), CALIBRATED, calibration_text(fit, picture)),
        pictures={picture: png.read_bytes()},
    )
    read_package(folder)
    return folder


def fit_calibration(cases: Sequence[ModelCase], *, fitted_on: str) -> Fit:
    """Fit the maps of a model on what it said, uncalibrated, about cases whose truth is known.

    Raises
    ------
    InputError
        If no call finds a metastasis, or no case is without.
    """
    confidence, true = judged_calls(cases)
    if not true.any():
        raise InputError(
            "the model finds no metastasis of the cohort, so its confidence cannot be calibrated",
            got=f"{confidence.size} calls in {len(cases)} cases, none of them right",
            remedy="calibrate on more cases, or train the model further",
        )
    lesion = fit_platt(log_odds_of(confidence), true)
    seen = [case for case in cases if case.exam.probability is not None]
    evidence = [exam_evidence(_calls(case, lesion), _peak(case, lesion)) for case in seen]
    burdens = [case.reference_burden for case in seen]
    diseased = np.array([n > 0 for n, _ in burdens], dtype=np.bool_)
    any_lesion = np.array([e.any_lesion for e in evidence])
    burden = np.array([e.burden for e in evidence])
    apparent = np.array([grade_of(*b) is ExamGrade.APPARENT for b in burdens], dtype=np.bool_)
    if diseased.all():
        raise InputError("every case of the cohort shows a metastasis", remedy="calibrate on more cases")
    exam = fit_platt(any_lesion, diseased)
    maps = ModelCalibration(lesion, exam, fit_platt(burden[diseased], apparent[diseased]), fitted_on)
    reliability = {
        "calls, as the network says": calibration(confidence, true, n_bins=N_BINS),
        "calls, calibrated": calibration(apply_platt(lesion, log_odds_of(confidence)), true, n_bins=N_BINS),
        "exams, calibrated": calibration(apply_platt(exam, any_lesion), diseased, n_bins=N_BINS),
    }
    return Fit(maps, reliability)


def _calls(case: ModelCase, lesion: PlattMap) -> list[tuple[float, float]]:
    """Calibrated confidence and volume of every call on a case, those that count nowhere included."""
    calls = [x for x in case.record.instances.predictions if x.confidence is not None]
    return [(calibrate_confidence(x.confidence, lesion), x.volume_ml) for x in calls if x.confidence is not None]


def _peak(case: ModelCase, lesion: PlattMap) -> float:
    """Calibrated peak of a case without calls: without calibration its probability is the peak."""
    return calibrate_confidence(case.exam.probability or 0.0, lesion)


def calibration_text(fit: Fit, picture: str) -> str:
    """Section of the model card."""
    maps = fit.maps
    rows = "\n".join(
        f"| {name} | {m.intercept:.3f} | {m.slope:.3f} | {m.n} | {m.n_positive} |"
        for name, m in (("confidence of a lesion", maps.lesion), ("metastasis", maps.exam), ("apparent", maps.apparent))
    )
    errors = "; ".join(f"{name} {c.ece:.3f}" for name, c in fit.reliability.items() if c.ece is not None)
    return f"""Probabilities are logistic maps of the log odds of scores, fitted on {maps.fitted_on},
which neither trained nor judged the model. They hold for the share of metastases among such phantoms, and for no
hospital.

| probability of | intercept | slope | cases | positive |
|---|---|---|---|---|
{rows}

Expected calibration error on the same phantoms: {errors}.

![Reliability]({picture})
"""
