"""References and predictions in; metrics, tables, figures, a report and a checklist out, whole or not at all."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osteomet.core.errors import UsageError
from osteomet.evaluation.cases import CaseSettings
from osteomet.evaluation.classified_cases import read_classified
from osteomet.evaluation.matching import RULES
from osteomet.evaluation.metrics import Resampling
from osteomet.evaluation.paper_tables import Ours
from osteomet.evaluation.protocols import PROTOCOLS, Protocol
from osteomet.evaluation.tables import fill_paper_table, metric_table, write_csv
from osteomet.io.dataset import PairedCases, case_table, pair_cases
from osteomet.io.output import output_folder
from osteomet.pipeline.evaluation_steps import (
    Results,
    Run,
    add_characteristics,
    add_checklist,
    add_classes,
    add_comparison,
    add_lesion_results,
    add_observers,
    add_readers,
    evaluate_maps,
    software,
)
from osteomet.report.evaluation_page import EvaluationPage, render_evaluation

_SHOWN = (
    *("metrics", "patient_figures", "demographics", "cases", "false_positive_causes", "confusion_matrix"),
    *("sequence_comparisons", "group_comparisons", "model_comparisons", "classifier_comparisons"),
    *("observers", "readers", "reader_comparisons"),
)


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
        Classified cases for the protocols that need them (`read_classified`), otherwise the table of the cases. A study
        of both, `wangh2024`, can do with label maps alone.
    readers
        Marks of readers.
    continue_on_error
        Leave out cases that cannot be used, with the reason, instead of stopping.
    overwrite
        Whether an output folder that osteomet wrote may be replaced.
    against
        Second predictions of the same cases to compare with: a folder of label maps, or for a protocol that reads a
        table of classified cases another such table.
    observers
        Annotation rounds: a folder with one folder a round, or a table of pairs.
    matching
        Name of the rule of `RULES` that decides when a lesion is found; None for that of the protocol.
    beta
        How many times recall weighs as much as precision in F-beta; None for that of the protocol.
    tolerance_mm
        Distance up to which a surface counts as well placed in NSD, mm.
    notice
        What every reader of the report must know first, such as that the images are simulated.
    """

    reference: Path | None
    prediction: Path | None
    out: Path
    protocol: str = "default"
    table: Path | None = None
    readers: Path | None = None
    continue_on_error: bool = False
    overwrite: bool = False
    against: Path | None = None
    observers: Path | None = None
    matching: str | None = None
    beta: float | None = None
    tolerance_mm: float = 2.0
    notice: str = ""


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
    settings = CaseSettings(tolerance_mm=job.tolerance_mm, by_label=protocol.by_label)
    with output_folder(job.out, overwrite=job.overwrite) as folder:
        for name in ("tables", "figures"):
            (folder / name).mkdir()
        run = Run(protocol, settings, resampling or Resampling(), folder, progress, job.continue_on_error)
        results = Results()
        if job.reference is not None and job.prediction is not None:
            _evaluate_maps(results, run, job, job.reference, job.prediction)
        if protocol.classes and job.table is not None:
            second = job.against if job.against is not None and not job.against.is_dir() else None
            against = None if second is None else read_classified(second, protocol.classes)
            add_classes(results, run, read_classified(job.table, protocol.classes), against)
        return _write(results, run, job.notice)


def _evaluate_maps(results: Results, run: Run, job: EvaluationJob, reference: Path, prediction: Path) -> None:
    """Everything about label maps."""
    table = None if run.protocol.classes else job.table
    first = evaluate_maps(run, _pair(job, reference, prediction, table))
    add_lesion_results(results, run, first)
    patients_table = case_table(reference, table)
    if patients_table is not None:
        add_characteristics(results, first, patients_table)
    if job.against is not None and (job.against.is_dir() or not run.protocol.classes):
        add_comparison(results, run, first, evaluate_maps(run, _pair(job, reference, job.against, table)))
    if job.observers is not None:
        patients = {pair.facts.case: pair.facts.patient for pair in first.paired.pairs}
        add_observers(results, run, job.observers, patients)
    if job.readers is not None:
        add_readers(results, run, first, job.readers)
    add_checklist(results, run, first)


def _pair(job: EvaluationJob, reference: Path, prediction: Path, table: Path | None) -> PairedCases:
    return pair_cases(reference, prediction, table=table, continue_on_error=job.continue_on_error)


def _protocol(job: EvaluationJob) -> Protocol:
    """Protocol of a job with what the job changes in it, once what it needs is there."""
    if job.protocol not in PROTOCOLS:
        raise UsageError("no such protocol", expected=", ".join(PROTOCOLS), got=job.protocol)
    protocol = PROTOCOLS[job.protocol]
    if (job.reference is None) != (job.prediction is None):
        raise UsageError("reference and prediction go together", remedy="pass both --reference and --prediction")
    needs_maps = job.readers is not None or job.observers is not None or not protocol.classes
    if job.reference is None and needs_maps:
        raise UsageError("there is nothing to evaluate", remedy="pass --reference and --prediction")
    if protocol.classes and job.table is None and (job.reference is None or not _has_maps(protocol)):
        raise UsageError(
            f"the protocol {protocol.name} evaluates classified cases",
            expected="--table CSV with the columns case, patient, reference, prediction",
        )
    if job.matching is not None and job.matching not in RULES:
        raise UsageError("no such matching rule", expected=", ".join(RULES), got=job.matching)
    if job.beta is not None and not 0 < job.beta < float("inf"):
        raise UsageError("β of F-beta is a positive number", got=f"{job.beta:g}")
    return replace(
        protocol,
        rule=protocol.rule if job.matching is None else RULES[job.matching],
        beta=protocol.beta if job.beta is None else job.beta,
        decisions=protocol.decisions if job.matching is None else (*protocol.decisions, _other_rule(job.matching)),
    )


def _has_maps(protocol: Protocol) -> bool:
    """Whether a study of classified cases has a table of segmentation, too."""
    cells = (cell for table in protocol.tables for row in table.rows for cell in row)
    return any(isinstance(cell, Ours) and cell.metric.startswith("lesion.") for cell in cells)


def _other_rule(matching: str) -> str:
    return f"Not the rule of the protocol but “{matching}” decides here when a lesion is found."


def _write(results: Results, run: Run, notice: str) -> dict[str, Any]:
    """Write tables, ``metrics.json`` and the report."""
    protocol, folder = run.protocol, run.folder
    assert results.checklist is not None
    published = [fill_paper_table(paper, results.metrics) for paper in protocol.tables]
    results.tables.insert(0, metric_table(results.metrics))
    for table in (*published, *results.tables, results.checklist):
        write_csv(table, folder / "tables")
    document = {
        "software": software(),
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
        tables=[table for table in results.tables if table.name in _SHOWN],
        charts=results.charts,
        definitions=_in_words(results.definitions),
        missing=results.missing,
        left_out=results.left_out,
        checklist=results.checklist,
        software=software(),
        notice=notice,
    )
    (folder / "report.html").write_text(render_evaluation(page), encoding="utf-8")
    return document


def _in_words(definitions: Mapping[str, Any]) -> dict[str, str]:
    """Definitions as lines of text."""
    return {
        name: "; ".join(f"{key}: {v}" for key, v in value.items()) if isinstance(value, dict) else str(value)
        for name, value in definitions.items()
    }
