"""Measure a model on phantoms, and on real scans, and write the figures into its card."""

from __future__ import annotations

import json
import shutil
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from osteomet import __version__
from osteomet.core.errors import UsageError
from osteomet.core.findings import MStage
from osteomet.evaluation.cases import EvaluatedCases
from osteomet.evaluation.measures import Measures, join_measures, ratio_measures
from osteomet.evaluation.metrics import LesionEvaluation, Metric, Resampling, evaluate_lesions
from osteomet.evaluation.model_cases import N_BINS, RULE, Failure, ModelCase, judged_calls, level_measures
from osteomet.evaluation.protocols import PROTOCOLS, Protocol
from osteomet.evaluation.tables import froc_table, lesion_tables, metric_table, reliability_table, write_csv
from osteomet.io.model_package import ModelPackage, read_package
from osteomet.io.output import output_file
from osteomet.io.real_manifest import RealScan
from osteomet.lesions.exam import grade_of
from osteomet.pipeline.evaluation_charts import draw_lesion_charts
from osteomet.pipeline.judging.calibrate import PACKAGE
from osteomet.pipeline.judging.model_card import TESTED, rewrite_package, with_section
from osteomet.pipeline.judging.model_cohort import PICTURES, CohortJob, Progress, cohort_of, open_run, run_cohort
from osteomet.pipeline.judging.real_scans import run_real_scans
from osteomet.pipeline.judging.validation_text import card_metrics, phantom_text, real_text
from osteomet.report.chart_style import save_chart
from osteomet.report.charts import calibration_chart
from osteomet.stats.calibration import Calibration, calibration
from osteomet.stats.froc import froc_curve
from osteomet.stats.intervals import Estimate

VALIDATION_SEED = 72026
RELIABILITY = "reliability"
_PROTOCOL = Protocol("phantoms", "", "", RULE)
_BY_TYPE = PROTOCOLS["edelmers2024"]
_N_PICTURES = 2
_FIGURES = ("froc", "roc")


@dataclass(frozen=True, slots=True, eq=False)
class Validation:
    """What was measured: figures by name, the text for the card, and the folder of the model with both."""

    metrics: Mapping[str, Metric]
    text: str
    package: Path


@dataclass(frozen=True, slots=True)
class ValidationJob:
    """Phantoms to judge on, none with 0 cases; and the real scans, by name, none without."""

    cohort: CohortJob
    real: Sequence[RealScan] = ()


def validate_model(package: ModelPackage, out: Path, job: ValidationJob, *, progress: Progress) -> Validation:
    """Judge a model and write the figures into a copy of its package.

    Parameters
    ----------
    package
        A model with the parts ``bones`` and ``lesions``.
    out
        Folder that grows, so that a killed run goes on (`run_cohort`). Gets ``metrics.json``, ``validation.md``,
        ``tables``, ``figures``, ``pictures``, and ``package``: the model with these figures in its card.
    job
        What to judge on.

    Raises
    ------
    UsageError
        If there is nothing to judge on, or ``out`` holds something else.
    InputError
        If a real scan cannot be read.
    """
    if job.cohort.n_cases < 1 and not job.real:
        raise UsageError("there is nothing to judge the model on", remedy="pass --cases, or --real")
    open_run(out, package, seed=job.cohort.seed)
    metrics: dict[str, Metric] = {}
    parts: list[str] = []
    failures: list[Failure] = []
    if job.cohort.n_cases:
        cases = run_cohort(package, out, job.cohort, progress=progress)
        metrics, failures = _judge_phantoms(cases, out), _worst(cases)
        parts.append(phantom_text(metrics, cases, failures, cohort=cohort_of(package), seed=job.cohort.seed))
    if job.real:
        rows = run_real_scans(package, out, job.real, job.cohort, progress=progress)
        parts.append(real_text(rows))
    text = "\n\n".join(parts)
    folder = _write(package, out, metrics, text, failures)
    return Validation(metrics, text, folder)


def measure(cases: Sequence[ModelCase], resampling: Resampling) -> tuple[LesionEvaluation, dict[str, Metric]]:
    """Every figure of a cohort: lesions and exams, by type as Edelmers et al. 2024 count, vertebrae, suggestions."""
    records = EvaluatedCases(tuple(case.record for case in cases), (), ())
    whole = evaluate_lesions(records, _PROTOCOL, resampling)
    by_type = evaluate_lesions(records, _BY_TYPE, resampling).metrics
    metrics = dict(whole.metrics)
    metrics |= {name: by_type[name] for name in by_type if name.startswith(("detection.f2.", "detection.pq."))}
    joined = join_measures([level_measures(cases), _suggestion_measures(cases)])
    estimates = joined.estimates(rng=resampling.rng(), n_draws=resampling.n_draws, level=resampling.level)
    metrics |= {name: Metric(estimate) for name, estimate in estimates.items()}
    return whole, metrics


