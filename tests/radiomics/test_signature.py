"""One signature, nested folds around it, and that nothing leaks: with and without selection inside the folds."""

from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, InputError
from osteomet.radiomics.cross_validation import cross_validate, mean_auc_statistic
from osteomet.radiomics.mrmr import select_mrmr
from osteomet.radiomics.signature import Lesions, fit_signature
from osteomet.radiomics.signature_recipe import SignatureRecipe
from osteomet.radiomics.stability import resample_selection
from osteomet.stats.bootstrap import bootstrap
from osteomet.stats.intervals import Estimate

QUICK = SignatureRecipe(n_repeats=2, n_folds=5, n_inner_folds=4, n_penalties=12, n_resamples=8)


def noise(seed: int, n: int = 60, n_features: int = 1000) -> Lesions:
    """Features without information, and classes shuffled at random."""
    rng = np.random.default_rng(seed)
    truth = rng.permutation(np.arange(n) < 0.55 * n)
    return Lesions(rng.standard_normal((n, n_features)), truth, np.arange(n))


def informed(seed: int = 1, n: int = 60) -> Lesions:
    """Noise, but features 3 and 7 tell the classes apart; the second in units of a thousandth."""
    lesions = noise(seed, n, n_features=40)
    lesions.features[:, 3] += 1.5 * lesions.truth
    lesions.features[:, 7] = (lesions.features[:, 7] - 1.5 * lesions.truth) / 1000 + 5
    return lesions


def area(lesions: Lesions, recipe: SignatureRecipe = QUICK) -> Estimate:
    """Out-of-fold area with its interval."""
    validation = cross_validate(lesions, recipe, rng=np.random.default_rng(5))
    statistic = mean_auc_statistic(validation.probabilities, lesions)
    return bootstrap(statistic, rng=np.random.default_rng(6), n_draws=500).estimates()[0]


def leaking_area(lesions: Lesions) -> Estimate:
    """The same folds, but the ten features were chosen beforehand, with the classes of all lesions in sight."""
    chosen = list(select_mrmr(lesions.features, lesions.truth, n_selected=QUICK.n_candidates))
    return area(replace(lesions, features=lesions.features[:, chosen]))


@pytest.mark.parametrize("seed", range(3))
def test_random_classes_are_not_predicted_but_would_be_by_selection_outside_the_folds(seed: int) -> None:
    honest, leaking = area(noise(seed)), leaking_area(noise(seed))
    assert honest.low is not None
    assert honest.high is not None
    assert leaking.low is not None
    assert honest.low < 0.5 < honest.high
    assert leaking.low > 0.55


def test_random_classes_have_an_area_near_a_half_on_average() -> None:
    values = [area(noise(seed, n_features=30), replace(QUICK, n_repeats=1)).value for seed in range(10, 22)]
    assert np.mean([v for v in values if v is not None]) == pytest.approx(0.5, abs=0.06)


def test_information_is_found() -> None:
    lesions = informed()
    signature = fit_signature(lesions, QUICK, rng=np.random.default_rng(1))
    weight = dict(zip(signature.path.selection.columns.tolist(), signature.coefficients.tolist(), strict=True))
    assert weight[3] > 0 > weight[7]
    assert sorted(np.abs(list(weight.values())))[-2:] == sorted([abs(weight[3]), abs(weight[7])])
    estimate = area(lesions)
    assert estimate.low is not None
    assert estimate.low > 0.75


def test_the_rad_score_is_the_sum_of_standardised_features() -> None:
    lesions = informed()
    signature = fit_signature(lesions, QUICK, rng=np.random.default_rng(1))
    path = signature.path
    by_hand = sum(
        c * (lesions.features[:, j] - lesions.features[:, j].mean()) / lesions.features[:, j].std()
        for j, c in zip(path.selection.columns, signature.coefficients, strict=True)
    )
    assert signature.rad_scores(lesions.features) == pytest.approx(by_hand)
    assert signature.rad_scores(lesions.features).mean() == pytest.approx(0.0, abs=1e-12)
    even = signature.probabilities(lesions.features, prevalence=0.5)
    rare = signature.probabilities(lesions.features, prevalence=0.1)
    assert rare / (1 - rare) == pytest.approx(even / (1 - even) / 9)


