import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import STRUCTURES, Group, LesionType
from osteomet.phantom.geometry.distances import VERTEBRAL_BODY
from osteomet.phantom.geometry.kernels import HOLE, MODE
from osteomet.phantom.geometry.shapes import Shapes, ShapeTable
from osteomet.phantom.lesions.metastases import (
    LARGEST_DIAMETER_MM,
    LEAST_DIAMETER_MM,
    LEAST_LYTIC_CONTRAST_HU,
    MOST_OUTGROWTH_MM,
    sample_metastases,
    sample_number,
)
from osteomet.phantom.lesions.sites import cast, site_odds
from osteomet.phantom.skeleton.anatomy import sample_column
from osteomet.phantom.skeleton.bones import add_hips_and_femora, add_sacrum, add_vertebra, spongiosa_hu
from osteomet.phantom.skeleton.collapse import collapsed_height, sample_collapses

DENSITY = spongiosa_hu(180.0)


@pytest.fixture(scope="module")
def bones() -> Shapes:
    rng = np.random.default_rng(2)
    column, table = sample_column(rng), ShapeTable()
    for vertebra in column.vertebrae:
        add_vertebra(table, vertebra, rng)
    add_sacrum(table, column, rng)
    add_hips_and_femora(table, column.scale, rng, sex=column.sex)
    return table.freeze()


def test_numbers_of_lesions_follow_the_published_bins() -> None:
    rng = np.random.default_rng(0)
    drawn = np.array([sample_number(rng) for _ in range(6000)])
    for low, high, n in ((1, 1, 30), (2, 3, 36), (4, 5, 24), (6, 1000, 44)):
        assert ((drawn >= low) & (drawn <= high)).mean() == pytest.approx(n / 134, abs=0.02)
    assert drawn.mean() == pytest.approx(664 / 134, abs=0.2)
    assert drawn.max() > 24


@pytest.mark.parametrize(("n", "levels"), [(-1, ()), (1, ("T8", "L1"))])
def test_impossible_numbers_are_refused(bones: Shapes, n: int, levels: tuple[str, ...]) -> None:
    with pytest.raises(UsageError, match=f"not negative.*expected {len(levels)} or more; got {n}; remedy: ask for"):
        sample_metastases(np.random.default_rng(0), bones, DENSITY, n=n, in_levels=levels)


def test_metastases_arise_in_bone_with_sizes_and_contrasts_in_their_ranges(bones: Shapes) -> None:
    up = np.array([0.0, 0.0, 1.0])
    found = [d for s in range(36) for d in sample_metastases(np.random.default_rng(s), bones, DENSITY, n=4)]
    inside = [cast(bones, d.lobes_mm[0, :3], up, length_mm=1.0).depth_mm[0] > 0 for d in found]
    assert np.mean(inside) > 0.97
    radii = np.array([d.lobes_mm[0, 3] for d in found])
    assert radii.min() >= LEAST_DIAMETER_MM / 2
    assert radii.max() <= LARGEST_DIAMETER_MM / 2
    assert np.median(radii) == pytest.approx(6.5, rel=0.2)
    shifts = np.array([d.shift_hu for d in found])
    assert 100 <= shifts.min() < 200
    assert 500 < shifts.max() <= 1000
    lytic = [d for d in found if LesionType.LYTIC in d.types]
    contrast = np.array([DENSITY[d.owner] - d.fill_hu for d in lytic])
    assert contrast.min() >= LEAST_LYTIC_CONTRAST_HU
    assert contrast.min() < 40
    assert contrast.max() > 100
    assert {d.lesion_type for d in found} == {LesionType.LYTIC, LesionType.SCLEROTIC, LesionType.MIXED}
    assert 0.03 < np.mean([d.treated for d in found]) < 0.4


def test_permeative_lysis_keeps_a_contrast_that_a_reader_sees(bones: Shapes) -> None:
    found = [
        d for seed in range(40) for d in sample_metastases(np.random.default_rng(seed), bones, DENSITY, n=4)
        if LesionType.LYTIC in d.types
    ]  # fmt: skip
    permeative = [d for d in found if d.hole_mm]
    # Three in ten of those that have the contrast and were not treated.
    assert 0.05 < len(permeative) / len(found) < 0.3
    assert all(DENSITY[d.owner] - d.fill_hu > 4 * LEAST_LYTIC_CONTRAST_HU for d in permeative)
    assert all(min(1.5, d.lobes_mm[0, 3] / 2) <= d.edge_mm <= 2.5 and not d.rim_hu for d in permeative)


def test_occult_metastases_replace_marrow_alone(bones: Shapes) -> None:
    found = sample_metastases(np.random.default_rng(0), bones, DENSITY, n=8, occult=1.0)
    assert {d.lesion_type for d in found} == {LesionType.MARROW}


def test_no_lysis_in_bone_as_thin_as_soft_tissue(bones: Shapes) -> None:
    thin: NDArray[np.float32] = np.full(256, 30.0, dtype=np.float32)
    found = sample_metastases(np.random.default_rng(0), bones, thin, n=20)
    assert {d.lesion_type for d in found} == {LesionType.SCLEROTIC}