def _suggestion_measures(cases: Sequence[ModelCase]) -> Measures:
    """How often the stage and the grade of an exam are suggested, and how often a suggestion is right."""
    names = ("exam.stage.given", "exam.stage.right", "exam.grade.given", "exam.grade.right")
    tops, bottoms = np.zeros((len(cases), len(names))), np.zeros((len(cases), len(names)))
    for n, case in enumerate(cases):
        n_lesions, total_ml = case.reference_burden
        stage, grade = case.exam.m_stage, case.exam.grade
        stage_right = stage == (MStage.M1B if n_lesions else MStage.M0)
        tops[n] = stage is not None, stage_right, grade is not None, grade == grade_of(n_lesions, total_ml)
        bottoms[n] = 1, stage is not None, 1, grade is not None
    return ratio_measures(cases, names, tops, bottoms)


def reliability_of(cases: Sequence[ModelCase]) -> dict[str, Calibration]:
    """Reliability of the confidence of calls and of the probability of metastasis."""
    confidence, true = judged_calls(cases)
    exams = [(p, case.reference_burden[0] > 0) for case in cases if (p := case.exam.probability) is not None]
    return {
        "calls": calibration(confidence, true, n_bins=N_BINS),
        "exams": calibration([p for p, _ in exams], [diseased for _, diseased in exams], n_bins=N_BINS),
    }


def _judge_phantoms(cases: Sequence[ModelCase], out: Path) -> dict[str, Metric]:
    """Compute the figures of a cohort and write their tables and charts."""
    resampling = Resampling()
    evaluation, metrics = measure(cases, resampling)
    for name in ("tables", "figures"):
        shutil.rmtree(out / name, ignore_errors=True)
        (out / name).mkdir()
    _, tables = draw_lesion_charts(evaluation, resampling, out / "figures")
    reliability = reliability_of(cases)
    save_chart(calibration_chart(reliability), out / "figures", RELIABILITY)
    tables += [metric_table(metrics), *lesion_tables(evaluation), reliability_table(reliability, "model")]
    if evaluation.marks is not None:
        tables.append(froc_table(froc_curve(evaluation.marks)))
    for table in tables:
        write_csv(table, out / "tables")
    return metrics | {f"calibration.{name}.ece": Metric(Estimate(c.ece)) for name, c in reliability.items()}


def _worst(cases: Sequence[ModelCase]) -> list[Failure]:
    """The worst failures of each kind, from different cases."""
    found = [failure for case in cases for failure in case.failures]
    worst = []
    for kind in ("missed", "false", "outline"):
        of_kind = sorted((f for f in found if f.kind == kind), key=lambda f: (-f.weight, f.text))
        worst += of_kind[:_N_PICTURES]
    return worst


def _write(
    package: ModelPackage, out: Path, metrics: Mapping[str, Metric], text: str, failures: Sequence[Failure]
) -> Path:
    """Write figures and text, and the model with both in its card."""
    figures = {name: metric.as_json() for name, metric in metrics.items()}
    shown = card_metrics(metrics)
    document = {"software": f"osteomet {__version__}", "model_sha256": package.sha256, "metrics": figures}
    for name, content in (
        ("metrics.json", json.dumps(document, indent=2, allow_nan=False) + "\n"),
        ("validation.md", f"# {package.description.name}: {TESTED.lower()}\n\n{text}\n"),
    ):
        with output_file(out / name) as partial:
            partial.write_text(content, encoding="utf-8")
    charts = [f"{name}.png" for name in (RELIABILITY, *_FIGURES)]
    pictures = {f"figures/{name}": out / "figures" / name for name in charts}
    pictures |= {f"{PICTURES}/{failure.picture}": out / PICTURES / failure.picture for failure in failures}
    folder = out / PACKAGE
    shutil.rmtree(folder, ignore_errors=True)
    rewrite_package(
        package,
        folder,
        description=replace(package.description, metrics=shown or package.description.metrics),
        card=with_section(package.card, TESTED, text),
        pictures={name: path.read_bytes() for name, path in pictures.items() if path.is_file()},
    )
    read_package(folder)
    return folder
