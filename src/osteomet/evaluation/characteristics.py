"""Characteristics of the patients of an evaluation: which columns of ``cases.csv`` they are, table and metrics."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from osteomet.evaluation.demographics import (
    CategoryRow,
    Demographics,
    NumberRow,
    PatientRecord,
    patient_of,
    read_records,
)
from osteomet.evaluation.matching import CaseDetections
from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.parts import count_group, series_lesions, slug
from osteomet.evaluation.patients import lesions_of_patients
from osteomet.evaluation.tables import Table, Value
from osteomet.io.csv_rows import Row, read_rows
from osteomet.stats.hypothesis import SignificanceTest
from osteomet.stats.intervals import Estimate

_NO_CHARACTERISTICS = ("case", "patient", "split", "sequence", "reference", "prediction")
_MOST_CATEGORIES = 12


def read_characteristics(path: Path) -> tuple[PatientRecord, ...]:
    """Read what ``cases.csv`` says about the patients.

    Parameters
    ----------
    path
        CSV with the column ``case``; ``patient`` and ``split`` where known (`read_records`).

    Returns
    -------
    tuple of PatientRecord
        Every patient once. Columns that do not change within a patient are characteristics: those whose filled cells
        are all numbers are numbers, others with at most 12 different values are categories.

    Raises
    ------
    DatasetError
        If a patient stands in two parts: what it was trained on must not be tested.
    """
    rows = read_rows(path, ["case"])
    columns = [
        c for c in (rows[0].cells if rows else ()) if c not in _NO_CHARACTERISTICS and not c.startswith("probability_")
    ]
    kept = [column for column in columns if _is_of_patients(rows, column)]
    numbers = [column for column in kept if all(map(_is_number, _filled(rows, column)))]
    words = [c for c in kept if c not in numbers and len(set(_filled(rows, c))) <= _MOST_CATEGORIES]
    return read_records(path, numbers=numbers, categories=words)


def add_lesions(records: Sequence[PatientRecord], detections: Sequence[CaseDetections]) -> tuple[PatientRecord, ...]:
    """Add what the reference shows of the evaluated patients.

    Returns
    -------
    tuple of PatientRecord
        With the categories ``metastases`` (yes or no) and ``lesions`` (the groups of `count_group`), and of those who
        have some the number ``lesion_volume_ml`` (of all lesions; of several sequences the largest).
    """
    counts = lesions_of_patients([series_lesions(case) for case in detections])
    volumes: dict[tuple[str, str], float] = {}
    for case in detections:
        key = case.facts.patient, case.facts.columns.get("sequence", "")
        volumes[key] = volumes.get(key, 0.0) + sum(x.instance.volume_ml for x in case.references)
    added = []
    for record in records:
        if not (n := counts.get(record.patient, 0)):
            known = {"metastases": "no", "lesions": count_group(0)} if record.patient in counts else {}
            added.append(replace(record, categories={**record.categories, **known}))
            continue
        volume = max(v for (patient, _), v in volumes.items() if patient == record.patient)
        words = {**record.categories, "metastases": "yes", "lesions": count_group(n)}
        added.append(replace(record, numbers={**record.numbers, "lesion_volume_ml": volume}, categories=words))
    return tuple(added)


def characteristics_table(found: Demographics) -> Table:
    """A row for each number (mean and standard deviation, then median and quartiles) and each category (patients)."""
    rows: list[tuple[Value, ...]] = [("patients", "n", *found.n_patients, None, None)]
    for number in found.numbers:
        tests = _p(number.development), _p(number.external)
        means = (None if p.mean is None else _mean_sd(p.mean, p.sd) for p in number.parts)
        medians = (
            None if p.median is None else f"{p.median:.4g} ({p.first_quartile:.4g}–{p.third_quartile:.4g})"
            for p in number.parts
        )
        rows += [(number.name, "mean ± SD", *means, *tests), (number.name, "median (quartiles)", *medians, *tests)]
    rows += [(row.name, row.value or "not stated", *row.counts, None, None) for row in found.categories]
    columns = ("characteristic", "value", *found.parts, "p_development", "p_external")
    note = "p: one-way analysis of variance; of the parts but the external one, and of those together against it."
    return Table("demographics", "Characteristics of the patients", columns, tuple(rows), note)


def characteristics_metrics(found: Demographics) -> dict[str, Metric]:
    """Metrics under ``demographics.``; the limits of a median are the quartiles."""
    parts = [slug(part) for part in found.parts]
    metrics = {
        f"demographics.patients.{part}": Metric(Estimate(float(n)), "patients")
        for part, n in zip(parts, found.n_patients, strict=True)
    }
    for number in found.numbers:
        metrics |= _number_metrics(number, parts)
    for row in found.categories:
        metrics |= _category_metrics(row, parts, found.n_patients)
    return metrics


def _number_metrics(number: NumberRow, parts: Sequence[str]) -> dict[str, Metric]:
    """Mean, median and tests of one number."""
    start, metrics = f"demographics.{slug(number.name)}", dict[str, Metric]()
    for part, p in zip(parts, number.parts, strict=True):
        metrics[f"{start}.mean.{part}"] = Metric(Estimate(p.mean, denominator=float(p.n)), sd=p.sd)
        quartiles = Estimate(p.median, p.first_quartile, p.third_quartile, denominator=float(p.n), method="quartiles")
        metrics[f"{start}.median.{part}"] = Metric(quartiles)
    for name, test in (("p_development", number.development), ("p_external", number.external)):
        metrics[f"{start}.{name}"] = Metric(Estimate(_p(test)))
    return metrics


def _category_metrics(row: CategoryRow, parts: Sequence[str], n_patients: Sequence[int]) -> dict[str, Metric]:
    """Share of the patients of each part that are of one category."""
    start = f"demographics.{slug(row.name)}.{slug(row.value) or 'not_stated'}"
    return {
        f"{start}.{part}": Metric(Estimate(n / total if total else None, numerator=float(n), denominator=float(total)))
        for part, n, total in zip(parts, row.counts, n_patients, strict=True)
    }


def _is_of_patients(rows: Sequence[Row], column: str) -> bool:
    """Whether a column has cells and says the same in all rows of a patient that fill it."""
    values: dict[str, set[str]] = {}
    for row in rows:
        if row.cells[column]:
            values.setdefault(patient_of(row), set()).add(row.cells[column])
    return bool(values) and all(len(v) == 1 for v in values.values())


def _filled(rows: Sequence[Row], column: str) -> list[str]:
    return [row.cells[column] for row in rows if row.cells[column]]


def _is_number(cell: str) -> bool:
    try:
        return abs(float(cell)) < float("inf")
    except ValueError:
        return False


def _mean_sd(mean: float, sd: float | None) -> str:
    return f"{mean:.4g}" if sd is None else f"{mean:.4g} ± {sd:.4g}"


def _p(test: SignificanceTest | None) -> float | None:
    return None if test is None else test.p_value
