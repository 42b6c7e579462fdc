"""Multi-reader analysis against the printed output of OR-DBM MRMC 2.51 for the Van Dyke study.

Data: Van Dyke, White, Obuchowski, Geisinger, Lorig, Meziane 1993, "Cine MRI in the diagnosis of thoracic aortic
dissection", 79th RSNA meeting: five readers, spin-echo and cine MRI, 69 patients without and 45 with dissection,
ratings 1 to 5, as distributed with the programs of the Medical Image Perception Laboratory, University of Iowa.
Expected figures: the report "VanDyke trap area jackknife anova" of that program (trapezoidal area, jackknife
covariance, factorial design), reprinted with the R package RJafroc.
"""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import stats

from osteomet.core.errors import InputError, UsageError
from osteomet.stats.bootstrap import bootstrap_covariance, jackknife, jackknife_covariance
from osteomet.stats.mrmc import dbm_components, model_against_readers, obuchowski_rockette, reader_mean
from osteomet.stats.roc import auc_statistic, compare_auc, delong

# One row a reader and modality: all of spin echo first; 69 patients without, then 45 with dissection.
VAN_DYKE = """
122151111111411111111131311214111113121211233131133111111221111332111555545554555434245555555154454553555115554451
232222222322522232222222422223222222222222222222222222222432232222222535555542555442225555555243354552425225555352
222235112242422232221232411322112224121412112222223211211221151421212545555555555542355555555252255552555225555552
111111311111111111112111211112111111111111111111331111111111111311111555555555555555155555555554544553555125555555
351211112221211122113221111211211231221113332111211111111341231212113525255551545452235555554144322151515115553552
333222223213122222211111421312214323123122233111333113412421241442111535555554555544335555555355355554455535555551
322222223222222122221222322222212212222231223222222222322322222222122535555552555344245455545252355532425525555552
242222322211132222121121411512112122212221132111233113221232341242121525555555555354145555555253355543555534555551
221111312111122111211111321212111122112111112121212211111212111323211545555554555455555555555455445555555535555555
223122221222111222122212322321212222112121132122332122221222231233111525455555455343335555555251332532545533555553
"""
RATINGS: NDArray[np.float64] = np.array([[int(c) for c in line] for line in VAN_DYKE.split()], dtype=float).reshape(
    2, 5, 114
)
TRUTH = np.arange(114) >= 69
AREAS = [
    [0.91964573, 0.85877617, 0.90386473, 0.97310789, 0.82979066],
    [0.94782609, 0.90531401, 0.92173913, 0.99935588, 0.92995169],
]
STATISTIC = auc_statistic(RATINGS.reshape(10, 114), TRUTH)
FIGURES = STATISTIC.evaluate(np.ones((1, 114)))[0].reshape(2, 5)
COVARIANCE = jackknife_covariance(STATISTIC)


def test_reader_areas() -> None:
    np.testing.assert_allclose(FIGURES, AREAS, atol=6e-9)


def test_components_in_both_models() -> None:
    parts = obuchowski_rockette(FIGURES, COVARIANCE).components
    printed = {
        "reader": 0.00153500,
        "modality_reader": 0.00020040,
        "cov1": 0.00034661,
        "cov2": 0.00034407,
        "cov3": 0.00023903,
        "error": 0.00080229,
    }
    assert {name: getattr(parts, name) for name in printed} == pytest.approx(printed, abs=6e-9)
    dbm = dbm_components(parts, 114)
    printed = {
        "reader": 0.00153500,
        "case": 0.02724923,
        "modality_reader": 0.00020040,
        "modality_case": 0.01197530,
        "reader_case": 0.01226473,
        "residual": 0.03997160,
    }
    assert {name: getattr(dbm, name) for name in printed} == pytest.approx(printed, abs=6e-9)


@pytest.mark.parametrize(
    ("random", "f", "p", "df", "low", "high"),
    [
        ("readers and cases", 4.46, 0.0517, "df = 1, 15.26", -0.00036, 0.08796),
        ("cases", 5.47595, 0.0193, "df = 1, inf", 0.00711, 0.08049),
        ("readers", 8.70, 0.0420, "df = 1, 4.00", 0.00258, 0.08502),
    ],
)
def test_three_analyses(random: str, f: float, p: float, df: str, low: float, high: float) -> None:
    """The program prints first minus second modality and, for fixed readers, chi-squared, which is F with one df."""
    result = obuchowski_rockette(FIGURES, COVARIANCE, random=random)  # type: ignore[arg-type]
    assert result.test.statistic == pytest.approx(f, abs=0.005 if f != 5.47595 else 5e-6)
    assert result.test.p_value == pytest.approx(p, abs=6e-5)
    assert result.test.note == df
    (pair,) = result.differences
    assert (pair.first, pair.second) == (0, 1)
    assert pair.difference.value == pytest.approx(0.04380032, abs=6e-9)
    assert (pair.difference.low, pair.difference.high) == pytest.approx((low, high), abs=6e-6)
    assert pair.test.p_value == pytest.approx(p, abs=6e-5)


