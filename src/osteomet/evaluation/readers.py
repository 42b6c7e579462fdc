"""Figures of each reader of a study, and their mean over readers, with intervals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Literal, get_args

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError, UsageError
from osteomet.evaluation.reader_tables import ReaderTable
from osteomet.stats.bootstrap import Statistic, bootstrap, jackknife_covariance, ratio_statistic, stack_statistics
from osteomet.stats.froc import jafroc_statistic
from osteomet.stats.intervals import Estimate, number
from osteomet.stats.mrmc import RandomFactors, reader_mean
from osteomet.stats.roc import auc_statistic

Figure = Literal["sensitivity", "ppv", "fp_per_series", "jafroc", "jafroc1", "auc"]
FIGURES: tuple[Figure, ...] = get_args(Figure)
_COUNTS: tuple[Figure, ...] = ("sensitivity", "ppv", "fp_per_series")


@dataclass(frozen=True, slots=True)
class ReaderFigures:
    """Figures of one reader under one condition.

    ``sensitivity`` counts lesions hit, ``ppv`` marks that hit, ``fp_per_series`` marks that miss, over series. The
    figures of merit need a likelihood of every mark, ``jafroc`` and ``auc`` also cases without lesion; they are
    undefined otherwise. ``auc`` takes the surest mark for the rating of a case.
    """

    reader: str
    condition: str
    n_cases: int
    n_lesions: int
    n_marks: int
    unread: tuple[str, ...]
    sensitivity: Estimate
    ppv: Estimate
    fp_per_series: Estimate
    jafroc: Estimate
    jafroc1: Estimate
    auc: Estimate


def reader_figures(
    table: ReaderTable, *, rng: np.random.Generator, n_draws: int = 2_000, level: float = 0.95
) -> ReaderFigures:
    """Figures of one reader with intervals from resampled patients (BCa).

    Parameters
    ----------
    table
        What the reader did.
    rng
        Source of the draws.
    n_draws
        Number of draws.
    level
        Confidence level.

    Notes
    -----
    All marks count, whatever their likelihood. Several marks on one lesion find it once; each is a mark that hits in
    the PPV.
    """
    names = FIGURES if table.scored else _COUNTS
    statistic = stack_statistics([figure_statistic(table, name) for name in names])
    drawn = bootstrap(statistic, rng=rng, n_draws=n_draws, level=level).estimates()
    figure = dict.fromkeys(FIGURES, Estimate(None, level=level)) | dict(zip(names, drawn, strict=True))
    top, bottom = (part.sum(axis=0) for part in _count_columns(table))
    for i, name in enumerate(_COUNTS):
        figure[name] = replace(figure[name], numerator=float(top[i]), denominator=float(bottom[i]))
    return ReaderFigures(
        table.reader,
        table.condition,
        n_cases=len(table.cases),
        n_lesions=int(bottom[0]),
        n_marks=int(bottom[1]),
        unread=table.unread,
        sensitivity=figure["sensitivity"],
        ppv=figure["ppv"],
        fp_per_series=figure["fp_per_series"],
        jafroc=figure["jafroc"],
        jafroc1=figure["jafroc1"],
        auc=figure["auc"],
    )


def figure_statistic(table: ReaderTable, figure: Figure) -> Statistic:
    """One figure of a reader as a statistic of weighted patients.

    Parameters
    ----------
    table
        What the reader did.
    figure
        ``sensitivity``, ``ppv``, ``fp_per_series``; ``jafroc`` (false positives of normal cases), ``jafroc1`` (of all
        cases, for studies without normal ones); ``auc`` of cases, rated by their surest mark.

    Raises
    ------
    InputError
        If a figure of merit is asked for and a mark has no likelihood.
    UsageError
        If there is no such figure.
    """
    if figure in _COUNTS:
        column = [_COUNTS.index(figure)]
        top, bottom = _count_columns(table)
        return ratio_statistic(top[:, column], bottom[:, column])
    marks = table.marks()
    if figure == "jafroc":
        return jafroc_statistic(marks)
    if figure == "jafroc1":
        return jafroc_statistic(marks, false_positives="all")
    if figure != "auc":
        raise UsageError("there is no such figure", expected=" or ".join(FIGURES), got=figure)
    return auc_statistic(case_ratings(table)[None], marks.n_lesions > 0, patient=marks.patient)


def case_ratings(table: ReaderTable) -> NDArray[np.float64]:
    """Likelihood of the surest mark on each case, −infinity on one without marks; shape (n_cases,)."""
    marks = table.marks()
    rating = np.full(len(table.cases), -np.inf)
    np.maximum.at(rating, marks.case, marks.confidence)
    return rating


def compute_figures(
    tables: Sequence[ReaderTable], figure: Figure
) -> tuple[NDArray[np.float64], NDArray[np.float64] | None]:
    """Figure of each reader and their covariance over patients (jackknife), the covariance None where it is undefined.

    Parameters
    ----------
    tables
        Readers on the same cases.
    figure
        As in `figure_statistic`.

    Returns
    -------
    tuple
        Figures, shape (r,), NaN where undefined; covariance, shape (r, r), or None where a figure is undefined, be it
        with one patient left out.

    Raises
    ------
    InputError
        If not all readers have the same cases.
    """
    if len({table.cases for table in tables}) != 1:
        raise InputError(
            "readers can be compared on the same cases only",
            got=", ".join(f"{table.reader}: {len(table.cases)} cases" for table in tables),
        )
    statistic = stack_statistics([figure_statistic(table, figure) for table in tables])
    figures = statistic.evaluate(np.ones((1, statistic.n_patients)))[0]
    covariance = jackknife_covariance(statistic)
    return figures, None if np.isnan(figures).any() or np.isnan(covariance).any() else covariance


def mean_of_readers(
    tables: Sequence[ReaderTable],
    figure: Figure,
    *,
    random: RandomFactors = "readers and cases",
    level: float = 0.95,
) -> Estimate:
    """Mean of one figure over readers.

    Parameters
    ----------
    tables
        The readers under one condition, on the same cases.
    figure
        As in `figure_statistic`.
    random
        What the interval shall generalise to (`osteomet.stats.mrmc.reader_mean`). ``readers`` is the plain t interval
        over readers.
    level
        Confidence level.

    Returns
    -------
    Estimate
        Undefined when the figure is for one of the readers; without interval for a single reader, or when the figure is
        undefined with one patient left out.
    """
    figures, covariance = compute_figures(tables, figure)
    if random == "readers":
        covariance = np.zeros((figures.size, figures.size))  # cases are fixed: only the readers vary
    if np.isnan(figures).any() or figures.size < 2 or covariance is None:
        return Estimate(number(float(figures.mean())), level=level)
    return reader_mean(figures, covariance, random=random, level=level)


def _count_columns(table: ReaderTable) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """What each patient adds to the numerators and denominators of sensitivity, PPV and false positives per series."""
    patient = table.patient_index
    sums = np.zeros((2, int(patient.max()) + 1, len(_COUNTS)))
    for index, case, reading in zip(patient, table.cases, table.readings, strict=True):
        found = len({lesion for hits in reading.hits for lesion in hits})
        n_marks, n_hitting = len(reading.hits), sum(1 for hits in reading.hits if hits)
        sums[0, index] += (found, n_hitting, n_marks - n_hitting)
        sums[1, index] += (case.n_lesions, n_marks, 1)
    return sums[0], sums[1]
