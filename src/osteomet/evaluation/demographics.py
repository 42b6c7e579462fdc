"""Who the patients are: their characteristics in each part of a study, with one-way analyses of variance."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.io.csv_rows import Row, read_rows
from osteomet.stats.hypothesis import SignificanceTest, one_way_anova

EXTERNAL = "external"
WHOLE = "all"
NOT_STATED = "not stated"
"""Parts of the patients of a table that has no column ``split``, and of those whose cell is empty."""


@dataclass(frozen=True, slots=True)
class PatientRecord:
    """Characteristics of one patient; a number or category that is not known is left out of the mappings."""

    patient: str
    part: str
    numbers: Mapping[str, float]
    categories: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class NumberSummary:
    """A number in one part: how many have it, mean, sample SD, median and quartiles; None where undefined."""

    n: int
    n_missing: int
    mean: float | None
    sd: float | None
    median: float | None
    first_quartile: float | None
    third_quartile: float | None


@dataclass(frozen=True, slots=True)
class NumberRow:
    """A number in all parts.

    ``development`` compares the parts used to build and test the model, ``external`` those together with the external
    set; None where there is nothing to compare.
    """

    name: str
    parts: tuple[NumberSummary, ...]
    development: SignificanceTest | None
    external: SignificanceTest | None


@dataclass(frozen=True, slots=True)
class CategoryRow:
    """Number of patients of one category in each part; ``value`` is empty for those of whom it is not known."""

    name: str
    value: str
    counts: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Demographics:
    """Table of characteristics: one column a part, in the order of the data, the external one last."""

    parts: tuple[str, ...]
    n_patients: tuple[int, ...]
    numbers: tuple[NumberRow, ...]
    categories: tuple[CategoryRow, ...]


def read_records(
    path: Path, *, numbers: Sequence[str] = (), categories: Sequence[str] = ()
) -> tuple[PatientRecord, ...]:
    """Read characteristics from ``cases.csv``.

    Parameters
    ----------
    path
        CSV with the columns asked for, one row a case or a patient; ``patient``, without which a case is a patient; and
        ``split``, which names the part.
    numbers, categories
        Columns that hold numbers (age, PSA) and words (sex, scanner, centre). Empty cells are missing values.

    Raises
    ------
    DatasetError
        If a column is missing, a number is none, a patient stands in two parts, or two rows of one patient
        disagree; what one row leaves empty another may give.
    """
    records: dict[str, PatientRecord] = {}
    for row in read_rows(path, (*numbers, *categories)):
        record = PatientRecord(
            patient_of(row),
            row.cells.get("split", WHOLE) or NOT_STATED,
            {name: row.number(name) for name in numbers if row.cells.get(name)},
            {name: row.text(name) for name in categories if row.cells.get(name)},
        )
        known = records.setdefault(record.patient, record)
        _check_agrees(row, known, record)
        records[record.patient] = replace(
            record, numbers={**known.numbers, **record.numbers}, categories={**known.categories, **record.categories}
        )
    return tuple(records.values())


def demographics(records: Sequence[PatientRecord]) -> Demographics:
    """Describe the patients of each part.

    Parameters
    ----------
    records
        Every patient once. A part called ``external`` is compared with all others together.

    Returns
    -------
    Demographics
        Without any patient, an empty table. An analysis of variance needs a value in each of two parts.

    Raises
    ------
    InputError
        If a patient stands twice.

    Notes
    -----
    Numbers are compared by one-way analysis of variance, as Liu et al. 2021 do for age and PSA. PSA is skewed; read the
    quartiles beside its p value. Quartiles interpolate linearly.

    References
    ----------
    Liu et al. 2021, https://doi.org/10.3389/fonc.2021.773299.
    """
    names = [record.patient for record in records]
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise InputError("a patient stands twice in the demographics", got=", ".join(twice[:5]))
    parts = tuple(sorted(dict.fromkeys(record.part for record in records), key=lambda part: part == EXTERNAL))
    groups = [[record for record in records if record.part == part] for part in parts]
    number_names = dict.fromkeys(name for record in records for name in record.numbers)
    category_names = dict.fromkeys(name for record in records for name in record.categories)
    return Demographics(
        parts,
        tuple(len(group) for group in groups),
        tuple(_number_row(name, parts, groups) for name in number_names),
        tuple(row for name in category_names for row in _category_rows(name, groups)),
    )


def patient_of(row: Row) -> str:
    """Patient of a row; a case of which no patient is named is one by itself."""
    return row.cells.get("patient") or row.text("case")


def _check_agrees(row: Row, known: PatientRecord, record: PatientRecord) -> None:
    """Two rows of one patient must say the same."""
    if known.part != record.part:
        raise row.error(
            f"patient “{record.patient}” stands in two parts",
            got=f"{known.part} and {record.part}",
            remedy="split by patient, so that no patient is in training and test",
        )
    before, now = ({**r.numbers, **r.categories} for r in (known, record))
    for name in before.keys() & now.keys():
        if before[name] != now[name]:
            raise row.error(
                f"two rows of patient “{record.patient}” disagree about “{name}”",
                got=f"{before[name]} and {now[name]}",
                remedy="give each row of a patient the value at the first exam",
            )


def _number_row(name: str, parts: Sequence[str], groups: Sequence[Sequence[PatientRecord]]) -> NumberRow:
    """Summaries and comparisons of one number."""
    values = [np.array([r.numbers[name] for r in group if name in r.numbers]) for group in groups]
    summaries = tuple(_summary(v, len(group)) for v, group in zip(values, groups, strict=True))
    inner = [v for part, v in zip(parts, values, strict=True) if part != EXTERNAL]
    outer = [v for part, v in zip(parts, values, strict=True) if part == EXTERNAL]
    return NumberRow(
        name, summaries, _anova(inner), _anova([np.concatenate(inner), *outer]) if inner and outer else None
    )


def _anova(groups: Sequence[NDArray[np.float64]]) -> SignificanceTest | None:
    """Analysis of variance, or None where fewer than two groups have values or one has none."""
    return one_way_anova(*groups) if len(groups) > 1 and all(g.size for g in groups) else None


def _summary(values: NDArray[np.float64], n_patients: int) -> NumberSummary:
    """Summary of the known values."""
    n = values.size
    if n == 0:
        return NumberSummary(0, n_patients, None, None, None, None, None)
    low, middle, high = (float(q) for q in np.quantile(values, [0.25, 0.5, 0.75]))
    sd = float(values.std(ddof=1)) if n > 1 else None
    return NumberSummary(n, n_patients - n, float(values.mean()), sd, middle, low, high)


def _category_rows(name: str, groups: Sequence[Sequence[PatientRecord]]) -> list[CategoryRow]:
    """Counts of each value, in alphabetical order, the unknown last and only where there are some."""
    given = [[record.categories.get(name, "") for record in group] for group in groups]
    values = sorted({value for group in given for value in group}, key=lambda value: (not value, value))
    return [CategoryRow(name, value, tuple(group.count(value) for group in given)) for value in values]