@pytest.mark.parametrize(
    ("random", "first", "second"),
    [
        ("readers and cases", (0.82522360, 0.96885048), (0.89413783, 0.98753689)),
        ("cases", (0.84943008, 0.94464399), (0.90795637, 0.97371835)),
        ("readers", (0.82809808, 0.96597599), (0.89598936, 0.98568536)),
    ],
)
def test_single_modalities(random: str, first: tuple[float, float], second: tuple[float, float]) -> None:
    result = obuchowski_rockette(FIGURES, COVARIANCE, random=random)  # type: ignore[arg-type]
    means = [e.value for e in result.modalities]
    assert means == pytest.approx([0.89703704, 0.94083736], abs=6e-9)
    for e, limits in zip(result.modalities, (first, second), strict=True):
        assert (e.low, e.high) == pytest.approx(limits, abs=6e-9)


def test_single_readers_by_jackknife() -> None:
    """Part 2(d) of the report: differences and standard errors of each reader, here second minus first."""
    errors = [(COVARIANCE[j, j] + COVARIANCE[j + 5, j + 5] - 2 * COVARIANCE[j, j + 5]) ** 0.5 for j in range(5)]
    assert errors == pytest.approx([0.02551, 0.02630, 0.03121, 0.01729, 0.04406], abs=6e-6)
    p = 2 * stats.norm.sf((FIGURES[1] - FIGURES[0]) / errors)
    np.testing.assert_allclose(p, [0.2693, 0.0768, 0.5668, 0.1290, 0.0230], atol=6e-5)


def test_dbm_analysis_of_pseudovalues_gives_the_same_test() -> None:
    """Dorfman-Berbaum-Metz by its own three-way analysis of variance, with Hillis' degrees of freedom."""
    pseudo = (114 * FIGURES.reshape(10) - 113 * jackknife(STATISTIC)).T.reshape(2, 5, 114)
    modality, reader, case = (pseudo.mean(axis=axes, keepdims=True) for axes in ((1, 2), (0, 2), (0, 1)))
    grand = pseudo.mean()
    both = pseudo.mean(axis=2, keepdims=True) - modality - reader + grand
    with_case = pseudo.mean(axis=1, keepdims=True) - modality - case + grand
    reader_case = pseudo.mean(axis=0, keepdims=True) - reader - case + grand
    rest = pseudo - grand - (modality - grand) - (reader - grand) - (case - grand) - both - with_case - reader_case
    ms_modality = 5 * 114 * ((modality - grand) ** 2).sum()
    ms_both = 114 * (both**2).sum() / 4
    ms_case, ms_rest = 5 * (with_case**2).sum() / 113, (rest**2).sum() / (4 * 113)
    noise = ms_both + max(ms_case - ms_rest, 0)
    result = obuchowski_rockette(FIGURES, COVARIANCE)
    assert result.test.statistic == pytest.approx(ms_modality / noise, rel=1e-9)
    assert result.test.p_value == pytest.approx(stats.f.sf(ms_modality / noise, 1, noise**2 / (ms_both**2 / 4)))


def test_delong_and_bootstrap_covariances_are_close_to_the_jackknife() -> None:
    _, analytic = delong(RATINGS.reshape(10, 114), TRUTH)
    drawn = bootstrap_covariance(STATISTIC, rng=np.random.default_rng(0), n_draws=4_000)
    for covariance, tolerance in ((analytic, 0.02), (drawn, 0.12)):
        test = obuchowski_rockette(FIGURES, covariance).test
        assert test.statistic == pytest.approx(4.456, rel=tolerance)
    # fixed single reader: the paired DeLong test is the same thing
    assert compare_auc(RATINGS[0, 0], RATINGS[1, 0], TRUTH).difference.value == pytest.approx(0.02818, abs=6e-6)


def test_three_modalities_compare_all_pairs_and_ignore_order() -> None:
    figures = np.concatenate([FIGURES, FIGURES[:1] + 0.01])
    statistic = auc_statistic(np.concatenate([RATINGS, RATINGS[:1]]).reshape(15, 114), TRUTH)
    covariance = jackknife_covariance(statistic)
    result = obuchowski_rockette(figures, covariance)
    assert [(d.first, d.second) for d in result.differences] == [(0, 1), (0, 2), (1, 2)]
    order = np.array([2, 0, 1])
    index = (order[:, None] * 5 + np.arange(5)).ravel()
    again = obuchowski_rockette(figures[order], covariance[np.ix_(index, index)])
    assert again.test.statistic == pytest.approx(result.test.statistic)