def test_sites_follow_the_red_marrow(bones: Shapes) -> None:
    odds = site_odds(bones)
    group_of = {s.id: s.group for s in STRUCTURES.values()}
    share = {g: odds[[group_of[int(o)] is g for o in bones.owners]].sum() for g in Group}
    # No ribs here: of the 66.4 percent that lie in these bones.
    for group, percent in ((Group.LUMBAR, 12.3), (Group.THORACIC, 16.1), (Group.PELVIS, 17.5), (Group.SACRAL, 9.9)):
        assert share[group] == pytest.approx(percent / 66.4)
    bodies = odds[(bones.kinds == VERTEBRAL_BODY) & (bones.owners < STRUCTURES["sacrum"].id)].sum()
    assert bodies / (share[Group.CERVICAL] + share[Group.THORACIC] + share[Group.LUMBAR]) > 0.6
    assert (odds[bones.parameters[:, MODE] == HOLE] == 0).all()


def test_metastases_of_vertebral_bodies_lie_mostly_behind_the_middle(bones: Shapes) -> None:
    rows = {int(bones.owners[r]): bones.parameters[r] for r in np.flatnonzero(bones.kinds == VERTEBRAL_BODY)}
    owners = {STRUCTURES[f"L{n}"].id for n in range(1, 6)}
    behind = []
    for seed in range(25):
        for d in sample_metastases(np.random.default_rng(seed), bones, DENSITY, n=12):
            if d.owner in owners and d.part == 1:
                row = rows[d.owner]
                behind.append((d.lobes_mm[0, :3] - row[:3]) @ row[[4, 7, 10]] > 0)
    # Of two uniform draws the more posterior one lies behind the middle three times in four.
    assert len(behind) > 25
    assert np.mean(behind) == pytest.approx(0.75, abs=0.16)


def test_a_mass_outside_of_bone_never_reaches_half_way_to_the_next_bone(bones: Shapes) -> None:
    masses = 0
    for seed in range(40):
        for d in sample_metastases(np.random.default_rng(seed), bones, DENSITY, n=8):
            reach = d.outgrowth_mm()
            if reach.max() <= 2.0:
                continue
            masses += 1
            assert reach.max() <= MOST_OUTGROWTH_MM
            way = d.lobes_mm[-1, :3] - d.lobes_mm[0, :3]
            ray = cast(bones, d.lobes_mm[0, :3], way / np.linalg.norm(way), length_mm=float(np.linalg.norm(way)) + 40)
            assert ray.exit_mm == pytest.approx(np.linalg.norm(way), abs=0.6)
            assert d.lobes_mm[-1, 3] < 0.5 * ray.gap_mm
    assert masses > 3


def test_collapse_takes_the_asked_share_of_height() -> None:
    height, wedge = collapsed_height(24.0, -0.02, 0.4)
    assert height * (1 - wedge) == pytest.approx(24 * 1.02 * 0.6)
    assert height * (1 + wedge) == pytest.approx(24 * 0.98 * (1 - 0.35 * 0.4))
    with pytest.raises(
        UsageError, match=r"its height; expected 0 to below 1; got 1\.2; remedy: state the loss as a share"
    ):
        collapsed_height(24.0, 0.0, 1.2)


def test_a_collapsed_column_is_shorter_by_that_vertebra_alone() -> None:
    whole, broken = (sample_column(np.random.default_rng(4), collapsed=c) for c in ({}, {"L2": 0.5}))
    fronts = [{v.name: v.height_mm * (1 - v.wedge) for v in c.vertebrae} for c in (whole, broken)]
    assert fronts[1]["L2"] == pytest.approx(0.5 * fronts[0]["L2"])
    assert all(fronts[1][n] == fronts[0][n] for n in fronts[0] if n != "L2")
    backs = [{v.name: v.height_mm * (1 + v.wedge) for v in c.vertebrae} for c in (whole, broken)]
    assert backs[1]["L2"] == pytest.approx((1 - 0.35 * 0.5) * backs[0]["L2"])
    assert broken.vertebrae[-1].centre_mm[2] < whole.vertebrae[-1].centre_mm[2] - 4


def test_collapse_under_a_metastasis_fills_the_body_with_it(bones: Shapes) -> None:
    found = sample_metastases(np.random.default_rng(1), bones, DENSITY, n=3, in_levels=("L2",))
    assert len(found) == 3
    assert found[0].owner == STRUCTURES["L2"].id
    assert found[0].breach
    assert found[0].lobes_mm[0, 3] > 9


def test_patients_without_metastases_collapse_from_osteoporosis_only() -> None:
    drawn = [sample_collapses(np.random.default_rng(s), n_metastases=0) for s in range(1500)]
    assert not any(c.pathological for c in drawn)
    assert np.mean([bool(c.benign) for c in drawn]) == pytest.approx(0.13, abs=0.03)
    losses = np.array([loss for c in drawn for loss in c.benign.values()])
    assert losses.min() >= 0.2
    assert losses.max() <= 0.6
    assert all(c.density == (0.7 if c.benign else 1.0) for c in drawn)
