from itertools import pairwise

import numpy as np
import pytest

from osteomet.core.vocabulary import CERVICAL, COLUMN, LUMBAR, THORACIC
from osteomet.phantom.skeleton.anatomy import NUMBERING_ODDS, Column, Numbering, Sex, sample_column
from osteomet.phantom.skeleton.morphometry import PLACES, places_of, sizes_at

USUAL = (*CERVICAL, *THORACIC, *LUMBAR)


def draw(seed: int, **fixed: object) -> Column:
    return sample_column(np.random.default_rng(seed), **fixed)  # type: ignore[arg-type]


def names(column: Column) -> tuple[str, ...]:
    return tuple(v.name for v in reversed(column.vertebrae))


@pytest.mark.parametrize(
    ("numbering", "expected"),
    [
        (Numbering.USUAL, USUAL),
        (Numbering.SACRALISED_L5, USUAL),
        (Numbering.T13, (*CERVICAL, *THORACIC, "T13", *LUMBAR)),
        (Numbering.L6, (*USUAL, "L6")),
        (Numbering.ELEVEN_THORACIC, (*CERVICAL, *THORACIC[:11], *LUMBAR)),
        (Numbering.FOUR_LUMBAR, (*CERVICAL, *THORACIC, *LUMBAR[:4])),
    ],
)
def test_every_variant_has_its_vertebrae(numbering: Numbering, expected: tuple[str, ...]) -> None:
    column = draw(1, numbering=numbering)
    assert names(column) == expected
    assert column.numbering is numbering


def test_centres_climb_from_foot_to_head_in_every_variant() -> None:
    for seed, numbering in enumerate(Numbering):
        column = draw(seed, numbering=numbering)
        order = [COLUMN.index(v.name) for v in column.vertebrae]
        assert order == sorted(order, reverse=True)
        heights = [column.sacrum_centre_mm[2], *(v.centre_mm[2] for v in column.vertebrae)]
        assert all(upper - lower > 10 for lower, upper in pairwise(heights))


def test_variants_come_as_often_as_published() -> None:
    assert sum(NUMBERING_ODDS.values()) == pytest.approx(1.0)
    drawn = [draw(seed).numbering for seed in range(600)]
    expected = 600 * (1 - 374 / 418)
    # Three standard deviations of a binomial draw.
    spread = 3 * np.sqrt(expected * 374 / 418)
    assert abs(sum(n is not Numbering.USUAL for n in drawn) - expected) < spread


def test_the_same_generator_draws_the_same_column() -> None:
    first, second = draw(8), draw(8)
    assert (first.sex, first.age_years, first.stature_mm) == (second.sex, second.age_years, second.stature_mm)
    for a, b in zip(first.vertebrae, second.vertebrae, strict=True):
        assert a.sizes == b.sizes
        assert (a.centre_mm == b.centre_mm).all()


def test_stature_scales_bones_and_men_are_taller() -> None:
    men, women = ([draw(seed, sex=sex) for seed in range(60)] for sex in (Sex.MALE, Sex.FEMALE))
    assert np.mean([c.stature_mm for c in men]) == pytest.approx(1760, abs=30)
    assert np.mean([c.stature_mm for c in women]) == pytest.approx(1630, abs=30)
    column = men[0]
    assert column.scale == pytest.approx(column.stature_mm / 1700)
    widths = [np.mean([c.nearest("L3").width_mm for c in group]) for group in (men, women)]
    # 1760 / 1630 taller and 1.02 / 0.97 broader.
    assert widths[0] / widths[1] == pytest.approx(1.135, abs=0.03)


def test_wear_grows_with_age_and_narrows_discs() -> None:
    columns = [draw(seed, numbering=Numbering.USUAL) for seed in range(200)]
    ages, wear = np.array([c.age_years for c in columns]), np.array([c.wear for c in columns])
    discs = np.array([c.nearest("L3").disc_below_mm / c.scale for c in columns])
    assert np.corrcoef(ages, wear)[0, 1] > 0.5
    assert discs[wear > 0.8].mean() < discs[wear < 0.4].mean() - 1.0


def test_neighbours_share_their_joints() -> None:
    column = draw(2)
    assert column.vertebrae[0].joints_below is column.joints_of_sacrum
    for lower, upper in pairwise(column.vertebrae):
        assert upper.joints_below is lower.joints_above
        for side, joint in zip((1, -1), lower.joints_above, strict=True):
            assert np.linalg.norm(joint.normal) == pytest.approx(1.0)
            assert side * lower.own(joint.centre_mm)[0] > 5


def test_own_is_the_inverse_of_at() -> None:
    vertebra = draw(3).nearest("T7")
    np.testing.assert_allclose(vertebra.own(vertebra.at(3.0, -4.0, 5.0)), (3, -4, 5), atol=1e-9)


def test_the_nearest_vertebra_stands_in_for_a_missing_one() -> None:
    assert draw(4, numbering=Numbering.ELEVEN_THORACIC).nearest("T12").name == "T11"
    assert draw(4, numbering=Numbering.FOUR_LUMBAR).nearest("L5").name == "L4"
    assert draw(4, numbering=Numbering.L6).nearest("L5").name == "L5"


def test_the_last_of_a_region_is_shaped_as_the_usual_last() -> None:
    assert places_of(13, 5)["T13"] == PLACES["T12"] == 18
    assert places_of(12, 4) == {**{n: PLACES[n] for n in (*CERVICAL, *THORACIC)}, "L1": 19, "L2": 19 + 4 / 3,
                                "L3": 19 + 8 / 3, "L4": 23}  # fmt: skip
    between = sizes_at(PLACES["L2"] + 0.5)
    assert between.width == pytest.approx((sizes_at(PLACES["L2"]).width + sizes_at(PLACES["L3"]).width) / 2)


def test_only_a_lumbarised_first_sacral_leaves_four_segments() -> None:
    assert {draw(seed, numbering=Numbering.USUAL).n_sacral for seed in range(20)} == {5}
    assert {draw(seed, numbering=Numbering.L6).n_sacral for seed in range(40)} == {4, 5}
