"""Multi-reader multi-case analysis after Obuchowski and Rockette, with Hillis' degrees of freedom.

The input is one figure of merit for each modality and reader, and the covariance of these figures over cases:

- AUC with DeLong's covariance: ``figures, covariance = delong(ratings.reshape(t * r, n), truth)``;
- any figure by jackknife or bootstrap: `osteomet.stats.bootstrap.jackknife_covariance` or ``bootstrap_covariance`` of
  the `Statistic` of all readers (``auc_statistic``, or ``stack_statistics`` of ``jafroc_statistic``).

With jackknife covariance the result is that of the method of Dorfman, Berbaum and Metz with Hillis' degrees of freedom
(Hillis, Obuchowski, Schartz, Berbaum 2005, https://doi.org/10.1002/sim.2024).
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import combinations
from typing import Literal

import numpy as np
from numpy.typing import ArrayLike, NDArray
from scipy import stats

from osteomet.core.errors import InputError
from osteomet.stats._inputs import check_choice, check_level, finite, vanishes
from osteomet.stats.hypothesis import SignificanceTest
from osteomet.stats.intervals import Estimate

RandomFactors = Literal["readers and cases", "cases", "readers"]
_RANDOM = ("readers and cases", "cases", "readers")


@dataclass(frozen=True, slots=True)
class OrComponents:
    """Variance components of the Obuchowski-Rockette model; estimates, so some can be negative.

    ``cov1`` is of one reader across modalities, ``cov2`` of two readers in one modality, ``cov3`` of two readers across
    modalities.
    """

    reader: float
    modality_reader: float
    error: float
    cov1: float
    cov2: float
    cov3: float


@dataclass(frozen=True, slots=True)
class DbmComponents:
    """The same variances as components of the pseudovalues of Dorfman, Berbaum and Metz."""

    reader: float
    case: float
    modality_reader: float
    modality_case: float
    reader_case: float
    residual: float


def dbm_components(components: OrComponents, n_cases: int) -> DbmComponents:
    """Convert components between the two models (Hillis et al. 2005, https://doi.org/10.1002/sim.2024)."""
    c = components
    return DbmComponents(
        reader=c.reader,
        case=n_cases * c.cov3,
        modality_reader=c.modality_reader,
        modality_case=n_cases * (c.cov2 - c.cov3),
        reader_case=n_cases * (c.cov1 - c.cov3),
        residual=n_cases * (c.error - c.cov1 - c.cov2 + c.cov3),
    )


@dataclass(frozen=True, slots=True)
class ModalityDifference:
    """Mean figure of modality ``second`` minus that of ``first``, by index."""

    first: int
    second: int
    difference: Estimate
    test: SignificanceTest


@dataclass(frozen=True, slots=True)
class Mrmc:
    """Outcome of a multi-reader analysis.

    ``test`` compares all modalities at once; ``modalities`` are the means over readers, each from its own modality's
    data; ``differences`` all pairs.
    """

    random: RandomFactors
    test: SignificanceTest
    modalities: tuple[Estimate, ...]
    differences: tuple[ModalityDifference, ...]
    components: OrComponents


def obuchowski_rockette(
    figures: ArrayLike, covariance: ArrayLike, *, random: RandomFactors = "readers and cases", level: float = 0.95
) -> Mrmc:
    """Compare modalities that the same readers read on the same cases.

    Parameters
    ----------
    figures
        Figure of merit of each modality and reader, shape (t, r), both at least 2.
    covariance
        Covariance of the figures over cases, shape (t * r, t * r), modalities slowest.
    random
        What the conclusion shall generalise to: other readers and other cases; other cases with these readers; other
        readers on these cases.
    level
        Confidence level in (0, 1).

    Returns
    -------
    Mrmc
        The global test is F with t - 1 and the noted degrees of freedom (infinite for fixed readers, where (t - 1) F is
        chi-squared); undefined when nothing varies.

    Raises
    ------
    InputError
        With fewer than two modalities or readers, or a covariance that does not fit.

    References
    ----------
    Obuchowski, Rockette 1995, https://doi.org/10.1080/03610919508813243.
    Hillis 2007 (degrees of freedom), https://doi.org/10.1002/sim.2532.
    """
    check_choice(random, _RANDOM, "choice of random factors")
    check_level(level)
    table = finite(figures, "the figures", ndim=2)
    t, r = table.shape
    if min(t, r) < 2:
        raise InputError("a multi-reader comparison needs two modalities and two readers", got=f"{t} and {r}")
    blocks = _covariance(covariance, t * r).reshape(t, r, t, r)
    ms_modality, ms_reader, ms_both = _mean_squares(table)
    parts = _components(blocks, (ms_reader, ms_both), (t, r))
    excess = max(parts.cov2 - parts.cov3, 0.0)
    if random == "cases":
        noise, df = parts.error - parts.cov1 + (r - 1) * excess, np.inf
    else:
        noise, df = _hillis(ms_both, r * excess if random == "readers and cases" else 0.0, (t - 1) * (r - 1))
    means = table.mean(axis=1)
    differences = tuple(
        _difference(pair, float(means[pair[1]] - means[pair[0]]), (noise, df, r), level)
        for pair in combinations(range(t), 2)
    )
    modalities = tuple(reader_mean(table[i], blocks[i, :, i, :], random=random, level=level) for i in range(t))
    return Mrmc(random, _global_test(ms_modality, noise, (t - 1, df), r), modalities, differences, parts)


def reader_mean(
    figures: ArrayLike, covariance: ArrayLike, *, random: RandomFactors = "readers and cases", level: float = 0.95
) -> Estimate:
    """Mean figure of merit of the readers of one modality.

    Parameters
    ----------
    figures
        One figure for each reader, shape (r,), r at least 2.
    covariance
        Covariance of the figures over cases, shape (r, r).
    random
        What the interval shall generalise to, as in `obuchowski_rockette`.
    level
        Confidence level in (0, 1).

    Returns
    -------
    Estimate
        Limits are not clipped to the range of the figure; none when nothing varies.

    References
    ----------
    Hillis 2007, https://doi.org/10.1002/sim.2532.
    """
    mean, error, df = _one_modality(figures, covariance, random)
    return _t_estimate(mean, (error, df), level)


def model_against_readers(
    model: float,
    figures: ArrayLike,
    covariance: ArrayLike,
    *,
    random: RandomFactors = "readers and cases",
    level: float = 0.95,
) -> tuple[Estimate, SignificanceTest]:
    """Compare one model with the mean of readers on the same cases.

    Parameters
    ----------
    model
        Figure of merit of the model.
    figures
        Figure of each reader, shape (r,), r at least 2.
    covariance
        Covariance over cases of the model's figure, first, and the readers', shape (r + 1, r + 1).
    random
        What the conclusion shall generalise to, as in `obuchowski_rockette`.
    level
        Confidence level in (0, 1).

    Returns
    -------
    tuple
        Model minus mean of readers, and the test that it is 0.

    Notes
    -----
    Each reader's difference from the model is one figure, and the mean of these is analysed as one modality, so that
    the cases which model and readers share are accounted for and the model is not taken for a sampled reader.

    References
    ----------
    Hupse et al. 2013, https://doi.org/10.1007/s00330-012-2562-7.
    """
    readers = finite(figures, "the figures")
    contrast = np.concatenate([np.ones((readers.size, 1)), -np.eye(readers.size)], axis=1)
    shared = contrast @ _covariance(covariance, readers.size + 1) @ contrast.T
    mean, error, df = _one_modality(model - readers, shared, random)
    return _t_estimate(mean, (error, df), level), _t_test(mean, (error, df), readers.size)


def _covariance(covariance: ArrayLike, size: int) -> NDArray[np.float64]:
    """Covariance of the right shape."""
    matrix = finite(covariance, "the covariances", ndim=2)
    if matrix.shape != (size, size):
        raise InputError("the covariance does not fit the figures", expected=f"({size}, {size})", got=str(matrix.shape))
    return matrix


def _mean_squares(table: NDArray[np.float64]) -> tuple[float, float, float]:
    """Mean squares of modality, reader and their interaction."""
    t, r = table.shape
    grand, modality, reader = table.mean(), table.mean(axis=1), table.mean(axis=0)
    rest = table - modality[:, None] - reader + grand
    squares = (
        r * float(((modality - grand) ** 2).sum()) / (t - 1),
        t * float(((reader - grand) ** 2).sum()) / (r - 1),
        float((rest**2).sum()) / ((t - 1) * (r - 1)),
    )
    a, b, c = (0.0 if vanishes(square, table) else square for square in squares)
    return a, b, c


def _components(blocks: NDArray[np.float64], squares: tuple[float, float], size: tuple[int, int]) -> OrComponents:
    """Average the covariances of like kind and solve for the variances."""
    t, r = size
    same_modality = np.eye(t, dtype=bool)[:, None, :, None]
    same_reader = np.eye(r, dtype=bool)[None, :, None, :]

    def average(kind: NDArray[np.bool_]) -> float:
        return float(blocks[np.broadcast_to(kind, blocks.shape)].mean())

    error, cov1 = average(same_modality & same_reader), average(~same_modality & same_reader)
    cov2, cov3 = average(same_modality & ~same_reader), average(~same_modality & ~same_reader)
    ms_reader, ms_both = squares
    reader = (ms_reader - ms_both) / t - cov1 + cov3
    return OrComponents(reader, ms_both - error + cov1 + cov2 - cov3, error, cov1, cov2, cov3)


def _hillis(mean_square: float, extra: float, df: int) -> tuple[float, float]:
    """Error term ``mean_square + extra`` and its degrees of freedom."""
    noise = mean_square + extra
    return noise, (df * (noise / mean_square) ** 2 if mean_square > 0 else np.inf)


def _one_modality(figures: ArrayLike, covariance: ArrayLike, random: RandomFactors) -> tuple[float, float, float]:
    """Mean of readers, its standard error and degrees of freedom."""
    check_choice(random, _RANDOM, "choice of random factors")
    values = finite(figures, "the figures")
    r = values.size
    if r < 2:
        raise InputError("a mean of readers needs two readers", got=str(r))
    matrix = _covariance(covariance, r)
    cov2 = max(float(matrix[~np.eye(r, dtype=bool)].mean()), 0.0)
    if random == "cases":
        noise, df = float(np.diag(matrix).mean()) + (r - 1) * cov2, np.inf
    else:
        spread = float(values.var(ddof=1))
        spread = 0.0 if vanishes(spread, values) else spread
        noise, df = _hillis(spread, r * cov2 if random == "readers and cases" else 0.0, r - 1)
    return float(values.mean()), float(np.sqrt(noise / r)), df


def _t_estimate(value: float, spread: tuple[float, float], level: float) -> Estimate:
    """Value with a t interval from standard error and degrees of freedom."""
    check_level(level)
    error, df = spread
    if error == 0:
        return Estimate(value, level=level)
    half = float(stats.t.isf((1 - level) / 2, df)) * error
    return Estimate(value, value - half, value + half, method="Obuchowski-Rockette", level=level)


def _t_test(value: float, spread: tuple[float, float], n_readers: int) -> SignificanceTest:
    """Two-sided t test that the value is 0."""
    error, df = spread
    name = "Obuchowski-Rockette t"
    if error == 0:
        return SignificanceTest(name, None, None, n_readers, "nothing varies")
    t = value / error
    return SignificanceTest(name, t, float(2 * stats.t.sf(abs(t), df)), n_readers, f"df = {df:.2f}")


def _difference(
    pair: tuple[int, int], value: float, term: tuple[float, float, int], level: float
) -> ModalityDifference:
    """Compare one pair of modalities, given the error term, its degrees of freedom and the number of readers."""
    noise, df, r = term
    spread = float(np.sqrt(max(2 * noise / r, 0.0))), df
    return ModalityDifference(*pair, _t_estimate(value, spread, level), _t_test(value, spread, r))


def _global_test(mean_square: float, noise: float, df: tuple[int, float], n_readers: int) -> SignificanceTest:
    """F test of all modalities at once."""
    name = "Obuchowski-Rockette F"
    if noise <= 0:
        return SignificanceTest(name, None, None, n_readers, "nothing varies")
    f = mean_square / noise
    p = stats.chi2.sf(df[0] * f, df[0]) if np.isinf(df[1]) else stats.f.sf(f, *df)
    return SignificanceTest(name, f, float(p), n_readers, f"df = {df[0]}, {df[1]:.2f}")
