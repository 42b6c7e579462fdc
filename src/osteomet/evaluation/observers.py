"""Agreement of annotation rounds, and of lesion volumes by hand and by model."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path
from typing import Any, Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import GeometryError, InputError
from osteomet.core.grid import Grid
from osteomet.io.csv_rows import check_unique, read_rows
from osteomet.stats.agreement import BlandAltman, bland_altman, icc
from osteomet.stats.bootstrap import bootstrap, ratio_statistic
from osteomet.stats.intervals import Estimate

Kind = Literal["inter-observer", "intra-observer"]
_ROUND = re.compile(r"(?P<observer>.+)\.(?P<round>[0-9]+)")


@dataclass(frozen=True, slots=True)
class RoundPair:
    """Two annotation rounds of one case.

    ``first`` and ``second`` name the rounds as observer and number, such as ``A1.2``: observer A1, second round.
    ``dice`` is None where both rounds are empty. Volumes are those of all lesions together, ml.
    """

    case: str
    patient: str
    first: str
    second: str
    dice: float | None
    first_ml: float
    second_ml: float


def compare_rounds(masks: Mapping[str, NDArray[Any]], grid: Grid, *, case: str, patient: str) -> tuple[RoundPair, ...]:
    """Compare every pair of annotation rounds of one case.

    Parameters
    ----------
    masks
        Label array of each round, shape ``grid.shape``; every non-zero voxel is lesion.
    grid
        Where the voxels lie, for the volumes.
    case, patient
        Whose annotation it is.

    Returns
    -------
    tuple of RoundPair
        In the order of the rounds. Dice is twice the common voxels over the sum of both; 0 where one round is empty,
        None where both are.

    Raises
    ------
    GeometryError
        If a mask does not fit the grid.

    Examples
    --------
    >>> one, two = np.zeros((2, 4, 3, 1), dtype=np.uint8)
    >>> one[:2], two[1:3] = 1, 1
    >>> grid = Grid.from_spacing((4, 3, 1), (10.0, 10.0, 10.0))
    >>> compare_rounds({"A1.1": one, "A2.1": two}, grid, case="c", patient="p")[0].dice
    0.5
    """
    lesion = {}
    for name, mask in masks.items():
        if mask.shape != grid.shape:
            raise GeometryError(
                f"round {name} of case “{case}” differs in shape from its grid",
                got=f"{mask.shape} against {grid.shape}",
            )
        lesion[name] = mask != 0
    n = {name: int(mask.sum()) for name, mask in lesion.items()}
    pairs = []
    for a, b in combinations(lesion, 2):
        total, common = n[a] + n[b], int(np.count_nonzero(lesion[a] & lesion[b]))
        volumes = n[a] * grid.voxel_volume_ml, n[b] * grid.voxel_volume_ml
        pairs.append(RoundPair(case, patient, a, b, 2 * common / total if total else None, *volumes))
    return tuple(pairs)


def read_rounds(path: Path) -> tuple[RoundPair, ...]:
    """Read pairs computed elsewhere.

    Parameters
    ----------
    path
        CSV with the columns ``case``, ``patient``, ``first``, ``second``, ``dice`` (empty where both rounds are),
        ``first_ml`` and ``second_ml``.

    Raises
    ------
    DatasetError
        If a column or a cell is missing, a Dice lies outside 0–1, a volume is negative, or a pair stands twice.
    """
    rows = read_rows(path, ("case", "patient", "first", "second", "dice", "first_ml", "second_ml"))
    check_unique(rows, ("case", "first", "second"), "the pair")
    pairs = []
    for row in rows:
        dice, volumes = row.optional_number("dice"), (row.number("first_ml"), row.number("second_ml"))
        if min(volumes) < 0 or not 0 <= (dice or 0.0) <= 1:
            raise row.error("a Dice lies in 0–1 and a volume is not negative", got=f"{dice}, {volumes} ml")
        case, patient, first, second = (row.text(column) for column in ("case", "patient", "first", "second"))
        pairs.append(RoundPair(case, patient, first, second, dice, *volumes))
    return tuple(pairs)


@dataclass(frozen=True, slots=True)
class VolumeAgreement:
    """Total lesion volume of the same cases measured twice, ml: Bland–Altman (second minus first) and ICC(2,1)."""

    mean_first_ml: float | None
    mean_second_ml: float | None
    bland_altman: BlandAltman
    icc: Estimate


def volume_agreement(first_ml: ArrayLike, second_ml: ArrayLike, *, level: float = 0.95) -> VolumeAgreement:
    """Compare total lesion volumes, by hand and by model or by two observers.

    Parameters
    ----------
    first_ml, second_ml
        Volumes of the same n cases, ml.
    level
        Confidence level.

    Notes
    -----
    The intraclass correlation is that of single measurements with offsets counted as disagreement, ICC(2,1): an
    observer who always draws a fifth more does not agree.
    """
    difference = bland_altman(first_ml, second_ml, level=level)
    table = np.stack([np.asarray(first_ml, dtype=np.float64), np.asarray(second_ml, dtype=np.float64)], axis=1)
    means = [float(m) for m in table.mean(axis=0)] if len(table) else [None, None]
    return VolumeAgreement(means[0], means[1], difference, icc(table, form="2,1", level=level))


@dataclass(frozen=True, slots=True)
class RoundAgreement:
    """Agreement of two annotation rounds over all cases.

    ``dice`` is the mean over the ``n_cases - n_both_empty`` cases where it is defined, its interval from resampled
    patients; ``dice_sd`` their standard deviation, None with fewer than two.
    """

    first: str
    second: str
    kind: Kind
    n_cases: int
    n_both_empty: int
    dice: Estimate
    dice_sd: float | None
    volume: VolumeAgreement


def round_agreement(
    pairs: Sequence[RoundPair], *, rng: np.random.Generator, n_draws: int = 2_000, level: float = 0.95
) -> tuple[RoundAgreement, ...]:
    """Summarise the agreement of each pair of rounds.

    Parameters
    ----------
    pairs
        Pairs of rounds of all cases.
    rng
        Source of the bootstrap draws.
    n_draws
        Number of draws.
    level
        Confidence level.

    Returns
    -------
    tuple of RoundAgreement
        In the order in which the pairs first stand. Rounds of one observer are intra-observer, of two inter-observer.

    Raises
    ------
    InputError
        If a round is not named OBSERVER.NUMBER, or a case stands twice in one pair of rounds.

    Notes
    -----
    The interval resamples patients (BCa); a mean over cases is taken, so a patient with two cases weighs double. In
    Liu et al. 2021 the second observer corrects the first one's annotation, so its inter-observer Dice is not that of
    independent readings.

    References
    ----------
    Liu et al. 2021, https://doi.org/10.3389/fonc.2021.773299.
    """
    groups: dict[tuple[str, str], list[RoundPair]] = {}
    for pair in pairs:
        group = groups.setdefault((pair.first, pair.second), [])
        if any(other.case == pair.case for other in group):
            raise InputError(f"case “{pair.case}” stands twice among {pair.first} against {pair.second}")
        group.append(pair)
    return tuple(_agreement(group, rng=rng, n_draws=n_draws, level=level) for group in groups.values())


def _agreement(group: Sequence[RoundPair], *, rng: np.random.Generator, n_draws: int, level: float) -> RoundAgreement:
    """Agreement of one pair of rounds."""
    first, second = group[0].first, group[0].second
    kind: Kind = "intra-observer" if _observer(first) == _observer(second) else "inter-observer"
    defined = [pair for pair in group if pair.dice is not None]
    values = np.array([pair.dice for pair in defined], dtype=np.float64)
    dice = Estimate(None, level=level)
    if defined:
        patients = np.unique([pair.patient for pair in defined], return_inverse=True)[1]
        sums = np.bincount(patients, weights=values), np.bincount(patients)
        statistic = ratio_statistic(sums[0][:, None], sums[1][:, None])
        dice = bootstrap(statistic, rng=rng, n_draws=n_draws, level=level).estimates()[0]
    return RoundAgreement(
        first,
        second,
        kind,
        len(group),
        len(group) - len(defined),
        dice,
        float(values.std(ddof=1)) if len(defined) > 1 else None,
        volume_agreement([pair.first_ml for pair in group], [pair.second_ml for pair in group], level=level),
    )


def check_round_name(name: str) -> str:
    """Return the name of a round; raise `InputError` unless it is OBSERVER.NUMBER."""
    _observer(name)
    return name


def _observer(name: str) -> str:
    """Observer of a round named OBSERVER.NUMBER."""
    match = _ROUND.fullmatch(name)
    if match is None:
        raise InputError("a round has no number", expected="OBSERVER.NUMBER, such as A1.2", got=repr(name))
    return match["observer"]
