"""Cohorts before any scanner: shares of centres, parts and diagnoses, and who the patients are, as the papers count."""

from collections import Counter

import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import SequenceRole
from osteomet.phantom.cohorts.draw import COHORTS, draw_case, draw_identity
from osteomet.phantom.cohorts.patients import Ages, Skewed
from osteomet.phantom.cohorts.strata import Stratum, stratum_of


def drawn(cohort: str, n: int) -> list[Stratum]:
    return [stratum_of(COHORTS[cohort].strata, number) for number in range(n)]


def test_a_whole_study_has_the_counts_of_the_paper() -> None:
    spine = Counter(s.split for s in drawn("mr-spine", 322))
    assert spine == {"train": 242, "test": 60, "external": 20}
    dynamic = Counter(s.group for s in drawn("ce-dynamic", 81))
    assert dynamic == {"metastasis": 45, "primary bone tumour": 36}
    pelvis = Counter((s.split, s.group) for s in drawn("mr-pelvis", 397))
    assert (pelvis["train", "metastasis"], pelvis["train", "no metastasis"]) == (134, 132)
    assert (pelvis["external", "metastasis"], pelvis["external", "no metastasis"]) == (31, 32)
    grades = Counter(s.group for s in drawn("graded", 941))
    assert grades == {"none": 305, "mild": 320, "apparent": 316}


@pytest.mark.parametrize("n", [8, 40, 161])
def test_the_first_patients_have_the_proportions_of_the_study(n: int) -> None:
    strata = COHORTS["mr-spine"].strata
    total = sum(strata.values())
    counts = Counter(drawn("mr-spine", n))
    for stratum, size in strata.items():
        assert counts[stratum] == pytest.approx(size / total * n, abs=1.5)


def test_only_the_external_centre_lacks_the_fat_image() -> None:
    preset = COHORTS["mr-spine"]
    for stratum in preset.strata:
        has_fat = SequenceRole.FO in preset.roles_at(stratum.centre)
        assert has_fat == (stratum.split != "external")
        assert {SequenceRole.T1, SequenceRole.CE} <= set(preset.roles_at(stratum.centre))


def test_age_and_psa_are_those_of_the_paper() -> None:
    people = [draw_identity("mr-pelvis", seed=3, number=n)[0] for n in range(400)]
    assert {p.sex for p in people} == {"M"}
    ages = np.array([p.age_years for p in people])
    assert ages.mean() == pytest.approx(69.6, abs=1.5)
    assert ages.std() == pytest.approx(10.0, abs=1.5)
    psa = np.array([p.psa_ng_ml for p in people])
    free = np.array([p.free_psa_ng_ml for p in people])
    # Standard error of the median of a log-normal of sigma 0.59: 1.25 * 0.59 / 20 = 4 %.
    assert np.median(psa) == pytest.approx(13.04, rel=0.12)
    np.testing.assert_allclose(np.quantile(psa, [0.25, 0.75]), [9.10, 20.1], rtol=0.15)
    assert (free <= psa).all()
    dynamic = [draw_identity("ce-dynamic", seed=3, number=n)[0] for n in range(200)]
    assert min(p.age_years for p in dynamic) >= 31
    assert max(p.age_years for p in dynamic) <= 80
    assert {p.primary_site for p in dynamic if p.diagnosis == "primary bone tumour"} == {""}


def test_no_woman_has_cancer_of_the_prostate() -> None:
    people = [draw_identity("mr-spine", seed=5, number=n)[0] for n in range(200)]
    assert {p.primary_site for p in people if p.sex == "M"} > {"prostate"}
    assert "prostate" not in {p.primary_site for p in people if p.sex == "F"}


def test_laws_of_age_and_skewed_values() -> None:
    rng = np.random.default_rng(1)
    ages = [Ages(60, 30, 50, 70).draw(rng) for _ in range(200)]
    assert min(ages) >= 50
    assert max(ages) <= 70
    values = [Skewed(10, 5, 20).draw(rng) for _ in range(4000)]
    np.testing.assert_allclose(np.quantile(values, [0.25, 0.5, 0.75]), [5, 10, 20], rtol=0.08)


def test_unknown_cohorts_and_negative_seeds_are_refused() -> None:
    names = " or ".join(COHORTS)
    with pytest.raises(UsageError, match=f"there is no such cohort; expected {names}; got mr-knee; remedy"):
        draw_case("mr-knee", seed=1, number=0)
    with pytest.raises(UsageError, match="not negative; expected 0 or more; got seed -1, case 0; remedy"):
        draw_case("ct-spine", seed=-1, number=0)