def test_model_read_by_a_reader_without_variance_shift() -> None:
    """A model whose figure is a constant: the comparison is the readers' own interval, shifted and mirrored."""
    covariance = np.zeros((6, 6))
    covariance[1:, 1:] = COVARIANCE[:5, :5]
    difference, test = model_against_readers(0.95, FIGURES[0], covariance)
    mean = reader_mean(FIGURES[0], COVARIANCE[:5, :5])
    assert mean.low is not None
    assert mean.high is not None
    assert (difference.low, difference.high) == pytest.approx((0.95 - mean.high, 0.95 - mean.low))
    assert test.p_value is not None
    assert 0.05 < test.p_value < 0.2


def test_model_sharing_cases_is_compared_more_sharply() -> None:
    """A model equal to the mean reader's error shares the case noise, so fixed readers leave less of it."""
    readers = COVARIANCE[:5, :5]
    together = np.empty((6, 6))
    together[1:, 1:] = readers
    together[0, 1:] = together[1:, 0] = readers.mean(axis=0)
    together[0, 0] = readers.mean()
    apart = together.copy()
    apart[0, 1:] = apart[1:, 0] = 0.0
    sharp, _ = model_against_readers(0.95, FIGURES[0], together, random="cases")
    blunt, _ = model_against_readers(0.95, FIGURES[0], apart, random="cases")
    assert sharp.low is not None
    assert blunt.low is not None
    assert sharp.value == blunt.value == pytest.approx(0.95 - FIGURES[0].mean())
    assert sharp.low > blunt.low


def test_fixed_cases_is_the_paired_t_test_of_readers() -> None:
    t = stats.ttest_rel(FIGURES[1], FIGURES[0])
    test = obuchowski_rockette(FIGURES, COVARIANCE, random="readers").differences[0].test
    assert (test.statistic, test.p_value) == pytest.approx((t.statistic, t.pvalue))


@pytest.mark.parametrize("random", ["readers and cases", "cases", "readers"])
def test_nothing_varies(random: str) -> None:
    result = obuchowski_rockette(np.full((2, 3), 0.8), np.zeros((6, 6)), random=random)  # type: ignore[arg-type]
    assert (result.test.p_value, result.test.note) == (None, "nothing varies")
    assert result.modalities[0].value == pytest.approx(0.8)
    assert result.modalities[0].low is None
    assert result.differences[0].test.p_value is None


def test_refusals() -> None:
    with pytest.raises(InputError, match="two modalities and two readers; got 1 and 5"):
        obuchowski_rockette(FIGURES[:1], COVARIANCE[:5, :5])
    with pytest.raises(InputError, match=r"does not fit the figures; expected \(10, 10\); got \(5, 5\)"):
        obuchowski_rockette(FIGURES, COVARIANCE[:5, :5])
    with pytest.raises(InputError, match="a mean of readers needs two readers; got 1"):
        reader_mean([0.9], [[0.1]])
    with pytest.raises(UsageError, match="unknown choice of random factors"):
        obuchowski_rockette(FIGURES, COVARIANCE, random="none")  # type: ignore[arg-type]


def simulated_study(rng: np.random.Generator, n: int) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Roe and Metz' model without modality effect: two modalities, five readers, n cases of each kind, area about 0.85.

    Variances: reader 0.0055, modality × reader 0.0055, case 0.3, modality × case 0.3, reader × case 0.2, rest 0.2
    (their structure HL).
    """
    truth = np.arange(2 * n) < n
    scores = np.zeros((2, 5, 2 * n))
    for kind in (truth, ~truth):
        m = int(kind.sum())
        scores[..., kind] = (
            rng.normal(size=(1, 5, 1)) * 0.0055**0.5
            + rng.normal(size=(2, 5, 1)) * 0.0055**0.5
            + rng.normal(size=(1, 1, m)) * 0.3**0.5
            + rng.normal(size=(2, 1, m)) * 0.3**0.5
            + rng.normal(size=(1, 5, m)) * 0.2**0.5
            + rng.normal(size=(2, 5, m)) * 0.2**0.5
        )
    return scores + 1.5 * truth, truth


@pytest.mark.slow
def test_false_alarm_rate_without_effect() -> None:
    rng = np.random.default_rng(0)
    rejected = 0
    for _ in range(2_000):
        scores, truth = simulated_study(rng, 50)
        areas, covariance = delong(scores.reshape(10, 100), truth)
        p = obuchowski_rockette(areas.reshape(2, 5), covariance).test.p_value
        assert p is not None
        rejected += p < 0.05
    assert 0.03 <= rejected / 2_000 <= 0.07
