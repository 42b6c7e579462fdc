"""The items of the CLAIM checklist that the data of an evaluation can answer; the rest is for the authors."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence

from osteomet.evaluation.metrics import LesionEvaluation, Resampling
from osteomet.evaluation.parts import CASE_GROUPS
from osteomet.evaluation.tables import Table
from osteomet.io.dataset import LeftOut

_COLUMNS = ("item", "topic", "answer")


def lesion_checklist(
    evaluation: LesionEvaluation,
    *,
    left_out: Sequence[LeftOut],
    missing: Sequence[str],
    resampling: Resampling,
    software: str,
    tables: Collection[str],
) -> Table:
    """Fill the items for an evaluation of label maps.

    Parameters
    ----------
    evaluation
        Results.
    left_out, missing
        Cases that were not evaluated, and cases without prediction.
    resampling
        How intervals were made.
    software
        Name and version of the program.
    tables
        Names of the tables that the evaluation has.

    References
    ----------
    Mongan, Moy, Kahn 2020, Checklist for Artificial Intelligence in Medical Imaging,
    https://doi.org/10.1148/ryai.2020200029: the list of 2020 with 42 items, whose numbers stand here.
    """
    cases = evaluation.detections
    n_lesions = sum(len(case.references) for case in cases)
    n_patients, n_positive = len(evaluation.patients.patients), int(evaluation.patients.reference.sum())
    missed = [r.instance.volume_ml for case in cases for r in case.references if not r.found]
    false = sum(not p.true for case in cases for p in case.predictions)
    flow = f"{len(cases)} cases evaluated, {len(missing)} of them without prediction and counted as empty"
    items = [
        ("13", "Missing data", f"{len(missing)} missing predictions counted as empty; empty cases by the definitions"),
        ("14", "Reference standard", "label maps given as reference; how they came about is for the authors to say"),
        ("18", "Variability of annotators", "observers.csv" if "observers" in tables else "no annotation rounds given"),
        ("19", "Sample size", f"{len(cases)} cases of {n_patients} patients, {n_lesions} lesions; how it was chosen is "
         "for the authors to say"),
        ("20, 21", "Partitions", _partitions(evaluation)),
        ("23", "Software of the evaluation", software),
        ("28", "Metrics of performance", "tables of this report; definitions are stated with them"),
        ("29", "Significance and uncertainty", f"{resampling.level:.0%} intervals, patients resampled "
         f"{resampling.n_draws} times (BCa), seed {resampling.seed}; binomial intervals for patients"),
        ("30", "Robustness", _robustness(evaluation, tables)),
        ("32", "External data", _column(evaluation, "centre") or "no column “centre” in the table of cases"),
        ("33", "Flow of cases", f"{flow}; {len(left_out)} left out, each with its reason in this report"),
        ("34", "Characteristics", f"{n_positive} of {n_patients} patients with metastases; "
         + ("demographics.csv" if "demographics" in tables else "no table of cases")),
        ("35", "Performance", "metrics.csv, of the cases given"),
        ("36", "Precision of estimates", "every metric has its interval, numerator and denominator in metrics.json"),
        ("37", "Failure analysis", _failures(missed, false)),
    ]  # fmt: skip
    return Table("claim_checklist", "CLAIM items that the data answer", _COLUMNS, tuple(items))


def class_checklist(
    classes: Mapping[str, int], *, n_patients: int, missing: Sequence[str], resampling: Resampling, software: str
) -> Table:
    """Fill the items for an evaluation of classified cases; ``classes`` counts the cases of each class."""
    counted = ", ".join(f"{name}: {n}" for name, n in classes.items())
    items = (
        ("13", "Missing data", f"{len(missing)} missing predictions counted as wrong"),
        ("14", "Reference standard", "classes given as reference; how they came about is for the authors to say"),
        ("19", "Sample size", f"{sum(classes.values())} cases of {n_patients} patients ({counted}); how it was chosen "
         "is for the authors to say"),
        ("23", "Software of the evaluation", software),
        ("28", "Metrics of performance", "tables of this report; definitions are stated with them"),
        ("29", "Significance and uncertainty", f"{resampling.level:.0%} intervals; F1 and macro means from "
         f"{resampling.n_draws} resamples of patients, seed {resampling.seed}"),
        ("33", "Flow of cases", f"{len(missing)} cases without prediction, counted as wrong"),
        ("35", "Performance", "metrics.csv, of the cases given"),
        ("36", "Precision of estimates", "every metric has its interval, numerator and denominator in metrics.json"),
        ("37", "Failure analysis", "confusion_matrix.csv"),
    )  # fmt: skip
    return Table("claim_checklist", "CLAIM items that the data answer", _COLUMNS, items)


def _partitions(evaluation: LesionEvaluation) -> str:
    """Cases by part, and that no patient is in two of them."""
    parts = _column(evaluation, "split")
    return f"{parts}; no patient is in two parts" if parts else "no column “split” in the table of cases"


def _robustness(evaluation: LesionEvaluation, tables: Collection[str]) -> str:
    """What the figures were broken down by."""
    columns = [column for column in CASE_GROUPS if _column(evaluation, column)]
    compared = "; group_comparisons.csv" if "group_comparisons" in tables else ""
    return f"by lesion volume, lesion count{''.join(f', {column}' for column in columns)}{compared}"


def _column(evaluation: LesionEvaluation, column: str) -> str:
    """Cases by their cell in a column, empty where no case has one."""
    counts = Counter(case.facts.columns.get(column, "") for case in evaluation.detections)
    if set(counts) <= {""}:
        return ""
    return ", ".join(f"{name or 'not stated'}: {n}" for name, n in sorted(counts.items()))


def _failures(missed_ml: Sequence[float], n_false: int) -> str:
    """Missed lesions by size and false positives in one sentence."""
    small = sum(v <= 0.5 for v in missed_ml)
    missed = f"{len(missed_ml)} lesions missed, {small} of them of at most 0.5 ml" if missed_ml else "no lesion missed"
    return f"{missed}; {n_false} false positives, by cause in false_positive_causes.csv"
