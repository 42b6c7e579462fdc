"""Comparisons of a reader study: a model against readers, aided against unaided reading."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from osteomet.core.errors import InputError
from osteomet.evaluation.reader_tables import ReaderTable
from osteomet.evaluation.readers import Figure, compute_figures, figure_statistic, mean_of_readers
from osteomet.stats.bootstrap import bootstrap, difference_statistic, stack_statistics
from osteomet.stats.hypothesis import SignificanceTest
from osteomet.stats.intervals import Estimate, number
from osteomet.stats.mrmc import Mrmc, RandomFactors, model_against_readers, obuchowski_rockette


@dataclass(frozen=True, slots=True)
class ModelComparison:
    """A model against the mean of readers; ``difference`` is model minus mean."""

    figure: Figure
    model: float | None
    readers: Estimate
    difference: Estimate
    test: SignificanceTest


def compare_model(
    model: ReaderTable,
    readers: Sequence[ReaderTable],
    figure: Figure,
    *,
    random: RandomFactors = "readers and cases",
    level: float = 0.95,
) -> ModelComparison:
    """Compare a model with the mean of readers on the same cases.

    Parameters
    ----------
    model
        Matched predictions of the model.
    readers
        The readers under one condition, at least two.
    figure
        As in `figure_statistic`.
    random
        What the conclusion shall generalise to.
    level
        Confidence level.

    Returns
    -------
    ModelComparison
        Undefined, with a note, where the figure is for the model or a reader.

    Raises
    ------
    InputError
        If there are fewer than two readers, or not all have the same cases.
    """
    figures, covariance = compute_figures([model, *readers], figure)
    mean = mean_of_readers(readers, figure, random=random, level=level)
    if covariance is None:
        change = Estimate(number(float(figures[0] - figures[1:].mean())), level=level)
        test = SignificanceTest("Obuchowski-Rockette t", None, None, len(readers), "the figure is undefined for some")
        return ModelComparison(figure, number(float(figures[0])), mean, change, test)
    change, test = model_against_readers(float(figures[0]), figures[1:], covariance, random=random, level=level)
    return ModelComparison(figure, float(figures[0]), mean, change, test)


@dataclass(frozen=True, slots=True)
class ReaderChange:
    """Figure of one reader under the second condition minus that under the first; p from the patient bootstrap."""

    reader: str
    first: Estimate
    second: Estimate
    difference: Estimate
    p_value: float | None


@dataclass(frozen=True, slots=True)
class ConditionComparison:
    """Two conditions of reading; ``mrmc`` is None for a single reader or where the figure is undefined."""

    figure: Figure
    first: str
    second: str
    readers: tuple[ReaderChange, ...]
    mrmc: Mrmc | None


def compare_conditions(
    tables: Sequence[ReaderTable],
    conditions: tuple[str, str],
    figure: Figure,
    *,
    rng: np.random.Generator,
    random: RandomFactors = "readers and cases",
    level: float = 0.95,
) -> ConditionComparison:
    """Compare two conditions, for example unaided and aided reading, over the readers that read under both.

    Parameters
    ----------
    tables
        Readers under both conditions; others are left out.
    conditions
        First and second condition; differences are second minus first.
    figure
        As in `figure_statistic`.
    rng
        Source of the bootstrap draws for single readers.
    random
        What the conclusion shall generalise to (`osteomet.stats.mrmc.obuchowski_rockette`).
    level
        Confidence level.

    Raises
    ------
    InputError
        If no reader read under both conditions, or not all read the same cases.
    """
    by_condition: list[Mapping[str, ReaderTable]] = [
        {table.reader: table for table in tables if table.condition == condition} for condition in conditions
    ]
    readers = [reader for reader in by_condition[0] if reader in by_condition[1]]
    if not readers:
        raise InputError("no reader read under both conditions", got=" and ".join(conditions))
    pairs = [(by_condition[0][reader], by_condition[1][reader]) for reader in readers]
    ordered = [pair[side] for side in (0, 1) for pair in pairs]
    figures, covariance = compute_figures(ordered, figure)
    mrmc = None
    if covariance is not None and len(readers) > 1:
        mrmc = obuchowski_rockette(figures.reshape(2, -1), covariance, random=random, level=level)
    changes = tuple(_change(pair, figure, rng=rng, level=level) for pair in pairs)
    return ConditionComparison(figure, *conditions, changes, mrmc)


def _change(
    pair: tuple[ReaderTable, ReaderTable], figure: Figure, *, rng: np.random.Generator, level: float
) -> ReaderChange:
    """Paired bootstrap of one reader under two conditions."""
    both = [figure_statistic(table, figure) for table in pair]
    drawn = bootstrap(stack_statistics([*both, difference_statistic(*both)]), rng=rng, n_draws=2_000, level=level)
    first, second, difference = drawn.estimates()
    return ReaderChange(pair[0].reader, first, second, difference, number(float(drawn.p_value[2])))
