"""MR samples: the same number is the same bytes, a missing sequence changes nothing else, slices lie where they say."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, SequenceRole
from osteomet.nn.inputs import SequenceImage, sequence_inputs
from osteomet.nn.losses import IGNORED
from osteomet.phantom.mr.geometry import Orientation
from osteomet.phantom.scene import Truth
from osteomet.phantom.skeleton.parts import BODY, PARTS
from osteomet.training import mr_samples
from osteomet.training.mr_samples import MrSample, as_seen, divided, draw_mr_sample
from osteomet.training.mr_stacks import PREVIEW_MM, View, draw_stack, draw_view, preview_grid
from osteomet.training.recipe import PartRecipe, read_recipe
from osteomet.training.samples import bone_classes

GRID = Grid.from_spacing((16, 16, 16), (2.0, 2.0, 2.0), origin_mm=(-15, -15, -15))


def tiny(part: str) -> PartRecipe:
    recipe: PartRecipe = getattr(read_recipe("default-mr"), part)
    return replace(recipe, patch=(16, 16, 16), n_metastases=3)


@pytest.mark.parametrize("part", ["bones", "lesions"])
def test_the_same_number_gives_the_same_bytes(part: str) -> None:
    recipe = tiny(part)
    first, other, again = (draw_mr_sample(part, recipe, number) for number in (3, 9, 3))
    assert len(first.images) == len(recipe.sequences)
    contents = [
        (sample.target.tobytes(), *(image and image.signal.tobytes() for image in sample.images))
        for sample in (first, other, again)
    ]
    assert contents[0] == contents[2]
    assert contents[0] != contents[1]
    assert all(image is None or image.signal.shape == (16, 16, 16) for image in first.images)
    asked = first.target[first.target != IGNORED]
    assert asked.max(initial=0) < len(recipe.outputs)


def test_every_sequence_is_drawn_now_and_then_and_none_always() -> None:
    """Exams hold one to four acquisitions, each of them in a part of 300 exams; a bone network gets any one role."""
    rng = np.random.default_rng(0)
    drawn = [mr_samples._draw_acquisitions(tiny("lesions"), rng) for _ in range(300)]
    assert {len(roles) for roles in drawn} == {1, 2, 3, 4}
    shares = {roles[0]: np.mean([roles[0] in exam for exam in drawn]) for roles in mr_samples._ACQUISITIONS}
    assert all(0.15 < share < 0.75 for share in shares.values()), shares
    any_one = {mr_samples._draw_acquisitions(tiny("bones"), rng)[0] for _ in range(100)}
    assert any_one == set(read_recipe("default-mr").bones.sequences[0])


def sample(*, bones: bool) -> MrSample:
    """Three inputs, the second missing; the first shows the lower half of i, the third the lower half of j."""
    lower = [np.indices(GRID.shape)[axis] < 8 for axis in (0, 1)]
    rng = np.random.default_rng(0)
    first, third = (SequenceImage(rng.uniform(0.5, 2.0, GRID.shape).astype(np.float16), covered) for covered in lower)
    is_bone = np.ones(GRID.shape, dtype=np.bool_) if bones else None
    return MrSample((first, None, third), np.ones(GRID.shape, dtype=np.uint8), is_bone)


def test_flags_say_what_is_there_and_unseen_targets_are_not_asked_for() -> None:
    """Over 40 draws each of the two sequences is dropped now and then, never both; the one that is missing stays so."""
    kept = []
    for seed in range(40):
        inputs, target = as_seen(sample(bones=True), np.random.default_rng(seed))
        assert inputs.shape == (7, 16, 16, 16)
        flags = inputs[[1, 3, 5]]
        assert set(np.unique(flags)) <= {-1.0, 1.0}
        assert (inputs[2:4] == -1).all()
        assert (inputs[[0, 2, 4]][flags == -1] == -1).all()
        assert (inputs[6] == 1).all()
        np.testing.assert_array_equal(target == IGNORED, (flags == -1).all(axis=0))
        kept.append((bool((flags[0] > 0).any()), bool((flags[2] > 0).any())))
    assert set(kept) == {(True, True), (True, False), (False, True)}


def test_what_a_bone_network_is_not_shown_is_background() -> None:
    inputs, target = as_seen(sample(bones=False), np.random.default_rng(0))
    assert inputs.shape[0] == 6
    np.testing.assert_array_equal(target == 0, (inputs[[1, 3, 5]] == -1).all(axis=0))


def test_a_missing_sequence_changes_nothing_else() -> None:
    """Taken out of the sample, the third leaves the channels of the others as they were."""
    whole = sample(bones=True)
    without = replace(whole, images=(whole.images[0], None, None))
    one = sequence_inputs(without.images, GRID.shape, without.bones)
    all_ = sequence_inputs(whole.images, GRID.shape, whole.bones)
    np.testing.assert_array_equal(one[[0, 1, 2, 3, 6]], all_[[0, 1, 2, 3, 6]])
    assert (one[4:6] == -1).all()
    assert (all_[5] == 1).sum() == 16 * 8 * 16


def test_structures_of_hip_bones_and_femora_are_classes_of_their_own() -> None:
    """One voxel each of: air, left pubis, right ilium, head and shaft of the left femur, deep L3, a rib."""
    names = [None, ("hip_left", "pubis"), ("hip_right", "ilium"), ("femur_left", "femoral_head")]
    names += [("femur_left", "femur"), ("L3", "body"), ("rib", "rib_left_9")]
    bones = np.array([STRUCTURES[n[0]].id if n else 0 for n in names], dtype=np.uint8).reshape(-1, 1, 1)
    parts = np.array([PARTS[n[1]] if n else 0 for n in names], dtype=np.uint8).reshape(-1, 1, 1)
    none = np.zeros_like(bones)
    fine = divided(Truth(bones, parts, none, none, none))
    outputs = read_recipe("default-mr").bones.outputs
    classes = bone_classes(fine, parts, np.full(bones.shape, 6.0, np.float32), outputs).ravel()
    assert PARTS["body"] == BODY
    assert [outputs[c] for c in classes] == [
        "background", "pubis_left", "ilium_right", "femoral_head_left", "femur_left", "core_lumbar", "rib",
    ]  # fmt: skip


def view(orientation: Orientation, low: tuple[float, ...], high: tuple[float, ...]) -> View:
    return View(orientation, np.array([low, high], dtype=np.float64))


@pytest.mark.parametrize(
    ("orientation", "axis"), [(Orientation.SAGITTAL, 0), (Orientation.CORONAL, 1), (Orientation.AXIAL, 2)]
)
def test_slices_cover_what_patch_and_view_share(orientation: Orientation, axis: int) -> None:
    """The patch spans −16 … 16 mm and the view −6 … 100 mm: slices stand along their axis over 22 mm."""
    for seed in range(8):
        rng = np.random.default_rng(seed)
        stack = draw_stack(view(orientation, (-6, -6, -6), (100, 100, 100)), GRID, (0.9, 1.5), rng)
        normal = stack.grid.direction[:, stack.slice_axis]
        assert abs(normal[axis]) > np.cos(np.deg2rad(20))
        spacing = stack.grid.spacing_mm
        assert spacing[0] == spacing[1]
        assert 0.9 <= spacing[0] <= 1.5
        assert 2.0 <= stack.pitch_mm <= 6.0 * 1.25
        assert stack.slice_mm is not None
        assert 2.0 <= stack.slice_mm <= stack.pitch_mm
        assert stack.grid.shape[stack.slice_axis] == np.ceil(round(22 / stack.pitch_mm, 6))
        middle = stack.grid.to_xyz_mm((np.array(stack.grid.shape) - 1) / 2)
        np.testing.assert_allclose(middle, 5.0, atol=stack.pitch_mm)


def test_a_view_holds_the_middle_of_the_patch() -> None:
    depths: dict[Orientation, list[float]] = {orientation: [] for orientation in Orientation}
    for seed in range(100):
        drawn = draw_view(GRID, np.random.default_rng(seed))
        extent = np.diff(drawn.box_mm, axis=0)[0]
        from_low = -drawn.box_mm[0] / extent
        assert (from_low >= 0.2 - 1e-9).all()
        assert (from_low <= 0.8 + 1e-9).all()
        depths[drawn.orientation].append(float(extent[{"sagittal": 0, "coronal": 1, "axial": 2}[drawn.orientation]]))
    assert all(depths.values())
    assert max(depths[Orientation.SAGITTAL]) <= 90
    assert min(depths[Orientation.AXIAL]) >= 70


def test_a_preview_covers_its_view() -> None:
    """A box of 50 × 41 × 8 mm takes 7 × 6 × 2 voxels of 8 mm about its middle."""
    grid = preview_grid(view(Orientation.SAGITTAL, (0, 0, 0), (50, 41, 8)))
    assert PREVIEW_MM == 8.0
    assert grid.shape == (7, 6, 2)
    np.testing.assert_allclose(grid.to_xyz_mm((np.array(grid.shape) - 1) / 2), (25, 20.5, 4))


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"sequences": ()}, "sees either windows of HU or sequences; expected windows_hu for CT.*; got neither"),
        ({"windows_hu": ((0.0, 1.0),)}, "sees either windows of HU or sequences; .* got both"),
        ({"sequences": ((SequenceRole.T1, SequenceRole.DYNAMIC),)}, "cannot take this sequence; .* got dynamic"),
    ],
)
def test_a_recipe_states_what_its_network_sees(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        replace(tiny("lesions"), **change)
