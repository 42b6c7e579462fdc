"""Who phantom patients are: sex, age, diagnosis and laboratory values drawn from what studies report."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from osteomet.phantom.skeleton.anatomy import Sex

SEXES: Mapping[str, Sex] = {"F": Sex.FEMALE, "M": Sex.MALE}
_QUARTILE_OF_NORMAL = 0.6745


@dataclass(frozen=True, slots=True)
class Patient:
    """One patient; None and empty where a study has no such column.

    ``primary_site`` is the organ that the metastases come from, ``grade`` how many signs of metastasis an exam shows,
    ``psa_ng_ml`` and ``free_psa_ng_ml`` are prostate-specific antigen in serum.
    """

    name: str
    sex: str
    age_years: int
    diagnosis: str
    primary_site: str = ""
    grade: str = ""
    psa_ng_ml: float | None = None
    free_psa_ng_ml: float | None = None


@dataclass(frozen=True, slots=True)
class Ages:
    """Mean, standard deviation and limits of the age, years."""

    mean: float
    spread: float
    low: float = 20.0
    high: float = 95.0

    def draw(self, rng: np.random.Generator) -> int:
        """Draw a whole number of years; ages beyond the limits are drawn again."""
        while True:
            age = float(rng.normal(self.mean, self.spread))
            if self.low <= age <= self.high:
                return round(age)


@dataclass(frozen=True, slots=True)
class Skewed:
    """A log-normal quantity with the given median and quartiles."""

    median: float
    first_quartile: float
    third_quartile: float

    def draw(self, rng: np.random.Generator) -> float:
        """Draw one value."""
        sigma = np.log(self.third_quartile / self.first_quartile) / (2 * _QUARTILE_OF_NORMAL)
        return float(self.median * np.exp(sigma * rng.normal()))


def draw_one(rng: np.random.Generator, counts: Mapping[str, float]) -> str:
    """Draw a word with odds in proportion to its count."""
    odds = np.array(list(counts.values()), dtype=np.float64)
    return str(rng.choice(list(counts), p=odds / odds.sum()))
