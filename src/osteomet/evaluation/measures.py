"""Named figures of a set of cases, ready for the patient bootstrap."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.io.dataset import CaseFacts
from osteomet.stats.bootstrap import BootstrapMethod, Statistic, bootstrap, ratio_statistic, stack_statistics
from osteomet.stats.intervals import Estimate


class OfCase(Protocol):
    """A record that knows its case."""

    @property
    def facts(self) -> CaseFacts:
        """Case and patient."""


@dataclass(frozen=True, slots=True, eq=False)
class Measures:
    """Figures by name, as a statistic of weighted patients.

    Parameters
    ----------
    names
        Name of each figure, no two alike.
    statistic
        Computes the figures, in the order of the names; patients in order of their names.
    numerators, denominators
        What each figure is the quotient of, None where it is no quotient of counts.

    Raises
    ------
    InputError
        If a name stands twice.
    """

    names: tuple[str, ...]
    statistic: Statistic
    numerators: tuple[float | None, ...]
    denominators: tuple[float | None, ...]

    def __post_init__(self) -> None:
        if len(set(self.names)) != len(self.names):
            raise InputError("a figure stands twice", got=", ".join(self.names))

    def renamed(self, rename: Callable[[str], str]) -> Measures:
        """Give the same figures other names."""
        return replace(self, names=tuple(rename(name) for name in self.names))

    def values(self) -> dict[str, float | None]:
        """Figures of all patients, None where undefined."""
        row = self.statistic.evaluate(np.ones((1, self.statistic.n_patients)))[0]
        return {name: None if np.isnan(v) else float(v) for name, v in zip(self.names, row, strict=True)}

    def estimates(
        self, *, rng: np.random.Generator, n_draws: int = 10_000, method: BootstrapMethod = "bca", level: float = 0.95
    ) -> dict[str, Estimate]:
        """Figures with bootstrap intervals over patients; see `osteomet.stats.bootstrap.bootstrap`."""
        result = bootstrap(self.statistic, rng=rng, n_draws=n_draws, method=method, level=level)
        return {
            name: replace(estimate, numerator=numerator, denominator=denominator)
            for name, estimate, numerator, denominator in zip(
                self.names, result.estimates(), self.numerators, self.denominators, strict=True
            )
        }


def join_measures(parts: Sequence[Measures]) -> Measures:
    """Put figures of the same patients side by side, so that one bootstrap serves all.

    Raises
    ------
    InputError
        If a name stands twice, or the parts are not about the same number of patients.
    """
    return Measures(
        tuple(name for part in parts for name in part.names),
        stack_statistics([part.statistic for part in parts]),
        tuple(n for part in parts for n in part.numerators),
        tuple(n for part in parts for n in part.denominators),
    )


def patient_numbers(cases: Sequence[OfCase]) -> NDArray[np.intp]:
    """Number of the patient of each case, from 0 in order of patient names.

    Raises
    ------
    InputError
        If there is no case.
    """
    if not cases:
        raise InputError("there is no case to evaluate")
    return np.unique([case.facts.patient for case in cases], return_inverse=True)[1]


def patient_sums(cases: Sequence[OfCase], rows: NDArray[np.float64]) -> NDArray[np.float64]:
    """Sum the rows of the cases of each patient: shape (n_cases, m) to (n_patients, m)."""
    patient = patient_numbers(cases)
    sums = np.zeros((int(patient.max()) + 1, rows.shape[1]))
    np.add.at(sums, patient, rows)
    return sums


def ratio_measures(
    cases: Sequence[OfCase], names: Sequence[str], numerators: NDArray[np.float64], denominators: NDArray[np.float64]
) -> Measures:
    """Quotients of sums over cases; NaN where the denominator sums to 0.

    Parameters
    ----------
    cases
        Records of the cases.
    names
        Names of the m figures.
    numerators, denominators
        What each case adds, shape (n_cases, m).
    """
    top, bottom = patient_sums(cases, numerators), patient_sums(cases, denominators)
    return Measures(
        tuple(names), ratio_statistic(top, bottom), tuple(top.sum(axis=0).tolist()), tuple(bottom.sum(axis=0).tolist())
    )


def mean_measures(cases: Sequence[OfCase], names: Sequence[str], values: NDArray[np.float64]) -> Measures:
    """Means over the cases for which a figure is defined.

    Parameters
    ----------
    cases
        Records of the cases.
    names
        Names of the m figures.
    values
        Figures of each case, shape (n_cases, m), NaN where undefined.

    Returns
    -------
    Measures
        The denominator is the number of cases that the mean is over; a mean of none is undefined.
    """
    defined = ~np.isnan(values)
    means = ratio_measures(cases, names, np.where(defined, values, 0.0), defined.astype(np.float64))
    return replace(means, numerators=(None,) * len(means.names))
