"""Simulated readers: who finds which lesion, what they take for one, and how sure they are.

A reader finds a lesion with a chance that rises with its volume and that, over the lesions of a case, averages to the
reader's sensitivity. False marks follow a Poisson law. Likelihoods, 0 to 100, come from two normal laws whose distance
is the reader's acumen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import UsageError

_TRUE_LIKELIHOOD, _SPREAD = 72.0, 15.0


@dataclass(frozen=True, slots=True)
class SimulatedReader:
    """How well somebody reads.

    Parameters
    ----------
    name
        What the reader is called in tables.
    sensitivity
        Chance to find a lesion, 0–1.
    false_per_case
        Mean number of false marks a case.
    acumen
        Distance of the likelihoods of true and false marks in standard deviations.
    jitter_mm
        Standard deviation of the place of a mark along each axis.
    """

    name: str
    sensitivity: float
    false_per_case: float
    acumen: float = 1.5
    jitter_mm: float = 1.5

    def __post_init__(self) -> None:
        if not 0 <= self.sensitivity <= 1 or self.false_per_case < 0:
            raise UsageError(
                "a reader has a sensitivity from 0 to 1 and no negative number of false marks",
                expected="0 to 1, and 0 or more a case",
                got=f"sensitivity {self.sensitivity:g}, {self.false_per_case:g} false marks a case",
                remedy="state the sensitivity as a share, not in percent",
            )


READERS = (
    SimulatedReader("reader_1", 0.86, 0.7, 2.0),
    SimulatedReader("reader_2", 0.81, 1.0, 1.8),
    SimulatedReader("reader_3", 0.76, 1.3, 1.5),
    SimulatedReader("reader_4", 0.68, 1.6, 1.3),
    SimulatedReader("reader_5", 0.62, 2.1, 1.1),
)
"""Five readers whose mean sensitivity (0.746) and false marks a case (1.34) are those of the readers of kim2024."""


@dataclass(frozen=True, slots=True)
class Target:
    """A lesion that can be found: centre of mass and edges of its box (LPS mm), volume."""

    centre_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]
    volume_ml: float


@dataclass(frozen=True, slots=True)
class SimulatedMark:
    """A box that a reader drew: centre and edges (LPS mm), and how sure the reader was, 0–100."""

    centre_mm: tuple[float, float, float]
    size_mm: tuple[float, float, float]
    likelihood: int
    is_true: bool


def mark_case(
    reader: SimulatedReader,
    targets: Sequence[Target],
    decoys_mm: NDArray[np.float64],
    rng: np.random.Generator,
) -> tuple[SimulatedMark, ...]:
    """Read one case.

    Parameters
    ----------
    reader
        Who reads.
    targets
        Its lesions.
    decoys_mm
        Places that can be taken for a lesion, shape (n, 3), LPS mm: mimics and other bone, away from all lesions. Each
        is marked once at most, so that there are no more false marks than places.
    rng
        Source of chance.

    Returns
    -------
    tuple of SimulatedMark
        True marks in the order of the lesions, then false ones. A true mark covers most of its lesion: the jitter
        stays within a quarter of its box.
    """
    marks = []
    for target, chance in zip(targets, _chances(reader.sensitivity, targets), strict=True):
        if rng.random() < chance:
            size = np.array(target.size_mm)
            moved = np.clip(rng.normal(0, reader.jitter_mm, 3), -size / 4, size / 4) + target.centre_mm
            drawn = size * rng.uniform(0.9, 1.3, 3)
            marks.append(_mark(moved, drawn, rng.normal(_TRUE_LIKELIHOOD, _SPREAD), is_true=True))
    n_false = min(int(rng.poisson(reader.false_per_case)), len(decoys_mm))
    for row in rng.choice(len(decoys_mm), n_false, replace=False) if n_false else ():
        likelihood = rng.normal(_TRUE_LIKELIHOOD - reader.acumen * _SPREAD, _SPREAD)
        marks.append(_mark(decoys_mm[row], rng.uniform(6, 16, 3), likelihood, is_true=False))
    return tuple(marks)


def _chances(sensitivity: float, targets: Sequence[Target]) -> NDArray[np.float64]:
    """Chance to find each lesion: odds grow with volume, and the mean is the sensitivity."""
    if not targets or sensitivity in (0.0, 1.0):
        return np.full(len(targets), sensitivity)
    conspicuity = 0.6 * np.log(np.maximum([t.volume_ml for t in targets], 1e-3))
    low, high = -40.0, 40.0
    for _ in range(60):
        middle = (low + high) / 2
        mean = float(np.mean(1 / (1 + np.exp(-(conspicuity + middle)))))
        low, high = (middle, high) if mean < sensitivity else (low, middle)
    return np.asarray(1 / (1 + np.exp(-(conspicuity + middle))))


def _mark(place: NDArray[np.float64], size: NDArray[np.float64], likelihood: float, *, is_true: bool) -> SimulatedMark:
    """Round to what a viewer would write: tenths of a millimetre, whole percent."""
    x, y, z = (round(float(v), 1) for v in place)
    a, b, c = (round(float(v), 1) for v in size)
    return SimulatedMark((x, y, z), (a, b, c), int(np.clip(round(likelihood), 1, 100)), is_true)
