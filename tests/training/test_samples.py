"""The sample of a number is always the same; its targets are those of the phantom, worked out by hand."""

from dataclasses import replace

import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.distance import distance_to_mm
from osteomet.nn.losses import IGNORED
from osteomet.phantom.ct.rendering import CtPhantom
from osteomet.phantom.scene import Truth
from osteomet.phantom.skeleton.parts import BODY, PARTS
from osteomet.training.recipe import PartRecipe, read_recipe
from osteomet.training.samples import (
    OUTSIDE_HU,
    as_if_coarser,
    bone_targets,
    bones_as_found,
    draw_sample,
    lesion_targets,
    where_sought,
)


def tiny(part: str) -> PartRecipe:
    recipe: PartRecipe = getattr(read_recipe("default-ct"), part)
    return replace(recipe, patch=(16, 16, 16), n_metastases=3)


@pytest.mark.parametrize("part", ["bones", "lesions"])
def test_the_same_number_gives_the_same_bytes(part: str) -> None:
    first, other, again = (draw_sample(part, tiny(part), number) for number in (3, 9, 3))
    assert first.image_hu.tobytes() == again.image_hu.tobytes()
    assert first.target.tobytes() == again.target.tobytes()
    assert first.image_hu.tobytes() != other.image_hu.tobytes()
    assert first.image_hu.shape == first.target.shape == (16, 16, 16)
    assert first.image_hu.dtype == np.dtype(np.float32)
    assert first.target.dtype == np.dtype(np.uint8)
    asked = first.target[first.target != IGNORED]
    assert asked.size > 0
    assert asked.max() < len(tiny(part).outputs)


def test_the_bone_network_is_not_told_of_bones() -> None:
    sample = draw_sample("bones", tiny("bones"), 3)
    assert sample.bones is None
    assert not (sample.target == IGNORED).any()


def test_lesions_are_asked_for_near_bones_that_are_searched() -> None:
    """A voxel of L3 and one of a rib on a line of 1.5 mm: within 5 mm, three voxels to each side, of L3 alone."""
    bones = np.zeros((20, 1, 1), np.uint8)
    bones[5], bones[15] = STRUCTURES["L3"].id, STRUCTURES["rib_left_9"].id
    target = np.ones((20, 1, 1), np.uint8)
    asked = where_sought(target, bones, tiny("lesions")) != IGNORED
    assert np.flatnonzero(asked).tolist() == [2, 3, 4, 5, 6, 7, 8]
    np.testing.assert_array_equal(where_sought(target, bones, tiny("bones")), target)


def test_the_lesion_network_learns_only_near_bones() -> None:
    """What it is told of bones has surfaces that are a few millimetres off; whole patches, for a bone beyond the edge
    of a scan is near too, though nobody sees it."""
    recipe = replace(read_recipe("default-ct").lesions, patch=(32, 32, 32), n_metastases=3)
    samples = [draw_sample("lesions", recipe, number) for number in range(9)]
    told = []
    for sample in samples:
        if (sample.image_hu == OUTSIDE_HU).any():
            continue
        assert sample.bones is not None
        distance = distance_to_mm(sample.bones, recipe.spacing_mm)
        assert (sample.target[distance > 10.0] == IGNORED).all()
        told.append(float(sample.bones.mean()))
    assert len(told) > 3
    assert 0 < np.mean(told) < 0.6


def test_bones_as_found_differ_from_the_truth_at_their_surface_only() -> None:
    """A ball of 12 mm radius, told six times: never the same, radius of its volume within 2 mm, centre within 2 mm."""
    grid = Grid.from_spacing((32, 32, 32), (1.5, 1.5, 1.5))
    xyz = np.moveaxis(np.indices(grid.shape), 0, -1) * 1.5 - 23.25
    ball = np.linalg.norm(xyz, axis=-1) < 12
    rng = np.random.default_rng(5)
    told = [bones_as_found(ball, np.zeros_like(ball), grid, rng) for _ in range(6)]
    assert all((one != ball).any() for one in told)
    for one in told:
        assert (one.sum() * 1.5**3 * 3 / (4 * np.pi)) ** (1 / 3) == pytest.approx(12, abs=2)
        np.testing.assert_allclose(xyz[one].mean(axis=0), 0, atol=2)


def test_some_patches_look_coarser_by_half_an_edge() -> None:
    """A point spreads with the deviation that its edges ask for; in the axial plane alike in both directions."""
    point = np.zeros((33, 33, 33), np.float32)
    point[16, 16, 16] = 1.0
    seen = [as_if_coarser(point, (1.0, 1.0, 1.0), np.random.default_rng(seed)) for seed in range(60)]
    blurred = [image for image in seen if image is not point]
    assert 12 <= len(blurred) <= 36
    axis = np.arange(33) - 16
    deviations = np.array(
        [
            [np.sqrt((image.sum(axis=others) * axis**2).sum()) for others in ((1, 2), (0, 2), (0, 1))]
            for image in blurred
        ]
    )
    np.testing.assert_allclose(deviations[:, 0], deviations[:, 1], rtol=1e-3)
    assert deviations[:, 0].max() < 1.75
    assert deviations[:, 2].max() < 2.5
    assert deviations[:, 2].max() > 1.75
    np.testing.assert_allclose([image.sum() for image in blurred], 1.0, rtol=1e-3)


def row_of_voxels() -> CtPhantom:
    """One voxel of each kind: air, L3 deep, just below its surface, in its arch, T12, C5, sacrum."""
    names = [None, "L3", "L3", "L3", "T12", "C5", "sacrum"]
    bones = np.array([STRUCTURES[name].id if name else 0 for name in names], dtype=np.uint8).reshape(-1, 1, 1)
    parts = np.array([0, BODY, BODY, PARTS["lamina"], BODY, BODY, 0], dtype=np.uint8).reshape(-1, 1, 1)
    depth = np.array([-9, 6, 1, 6, 2.6, 2.5, 9], dtype=np.float32).reshape(-1, 1, 1)
    kinds = np.array([0, 1, 2, 0, 0, 2, 1], dtype=np.uint8).reshape(-1, 1, 1)
    grid = Grid.from_spacing(bones.shape, (1, 1, 1))
    volume = Volume(np.zeros(bones.shape, dtype=np.int16), grid, Modality.CT, Unit.HU)
    return CtPhantom(volume, Truth(bones, parts, kinds, kinds, kinds), depth)


def test_bone_targets_by_hand() -> None:
    """The core is the body more than 2.5 mm below its surface; exactly 2.5 mm is still rim."""
    outputs = read_recipe("default-ct").bones.outputs
    targets = bone_targets(row_of_voxels(), outputs)[:, 0, 0]
    assert [outputs[t] for t in targets] == [
        "background", "core_lumbar", "body_rim", "posterior", "core_thoracic", "body_rim", "sacrum",
    ]  # fmt: skip


def test_lesion_targets_follow_the_order_of_the_outputs() -> None:
    phantom = row_of_voxels()
    assert lesion_targets(phantom, ("background", "lytic", "sclerotic")).ravel().tolist() == [0, 1, 2, 0, 0, 2, 1]
    assert lesion_targets(phantom, ("background", "sclerotic", "lytic")).ravel().tolist() == [0, 2, 1, 0, 0, 1, 2]
