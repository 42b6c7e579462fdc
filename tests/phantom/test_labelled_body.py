"""A patient around labelled bones: CT and MR see the bones of the map, lesions lie in them, and skin holds them."""

from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.phantom.body import Body, draw_metastases, sample_body
from osteomet.phantom.cohorts.draw import draw_patient
from osteomet.phantom.geometry.shapes import Warp
from osteomet.phantom.mr.scene import Marrow, compose
from osteomet.phantom.mr.tissues import Tissue
from osteomet.phantom.scene import view_body
from osteomet.phantom.skeleton.anatomy import Numbering, Sex
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones, bones_from_labels
from osteomet.phantom.soft_tissue.outline import Outline, widened

L3 = STRUCTURES["L3"].id
STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
HALF_MM = np.array([21.0, 17.0, 13.0])


@pytest.fixture(scope="module")
def bones() -> LabelledBones:
    """A block of 42 x 34 x 26 mm that is called L3, in voxels of 1 mm."""
    array = np.zeros((60, 52, 44), dtype=np.uint8)
    array[9:51, 9:43, 9:35] = L3
    grid = Grid.from_spacing((60, 52, 44), (1.0, 1.0, 1.0), origin_mm=(-30.0, 10.0, 200.0))
    return bones_from_labels(LabelMap(array, grid, {"L3": L3}))


@pytest.fixture(scope="module")
def body(bones: LabelledBones) -> Body:
    drawn = sample_body(np.random.default_rng(4), n_metastases=0, sex=Sex.FEMALE, age_years=50.0, labelled=bones)
    return replace(drawn, warp=STILL)


def grid_around(body: Body, spacing_mm: float) -> Grid:
    assert body.labelled is not None
    low, high = body.labelled.corners_mm()
    shape = np.ceil((high - low + 20) / spacing_mm).astype(int)
    return Grid.from_spacing(shape.tolist(), (spacing_mm,) * 3, origin_mm=(low - 10).tolist())


def test_the_patient_is_as_asked_and_has_the_labelled_level(body: Body) -> None:
    assert (body.column.sex, body.column.age_years) == (Sex.FEMALE, 50.0)
    assert not (body.bones.owners == L3).any()
    assert (body.scaffold.owners == L3).any()


def test_mr_shows_the_labelled_bone_in_its_size_with_marrow_inside(body: Body) -> None:
    assert body.labelled is not None
    seen = compose(body, grid_around(body, 0.7), Marrow(0.4, 0.0))
    inside = seen.truth.bones == L3
    assert inside.sum() * 0.7**3 / 1000 == pytest.approx(body.labelled.bones[0].volume_ml, rel=0.02)
    deep = view_body(body, grid_around(body, 0.7), margin_mm=2.0).depth_mm > 4
    c = seen.composition
    is_marrow = (c.index_a == Tissue.MIXED_MARROW) & (c.share_b < 0.5) | (c.index_b == Tissue.MIXED_MARROW)
    assert is_marrow[deep & inside & (seen.truth.mimics == 0)].mean() > 0.99


def test_metastases_are_drawn_in_the_labelled_bone(body: Body) -> None:
    assert body.labelled is not None
    (bone,) = body.labelled.bones
    found = draw_metastases(np.random.default_rng(2), body, n=6, bones=[L3])
    for deposit in found:
        i, j, k = np.rint(bone.grid.to_ijk(deposit.lobes_mm[0, :3])).astype(int)
        assert deposit.owner == L3
        assert bone.depth_mm[i, j, k] > 0


@pytest.mark.parametrize("cohort", ["ct-spine", "graded"])
def test_cohorts_look_at_the_labelled_bone(cohort: str, bones: LabelledBones) -> None:
    (case,) = draw_patient(cohort, seed=1, number=2, coarse=2.5, labelled=bones).cases
    volume_mm3 = np.count_nonzero(case.bones.array == L3) * case.bones.grid.voxel_volume_mm3
    # Labelled bones are made up to 10 % larger or smaller; voxels of several mm round the volume.
    assert 0.9**3 * 0.9 < volume_mm3 / (8 * HALF_MM.prod()) < 1.1**3 * 1.1


def test_a_column_with_the_labelled_levels_is_preferred(bones: LabelledBones) -> None:
    grid = bones.bones[0].grid
    array = (bones.bones[0].depth_mm > 0) * np.uint8(STRUCTURES["L6"].id)
    named = bones_from_labels(LabelMap(array.astype(np.uint8), grid, {"L6": STRUCTURES["L6"].id}))
    body = sample_body(np.random.default_rng(0), n_metastases=0, numbering=Numbering.L6, labelled=named)
    assert body.labelled is not None
    lowest = body.column.vertebrae[0]
    assert lowest.name == "L6"
    np.testing.assert_allclose(body.labelled.corners_mm().mean(axis=0), lowest.centre_mm, atol=2.0)


def test_skin_moves_out_just_as_far_as_a_point_needs() -> None:
    """A point 5 mm inside of a flank whose fat is 20 mm thick lacks 15 mm at both knots beside it."""
    z = np.arange(0.0, 60.0, 12.0)
    one = np.ones(z.size)
    outline = Outline(z, 0 * one, 150 * one, -120 * one, 180 * one, 20 * one)
    wide = widened(outline, np.array([[145.0, 30.0, 30.0]]))
    np.testing.assert_allclose(wide.half_width_mm, [150, 150, 165, 165, 150])
    np.testing.assert_allclose(wide.back_mm, [180, 180, 195, 195, 180])
    np.testing.assert_allclose(wide.front_mm, [-120, -120, -135, -135, -120])
    same = widened(outline, np.array([[0.0, 30.0, 30.0]]))
    np.testing.assert_array_equal(same.half_width_mm, outline.half_width_mm)
