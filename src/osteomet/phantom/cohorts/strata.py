"""Shares of centres, parts and diagnoses that hold for the first N patients, whatever N."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Stratum:
    """A kind of patient: part of the study (train, validation, test, external), centre, and diagnosis or grade."""

    split: str
    centre: str
    group: str


def stratum_of(counts: Mapping[Stratum, float], number: int) -> Stratum:
    """Say which stratum patient ``number`` (from 0) of a study belongs to.

    Patients come in the order in which a parliament hands out seats: each next one joins the stratum that lies
    furthest behind its share. The first N patients therefore have the proportions of the whole study to within about
    one patient a stratum, and adding patients moves none.

    Parameters
    ----------
    counts
        Number of patients of each stratum in the study, in any unit, positive.
    number
        Position of the patient in the study.

    Examples
    --------
    >>> halves = {Stratum("train", "A", "yes"): 2, Stratum("train", "A", "no"): 1}
    >>> [stratum_of(halves, n).group for n in range(6)]
    ['yes', 'no', 'yes', 'yes', 'no', 'yes']
    """
    total = sum(counts.values())
    given = dict.fromkeys(counts, 0)
    chosen = next(iter(counts))
    for position in range(1, number + 2):
        chosen = max(counts, key=lambda s: counts[s] / total * position - given[s])
        given[chosen] += 1
    return chosen
