"""Names for all visible vertebrae at once, and how sure they are.

A single vertebra looks much like its neighbours, so names are given to the column as a whole: a hidden Markov model
over the order of levels weighs the region that each vertebra looks like, whether ribs touch it, the distances between
neighbours (a level that was not found leaves a gap in the names), the sacrum below the last one, and the known variants
in the number of thoracic and lumbar vertebrae.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import InputError
from osteomet.core.findings import Abstention
from osteomet.core.vocabulary import CERVICAL

CERTAIN = 0.8
"""Names are given without reserve when each has at least this probability."""

# Height of body and disc below, mm: adult means (Panjabi 1991, 1992), extended to C2 and the variants. C1 has no body.
# fmt: off
_PITCH_MM = {
    "C2": 18.0, "C3": 16.1, "C4": 15.9, "C5": 15.9, "C6": 15.4, "C7": 17.3, "T1": 18.1, "T2": 19.1, "T3": 19.2,
    "T4": 19.7, "T5": 19.7, "T6": 21.4, "T7": 22.2, "T8": 23.2, "T9": 23.8, "T10": 25.2, "T11": 27.3, "T12": 29.7,
    "T13": 30.5, "L1": 31.8, "L2": 33.3, "L3": 33.8, "L4": 35.1, "L5": 33.0, "L6": 33.0,
}
# fmt: on
_SACRUM_GAP_MM = 6.0
"""From the level of the last disc to the nearest voxel of the sacrum, beyond half the pitch of the last vertebra."""
_N_THORACIC = {11: 0.02, 12: 0.96, 13: 0.02}
_N_LUMBAR = {4: 0.03, 5: 0.94, 6: 0.03}
_SCALES = np.linspace(0.7, 1.3, 13)
_SCALE_DEVIATION = 0.1
_SPACING_DEVIATION = 0.12
_SACRUM_DEVIATION = 0.3
_FREAK_DISTANCE = 0.005
_NOT_FOUND = 0.03
_WRONG_REGION = 0.25
_WRONG_REGION_AT_JUNCTION = 0.35
# Probability that ribs are seen to touch a vertebra on no, one or both sides, by region.
_RIBS = {"C": (0.75, 0.15, 0.10), "T": (0.05, 0.15, 0.80), "L": (0.65, 0.20, 0.15)}
_JUNCTION = frozenset({"C7", "T1", "T11", "T12", "T13", "L1"})
_IMPOSSIBLE = -1e6
_REGIONS = "CTL"
MOST_VERTEBRAE = len(CERVICAL) - 1 + max(_N_THORACIC) + max(_N_LUMBAR)
"""More than this no column has, C2 to the last lumbar vertebra."""


@dataclass(frozen=True, slots=True, eq=False)
class Column:
    """What is known of the visible vertebrae, head to foot.

    Parameters
    ----------
    votes
        Share of the voxels of each vertebra that look cervical, thoracic, lumbar; shape (n, 3), rows sum to 1.
    spacing_mm
        Distance from each centre to the next along the column; shape (n − 1,).
    sacrum_mm
        Distance from the last centre to the nearest voxel of the sacrum, None where no sacrum is seen.
    rib_sides
        On how many sides a rib touches each vertebra, 0–2, shape (n,); None where ribs cannot be told.
    """

    votes: NDArray[np.float64]
    spacing_mm: NDArray[np.float64]
    sacrum_mm: float | None
    rib_sides: NDArray[np.int64] | None


@dataclass(frozen=True, slots=True)
class Numbering:
    """Names head to foot, each with its probability, and an abstention where one of them is not certain."""

    names: tuple[str, ...]
    confidences: tuple[float, ...]
    abstention: Abstention | None


def number_vertebrae(column: Column) -> Numbering:
    """Name the vertebrae of a column.

    Returns
    -------
    Numbering
        The most probable sequence; names are distinct and in anatomical order. ``confidences`` are the posterior
        probabilities of each name. Empty for an empty column.

    Raises
    ------
    InputError
        If there are more vertebrae than any column has.

    Notes
    -----
    Nine anatomies (11–13 thoracic by 4–6 lumbar vertebrae) and thirteen statures are weighed together. Within each, the
    hidden state is the level, from C2 on, as C1 has no body. ``log P`` of a step over ``m`` levels not found is that of
    the distance, log-normal about the sum of the mean pitches with a floor for freak distances (fracture, listhesis, a
    body cut by the field of view), plus ``m log 0.03``. A vertebra that looks like another region costs ``log`` of how
    often a network errs so, which is taken to be often, and more often at the junctions, since its errors on
    neighbours go together; ribs are a second witness for the thorax. Variants have priors of a few per cent, so one
    contrary vote does not make a sixth lumbar vertebra, but a count that fits nothing else does. Without sacrum or
    junction in view little tells the levels apart: names are then a best guess with low probability.

    References
    ----------
    Sekuboyina A. et al. VerSe: a vertebrae labelling and segmentation benchmark (variants T13, L6, missing T12).
    https://doi.org/10.1016/j.media.2021.102166

    Examples
    --------
    >>> lumbar = Column(np.tile([0.0, 0.0, 1.0], (5, 1)), np.array([32.6, 33.6, 34.4, 34.0]), 22.0, None)
    >>> number_vertebrae(lumbar).names
    ('L1', 'L2', 'L3', 'L4', 'L5')
    """
    n = len(column.votes)
    if n == 0:
        return Numbering((), (), None)
    if n > MOST_VERTEBRAE:
        raise InputError("more vertebrae were found than a column has", expected=f"≤ {MOST_VERTEBRAE}", got=str(n))
    counts = product(_N_THORACIC.items(), _N_LUMBAR.items())
    anatomies = [_Anatomy(n_t, n_l, p_t * p_l) for (n_t, p_t), (n_l, p_l) in counts]
    anatomies = [anatomy for anatomy in anatomies if len(anatomy.names) >= n]
    solutions = [anatomy.solve(column) for anatomy in anatomies]
    evidence = _log_sum(np.array([solution.log_evidence for solution in solutions]), axis=0)
    marginals: list[dict[str, float]] = [{} for _ in range(n)]
    for anatomy, solution in zip(anatomies, solutions, strict=True):
        for row, posterior in zip(marginals, np.exp(solution.log_posterior - evidence), strict=True):
            for name, probability in zip(anatomy.names, posterior, strict=True):
                row[name] = row.get(name, 0.0) + float(probability)
    best = max(range(len(solutions)), key=lambda index: solutions[index].log_best)
    names = tuple(anatomies[best].names[state] for state in solutions[best].best)
    confidences = tuple(min(1.0, row[name]) for row, name in zip(marginals, names, strict=True))
    return Numbering(names, confidences, _abstention(names, marginals, column))


def _abstention(names: Sequence[str], marginals: Sequence[dict[str, float]], column: Column) -> Abstention | None:
    """Say which name is least certain and what else it could be."""
    least = min(range(len(names)), key=lambda index: marginals[index][names[index]])
    row, name = marginals[least], names[least]
    if row[name] >= CERTAIN:
        return None
    others = sorted((other for other in row if other != name and row[other] >= 0.05), key=lambda o: -row[o])
    missing = "no sacrum is seen" if column.sacrum_mm is None else "what is seen does not agree with the usual count"
    return Abstention(
        code="numbering_uncertain",
        reason=f"vertebra names are a best guess and could be off by one level or more: {missing}; "
        f"{name} has probability {row[name]:.2f} and could be {' or '.join(others[:3]) or 'another level'}",
    )


@dataclass(frozen=True, slots=True, eq=False)
class _Solution:
    """Sums over all sequences within one anatomy, and its best sequence."""

    log_evidence: float
    log_posterior: NDArray[np.float64]  # (n, states), not normalised: sums to the evidence
    log_best: float
    best: list[int]


class _Anatomy:
    """One possible column: its levels head to foot, and its prior probability."""

    def __init__(self, n_thoracic: int, n_lumbar: int, prior: float) -> None:
        thoracic = tuple(f"T{n}" for n in range(1, n_thoracic + 1))
        self.names = (*CERVICAL[1:], *thoracic, *(f"L{n}" for n in range(1, n_lumbar + 1)))
        self._log_prior = float(np.log(prior))
        pitch = np.array([_PITCH_MM[name] for name in self.names])
        self._centre_mm = np.cumsum(pitch) - pitch / 2
        self._sacrum_mm = float(pitch.sum()) + _SACRUM_GAP_MM

    def solve(self, column: Column) -> _Solution:
        """Forward-backward and Viterbi over the levels, for all statures at once; arrays are (statures, states)."""
        emission = self._log_emission(column)
        steps = [self._log_step(d) for d in column.spacing_mm]
        stature = -0.5 * ((_SCALES - 1) / _SCALE_DEVIATION) ** 2
        stature -= _log_sum(stature, axis=0)
        start = self._log_prior + stature[:, None] - np.log(len(self.names)) + emission[0]
        forward, best, came_from = [start], start, []
        for step, log_seen in zip(steps, emission[1:], strict=True):
            forward.append(_log_sum(forward[-1][:, :, None] + step, axis=1) + log_seen)
            paths = best[:, :, None] + step
            came_from.append(paths.argmax(axis=1))
            best = paths.max(axis=1) + log_seen
        end = self._log_end(column.sacrum_mm)
        backward = [end]
        for step, log_seen in zip(reversed(steps), emission[:0:-1], strict=True):
            backward.append(_log_sum(step + (log_seen + backward[-1])[:, None, :], axis=2))
        log_posterior = np.array([_log_sum(f + b, axis=0) for f, b in zip(forward, reversed(backward), strict=True)])
        finals = best + end
        scale, state = (int(i) for i in np.unravel_index(finals.argmax(), finals.shape))
        sequence = [state]
        for pointers in reversed(came_from):
            sequence.append(int(pointers[scale, sequence[-1]]))
        return _Solution(float(_log_sum(log_posterior[-1], axis=0)), log_posterior, float(finals.max()), sequence[::-1])

    def _log_emission(self, column: Column) -> NDArray[np.float64]:
        """Log probability of what each vertebra looks like, given each level; shape (n, states)."""
        region = np.array([_REGIONS.index(name[0]) for name in self.names])
        wrong = np.array([_WRONG_REGION_AT_JUNCTION if n in _JUNCTION else _WRONG_REGION for n in self.names])
        log_seen = np.log((1 - wrong) * column.votes[:, region] + wrong / 3)
        if column.rib_sides is not None:
            log_seen += np.log([_RIBS[name[0]] for name in self.names]).T[column.rib_sides]
        return np.asarray(log_seen)

    def _log_step(self, distance_mm: float) -> NDArray[np.float64]:
        """Log probability of going from one level to another over this distance; (statures, states, states)."""
        expected = self._centre_mm[None, :] - self._centre_mm[:, None]
        n_states = len(self.names)
        n_skipped = np.arange(n_states)[None, :] - np.arange(n_states)[:, None] - 1
        scaled = _SCALES[:, None, None] * np.where(n_skipped >= 0, expected, 1.0)
        log_step = _log_distance(distance_mm, scaled, _SPACING_DEVIATION) + n_skipped * np.log(_NOT_FOUND)
        return np.where(n_skipped >= 0, log_step, _IMPOSSIBLE)

    def _log_end(self, sacrum_mm: float | None) -> NDArray[np.float64]:
        """Log probability of the sacrum at this distance below each level; (statures, states)."""
        n_states = len(self.names)
        if sacrum_mm is None:
            return np.zeros((len(_SCALES), n_states))
        n_skipped = np.arange(n_states)[::-1]
        scaled = _SCALES[:, None] * (self._sacrum_mm - self._centre_mm)
        return np.asarray(_log_distance(sacrum_mm, scaled, _SACRUM_DEVIATION) + n_skipped * np.log(_NOT_FOUND))


def _log_distance(distance_mm: float, expected_mm: NDArray[np.float64], deviation: float) -> NDArray[np.float64]:
    """Log-normal density of a distance about the expected one, with a floor for freak distances."""
    off = (np.log(max(distance_mm, 1.0)) - np.log(expected_mm)) / deviation
    usual = np.exp(-0.5 * off**2) / (deviation * np.sqrt(2 * np.pi))
    return np.asarray(np.log((1 - _FREAK_DISTANCE) * usual + _FREAK_DISTANCE / 3))


def _log_sum(values: NDArray[np.float64], *, axis: int) -> NDArray[np.float64]:
    """Log of the sum of exponentials along an axis, of finite values; scipy's is several times slower."""
    top = values.max(axis=axis, keepdims=True)
    return np.asarray(np.log(np.exp(values - top).sum(axis=axis)) + np.squeeze(top, axis=axis))
