"""References and predictions in; metrics, tables, figures, a report and a checklist out, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from osteomet import __version__
from osteomet.core.errors import UsageError
from osteomet.evaluation.cases import CaseSettings, EvaluatedCases, evaluate_cases
from osteomet.evaluation.checklist import class_checklist, lesion_checklist
from osteomet.evaluation.class_metrics import class_metrics, confusion_table, decision_table
from osteomet.evaluation.classification import evaluate_classification
from osteomet.evaluation.classified_cases import ClassifiedCases, read_classified
from osteomet.evaluation.definitions import class_definitions, lesion_definitions
from osteomet.evaluation.mark_files import read_readings
from osteomet.evaluation.metrics import LesionEvaluation, Metric, Resampling, evaluate_lesions
from osteomet.evaluation.protocols import PROTOCOLS, Protocol
from osteomet.evaluation.reader_study import ReaderStudy, evaluate_readers, reader_table
from osteomet.evaluation.tables import (
    Table,
    fill_paper_table,
    froc_table,
    lesion_tables,
    metric_table,
    roc_table,
    write_csv,
)
from osteomet.io.dataset import LeftOut, PairedCases, pair_cases
from osteomet.io.output import output_folder
from osteomet.pipeline.evaluation_charts import draw_class_charts, draw_lesion_charts, draw_reader_chart
from osteomet.report.evaluation_page import ChartFile, EvaluationPage, render_evaluation
from osteomet.stats.froc import froc_curve
from osteomet.stats.roc import roc_curve

_SHOWN = ("metrics", "cases", "readers", "reader_comparisons", "sequence_comparisons", "false_positive_causes")


@dataclass(frozen=True, slots=True)
class EvaluationJob:
    """What to evaluate.

    Parameters
    ----------
    reference, prediction
        Folders of label maps (`osteomet.io.dataset`); None with a protocol that reads a table of classified cases.
    out
        Folder to make.
    protocol
        Name of a protocol.
    table
        Classified cases for the protocols that need them (`read_classified`), otherwise the table of the cases.
    readers
        Marks of readers.
    continue_on_error
        Leave out cases that cannot be used, with the reason, instead of stopping.
    overwrite
        Whether an output folder that osteomet wrote may be replaced.
    """

    reference: Path | None
    prediction: Path | None
    out: Path
    protocol: str = "default"
    table: Path | None = None
    readers: Path | None = None
    continue_on_error: bool = False
    overwrite: bool = False


@dataclass(frozen=True, slots=True)
class _Run:
    """A job under way: its protocol, and the folder that it writes."""

    job: EvaluationJob
    protocol: Protocol
    resampling: Resampling
    folder: Path
    progress: Callable[[int, int], None]


@dataclass(slots=True)
class _Results:
    """What has been computed so far, in the order in which it is written."""

    facts: dict[str, str] = field(default_factory=dict)
    metrics: dict[str, Metric] = field(default_factory=dict)
    tables: list[Table] = field(default_factory=list)
    charts: list[ChartFile] = field(default_factory=list)
    definitions: dict[str, Any] = field(default_factory=dict)
    missing: tuple[str, ...] = ()
    left_out: tuple[LeftOut, ...] = ()
    checklist: Table | None = None


def evaluate_folders(
    job: EvaluationJob, *, resampling: Resampling | None = None, progress: Callable[[int, int], None] = lambda *_: None
) -> dict[str, Any]:
    """Evaluate predictions and write everything into one folder.

    Parameters
    ----------
    job
        What to evaluate.
    resampling
        Seed and number of bootstrap draws; None for the defaults.
    progress
        Called with the number of cases done and of all.

    Returns
    -------
    dict
        Content of ``metrics.json``: ``protocol``, ``definitions``, ``metrics``, ``missing_predictions``, ``left_out``.

    Raises
    ------
    UsageError
        If the protocol is unknown, what it needs is not given, or the folder exists.
    InputError
        If an input cannot be used; the message names the case.
    """
    protocol = _protocol(job)
    resampling = resampling or Resampling()
    with output_folder(job.out, overwrite=job.overwrite) as folder:
        for name in ("tables", "figures"):
            (folder / name).mkdir()
        run, results = _Run(job, protocol, resampling, folder, progress), _Results()
        if job.reference is not None and job.prediction is not None:
            paired = pair_cases(
                job.reference,
                job.prediction,
                table=None if protocol.classes else job.table,
                continue_on_error=job.continue_on_error,
            )
            _add_lesions(results, run, paired)
        if protocol.classes and job.table is not None:
            _add_classes(results, run, read_classified(job.table, protocol.classes))
        return _write(results, run)


def _protocol(job: EvaluationJob) -> Protocol:
    """Protocol of a job, once what it needs is there."""
    if job.protocol not in PROTOCOLS:
        raise UsageError("no such protocol", expected=", ".join(PROTOCOLS), got=job.protocol)
    protocol = PROTOCOLS[job.protocol]
    if (job.reference is None) != (job.prediction is None):
        raise UsageError("reference and prediction go together", remedy="pass both --reference and --prediction")
    if job.reference is None and (job.readers is not None or not protocol.classes):
        raise UsageError("there is nothing to evaluate", remedy="pass --reference and --prediction")
    if protocol.classes and job.table is None:
        raise UsageError(
            f"the protocol {protocol.name} evaluates classified cases",
            expected="--table CSV with the columns case, patient, reference, prediction",
        )
    return protocol


def _add_lesions(results: _Results, run: _Run, paired: PairedCases) -> None:
    """Evaluate label maps, and readers on them where there are any."""
    protocol, resampling, figures = run.protocol, run.resampling, run.folder / "figures"
    settings = CaseSettings(by_label=protocol.by_label)
    cases = evaluate_cases(paired, settings, continue_on_error=run.job.continue_on_error, progress=run.progress)
    evaluation = evaluate_lesions(cases, protocol, resampling)
    results.metrics |= evaluation.metrics
    results.tables += [*lesion_tables(evaluation), *_curves(evaluation)]
    if run.job.readers is not None:
        study = _readers(run, paired, cases, evaluation)
        results.metrics |= study.metrics
        results.tables += [reader_table(study), study.comparisons]
        results.charts += draw_reader_chart(study, figures)
    results.charts += draw_lesion_charts(evaluation, resampling, figures)
    results.definitions |= lesion_definitions(protocol, settings, resampling)
    results.missing, results.left_out = cases.missing, cases.left_out
    results.facts = {
        "cases": f"{len(cases.records)} cases",
        "patients": f"{len(evaluation.patients.patients)} patients",
        "lesions": f"{sum(len(case.references) for case in evaluation.detections)} lesions",
    }
    results.checklist = lesion_checklist(
        evaluation, left_out=cases.left_out, missing=cases.missing, resampling=resampling, software=_software()
    )


def _curves(evaluation: LesionEvaluation) -> list[Table]:
    """Operating points of the FROC curve and of the patients, where confidences are known."""
    tables = [] if evaluation.marks is None else [froc_table(froc_curve(evaluation.marks))]
    patients = evaluation.patients
    if patients.score is not None and 0 < patients.reference.sum() < patients.reference.size:
        tables.append(roc_table("patients", roc_curve(patients.score, patients.reference)))
    return tables


def _readers(run: _Run, paired: PairedCases, cases: EvaluatedCases, evaluation: LesionEvaluation) -> ReaderStudy:
    """Reader study on the cases that were evaluated."""
    assert run.job.readers is not None
    out = {left.case for left in cases.left_out}
    done = {case.facts.case for case in evaluation.detections}
    return evaluate_readers(
        [reading for reading in read_readings(run.job.readers) if reading.case not in out],
        pairs=[pair for pair in paired.pairs if pair.facts.case in done],
        detections=evaluation.detections,
        protocol=run.protocol,
        resampling=run.resampling,
    )


def _add_classes(results: _Results, run: _Run, cases: ClassifiedCases) -> None:
    """Evaluate classified cases."""
    resampling = run.resampling
    result = evaluate_classification(cases, rng=resampling.rng(), n_draws=resampling.n_draws, level=resampling.level)
    curves = [roc_table(one.label, one.roc) for one in result.per_class if one.roc is not None]
    results.metrics |= class_metrics(result)
    results.tables += [confusion_table(result), *curves]
    if curves:
        results.tables.append(decision_table(result))
    results.charts += draw_class_charts(result, run.folder / "figures")
    results.definitions |= class_definitions(resampling)
    results.missing += result.unpredicted
    results.facts |= {"classified": f"{result.n_cases} classified cases of {result.n_patients} patients"}
    if results.checklist is None:
        counts = dict(zip(result.classes, result.matrix.sum(axis=1).tolist(), strict=True))
        results.checklist = class_checklist(
            counts,
            n_patients=result.n_patients,
            missing=result.unpredicted,
            resampling=resampling,
            software=_software(),
        )


def _write(results: _Results, run: _Run) -> dict[str, Any]:
    """Write tables, ``metrics.json`` and the report."""
    protocol, folder = run.protocol, run.folder
    assert results.checklist is not None
    published = [fill_paper_table(paper, results.metrics) for paper in protocol.tables]
    results.tables.insert(0, metric_table(results.metrics))
    for table in (*published, *results.tables, results.checklist):
        write_csv(table, folder / "tables")
    document = {
        "software": _software(),
        "protocol": protocol.name,
        "definitions": results.definitions,
        "metrics": {name: metric.as_json() for name, metric in results.metrics.items()},
        "missing_predictions": list(results.missing),
        "left_out": {left.case: left.reason for left in results.left_out},
    }
    text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
    (folder / "metrics.json").write_text(text + "\n", encoding="utf-8")
    page = EvaluationPage(
        protocol=protocol,
        facts=results.facts,
        published=published,
        tables=[table for table in results.tables if table.name in (*_SHOWN, "confusion_matrix")],
        charts=results.charts,
        definitions=_in_words(results.definitions),
        missing=results.missing,
        left_out=results.left_out,
        checklist=results.checklist,
        software=_software(),
    )
    (folder / "report.html").write_text(render_evaluation(page), encoding="utf-8")
    return document


def _in_words(definitions: Mapping[str, Any]) -> dict[str, str]:
    """Definitions as lines of text."""
    return {
        name: "; ".join(f"{key}: {v}" for key, v in value.items()) if isinstance(value, dict) else str(value)
        for name, value in definitions.items()
    }


def _software() -> str:
    return f"osteomet {__version__}"