def test_a_lesion_left_out_decides_nothing_about_those_left_out_with_it() -> None:
    lesions = informed()
    before = cross_validate(lesions, QUICK, rng=np.random.default_rng(2))
    changed = replace(lesions, features=lesions.features.copy())
    changed.features[0] = np.random.default_rng(3).standard_normal(40) * 100
    after = cross_validate(changed, QUICK, rng=np.random.default_rng(2))
    for repeat in range(QUICK.n_repeats):
        mates = before.folds[repeat] == before.folds[repeat][0]
        mates[0] = False
        assert after.rad_scores[repeat][mates] == pytest.approx(before.rad_scores[repeat][mates], rel=1e-12)
        assert after.probabilities[repeat][mates] == pytest.approx(before.probabilities[repeat][mates], rel=1e-12)
        others = before.folds[repeat] != before.folds[repeat][0]
        assert not np.allclose(after.rad_scores[repeat][others], before.rad_scores[repeat][others])


def test_lesions_of_a_patient_are_left_out_together() -> None:
    lesions = replace(informed(), patients=np.arange(60) // 2)
    truth = np.repeat(np.arange(30) < 15, 2)
    validation = cross_validate(replace(lesions, truth=truth), QUICK, rng=np.random.default_rng(2))
    assert (validation.folds[:, ::2] == validation.folds[:, 1::2]).all()


def test_nothing_to_learn_gives_everybody_the_prevalence() -> None:
    lesions = replace(noise(1, n_features=3), features=np.ones((60, 3)))
    signature = fit_signature(lesions, QUICK, rng=np.random.default_rng(1))
    assert signature.kept.size == 0
    assert signature.probabilities(lesions.features, prevalence=0.3) == pytest.approx(np.full(60, 0.3))


def test_asking_twice_agrees() -> None:
    first, again = (cross_validate(informed(), QUICK, rng=np.random.default_rng(9)) for _ in range(2))
    assert first.probabilities.tolist() == again.probabilities.tolist()


def test_selection_over_resamples() -> None:
    resamples = resample_selection(informed(), QUICK, rng=np.random.default_rng(4))
    assert resamples.chosen.shape == (8, 40)
    assert (resamples.chosen.sum(axis=1) == 10).all()
    assert (resamples.kept <= resamples.chosen).all()
    assert resamples.kept[:, [3, 7]].mean() > 0.8
    assert resamples.kept[:, [3, 7]].mean() > 3 * resamples.kept.mean()


def test_too_few_patients_are_refused_with_the_class_and_the_remedy() -> None:
    lesions = noise(1)
    few = replace(lesions, truth=np.arange(60) < 4)
    with pytest.raises(
        DatasetError, match=r"class “metastasis” for 5 folds; expected at least 5; got 4; remedy.*n_folds"
    ):
        cross_validate(few, QUICK, rng=np.random.default_rng(1))
    with pytest.raises(InputError, match="two patients of each class"):
        fit_signature(replace(lesions, truth=np.arange(60) < 1), QUICK, rng=np.random.default_rng(1))
    with pytest.raises(InputError, match="two patients of each class"):
        fit_signature(replace(lesions, truth=np.ones(60, dtype=bool)), QUICK, rng=np.random.default_rng(1))


def test_features_that_are_no_numbers_are_refused() -> None:
    lesions = noise(1)
    lesions.features[3, 3] = np.nan
    with pytest.raises(InputError, match="features that are numbers"):
        fit_signature(lesions, QUICK, rng=np.random.default_rng(1))
