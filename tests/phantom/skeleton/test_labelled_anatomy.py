"""Bones of a label map as shapes: volume, distance, topology, parts; patients around them."""

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from osteomet.core.errors import InputError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap
from osteomet.image.components import label_components
from osteomet.io.anatomy_folder import list_anatomies, read_anatomy
from osteomet.phantom.geometry.shapes import ShapeTable, Warp, cut, random_warp, warped_points
from osteomet.phantom.labelled_body import fit_column, resized, settle
from osteomet.phantom.lesions.metastases import draw_disease, draw_metastasis
from osteomet.phantom.lesions.sites import Place, Ray
from osteomet.phantom.skeleton.anatomy import Vertebra, sample_column
from osteomet.phantom.skeleton.bones import add_vertebra
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones, bone_from_mask, bones_from_labels
from osteomet.phantom.skeleton.parts import BODY, structure_table

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
L3, L4 = STRUCTURES["L3"].id, STRUCTURES["L4"].id
TURN = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
NAMES = {s.name: s.id for s in STRUCTURES.values()}


def centred(shape: tuple[int, int, int], spacing: tuple[float, float, float], turn: NDArray[np.float64]) -> Grid:
    start = -turn @ ((np.array(shape) - 1) / 2 * spacing)
    return Grid.from_spacing(shape, spacing, origin_mm=start.tolist(), direction=turn)


def ball(grid: Grid, radius: float) -> NDArray[np.bool_]:
    return np.asarray(np.linalg.norm(warped_points(grid, STILL), axis=-1) < radius)


def test_a_ball_in_thick_oblique_slices_is_smooth_and_keeps_its_volume() -> None:
    grid = centred((44, 50, 14), (0.8, 0.7, 3.0), TURN)
    mask = ball(grid, 12.0)
    bone = bone_from_mask(mask, grid, owner=L3)
    assert bone.volume_ml == pytest.approx(np.count_nonzero(mask) * grid.voxel_volume_ml, rel=0.005)
    fine = centred((70, 70, 70), (0.5, 0.5, 0.5), np.eye(3))
    points = warped_points(fine, STILL)
    found = LabelledBones((bone,)).cut(points, fine, STILL)
    true = np.linalg.norm(points, axis=-1) - 12.0
    near = np.abs(true) < 2
    # Steps of 3 mm slices would leave errors up to 1.5 mm.
    assert np.abs(found.distance_mm - true)[near].mean() < 0.4
    assert np.count_nonzero(found.distance_mm < 0) / 8000 == pytest.approx(4 / 3 * np.pi * 1.2**3, rel=0.02)
    assert set(np.unique(found.owner[near])) == {L3}


def test_every_grid_sees_the_same_bone() -> None:
    grid = centred((30, 30, 30), (1.0, 1.0, 1.0), np.eye(3))
    bones = bones_from_labels(LabelMap(ball(grid, 9.0).astype(np.uint8) * np.uint8(L3), grid, NAMES))
    warp = random_warp(np.random.default_rng(4), amplitude_mm=8.0)
    whole = centred((40, 40, 40), (0.8, 0.8, 0.8), TURN)
    part = whole.crop((15, 10, 5), (20, 20, 20))
    seen = [bones.cut(warped_points(g, warp), g, warp) for g in (whole, part)]
    np.testing.assert_allclose(seen[0].distance_mm[15:35, 10:30, 5:25], seen[1].distance_mm, atol=1e-4)


def test_the_warp_never_folds_space() -> None:
    step = 1e-3
    for seed in range(20):
        warp = random_warp(np.random.default_rng(seed), amplitude_mm=12.0)
        places = np.random.default_rng(seed).uniform(-300, 300, (200, 3))
        columns = []
        for axis in np.eye(3) * step:
            pair = [_through(warp, places + sign * axis) for sign in (0.5, -0.5)]
            columns.append((pair[0] - pair[1]) / step)
        assert np.linalg.det(np.stack(columns, axis=-1)).min() > 0.3


def _through(warp: Warp, places: NDArray[np.float64]) -> NDArray[np.float64]:
    """What `kernels.warp_points` does, in double precision."""
    for amplitude, wave, phase in zip(warp.amplitudes_mm, warp.waves, warp.phases, strict=True):
        places = places + np.sin(places @ wave + phase)[:, None] * amplitude
    return places


def test_deformation_keeps_pieces_and_holes() -> None:
    grid = centred((60, 60, 40), (1.0, 1.0, 1.5), np.eye(3))
    x, y, z = np.moveaxis(warped_points(grid, STILL), -1, 0)
    ring = np.hypot(np.hypot(x, y) - 18, z + 8) < 5
    balls = (np.hypot(np.hypot(x, y), z - 16) < 6) | (np.hypot(np.hypot(x - 20, y), z - 16) < 5)
    labels = LabelMap((ring * np.uint8(L3) + balls * np.uint8(L4)).astype(np.uint8), grid, NAMES)
    bones = bones_from_labels(labels)
    for seed in range(4):
        warp = random_warp(np.random.default_rng(seed), amplitude_mm=10.0)
        found = bones.cut(warped_points(grid, warp), grid, warp)
        shown = {owner: (found.distance_mm < 0) & (found.owner == owner) for owner in (L3, L4)}
        assert not np.array_equal(shown[L3], labels.array == L3)
        # One ring with one hole: Euler number 0. Two balls: Euler number 2.
        assert [label_components(shown[owner])[1] for owner in (L3, L4)] == [1, 2]
        assert [_euler(shown[owner]) for owner in (L3, L4)] == [0, 2]
        assert [np.count_nonzero(ndimage.binary_fill_holes(m) ^ m) for m in shown.values()] == [0, 0]


def _euler(mask: NDArray[np.bool_]) -> int:
    """Corners minus edges plus faces minus voxels of the solid made of closed voxels."""
    solid = np.pad(mask, 1)
    number = -int(np.count_nonzero(solid))
    for axes, sign in (((0,), 1), ((1,), 1), ((2,), 1), ((0, 1), -1), ((0, 2), -1), ((1, 2), -1), ((0, 1, 2), 1)):
        cells = solid
        for axis in axes:
            cells = cells | np.roll(cells, 1, axis)
        number += sign * int(np.count_nonzero(cells))
    return number


def vertebra_map() -> tuple[LabelMap, NDArray[np.bool_], Vertebra]:
    """L3 of a drawn column in voxels of 1 mm, where its body is, and the vertebra itself."""
    column = sample_column(np.random.default_rng(3))
    v = next(v for v in column.vertebrae if v.name == "L3")
    table = ShapeTable()
    add_vertebra(table, v, np.random.default_rng(3))
    start = v.centre_mm - [50, 40, 40]
    grid = Grid.from_spacing((100, 110, 80), (1.0, 1.0, 1.0), origin_mm=start.tolist())
    found = cut(table.freeze(), warped_points(grid, STILL), grid, STILL, margin_mm=2.0)
    inside = found.distance_mm < 0
    return LabelMap((inside * np.uint8(L3)).astype(np.uint8), grid, NAMES), inside & (found.part == BODY), v


def test_the_body_of_a_vertebra_is_found_by_shape_or_taken_from_the_map() -> None:
    labels, body, _ = vertebra_map()
    points = warped_points(labels.grid, STILL)
    parts = np.where(body, 1, np.where(labels.array > 0, 2, 0)).astype(np.uint8)
    known = LabelMap(parts, labels.grid, {"body": 1, "posterior": 2})
    for given, least in ((None, 0.88), (known, 0.97)):
        found = bones_from_labels(labels, given).cut(points, labels.grid, STILL)
        mine = (found.distance_mm < 0) & (found.part == BODY)
        assert 2 * np.count_nonzero(mine & body) / (np.count_nonzero(mine) + np.count_nonzero(body)) > least


def test_a_column_follows_labelled_vertebrae() -> None:
    """Extents are percentiles of the body, whose waist is an eighth narrower than the end plates."""
    labels, _, drawn = vertebra_map()
    column, bones = fit_column(np.random.default_rng(5), bones_from_labels(labels))
    (bone,) = bones.bones
    fitted = next(v for v in column.vertebrae if v.name == "L3")
    seen = bone.grid.to_xyz_mm(np.argwhere((bone.depth_mm > 0) & (bone.part == BODY)))
    np.testing.assert_allclose(fitted.centre_mm, seen.mean(axis=0), atol=2.5)
    size, drawn_size = ((v.width_mm, v.depth_mm, v.height_mm) for v in (fitted, drawn))
    np.testing.assert_allclose(size, drawn_size, rtol=1 / 7)
    heights = [v.centre_mm[2] for v in column.vertebrae]
    assert heights == sorted(heights)


def test_resized_bones_grow_by_the_cube() -> None:
    grid = centred((30, 30, 30), (1.0, 1.0, 1.0), np.eye(3))
    bones = LabelledBones((bone_from_mask(ball(grid, 9.0), grid, owner=L3),))
    assert resized(bones, 1.1).bones[0].volume_ml == pytest.approx(bones.bones[0].volume_ml * 1.331)


def test_deposits_settle_in_their_bone() -> None:
    grid = centred((30, 30, 30), (1.0, 1.0, 1.0), np.eye(3))
    bones = LabelledBones((bone_from_mask(ball(grid, 9.0), grid, owner=L3),))

    def look(start: NDArray[np.float64], direction: NDArray[np.float64], *, length_mm: float) -> Ray:  # noqa: ARG001
        return Ray(np.ones(9, dtype=np.float32), np.zeros(9, dtype=np.uint8))

    rng = np.random.default_rng(1)
    for owner, place, moves in ((L3, [40.0, 0, 0], True), (L3, [3.0, 0, 0], False), (L4, [40.0, 0, 0], False)):
        drawn = draw_metastasis(rng, Place(owner, 0, np.array(place)), draw_disease(rng), look, marrow_hu=200.0)
        (settled,) = settle([drawn], bones)
        radius = float(np.linalg.norm(settled.lobes_mm[0, :3]))
        assert (radius < 9) if moves else np.array_equal(settled.lobes_mm, drawn.lobes_mm)


def test_an_empty_map_has_no_bones() -> None:
    grid = Grid.from_spacing((4, 4, 4), (1.0, 1.0, 1.0))
    with pytest.raises(InputError, match=r"the anatomy has no bones; expected .*; remedy: pass a label map"):
        bones_from_labels(LabelMap(np.zeros(grid.shape, dtype=np.uint8), grid, NAMES))


DATA = Path(__file__).parents[3].parent / "shared" / "data" / "anatomy"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real anatomy at {DATA}")
def test_bodies_by_shape_agree_with_those_of_a_real_map() -> None:
    maps = read_anatomy(list_anatomies(DATA)[0])
    assert maps.parts is not None
    for name in ("T6", "L3"):
        i, j, k = ndimage.find_objects((maps.bones.array == NAMES[name]).astype(np.uint8))[0]
        box = (i, j, k)
        grid = maps.bones.grid.crop([s.start for s in box], [s.stop - s.start for s in box])
        bone = bone_from_mask(maps.bones.array[box] == NAMES[name], grid, owner=NAMES[name])
        index = np.clip(
            np.rint(grid.to_ijk(bone.grid.to_xyz_mm(np.argwhere(bone.depth_mm > 0)))), 0, np.array(grid.shape) - 1
        )
        true = maps.parts.array[box][tuple(index.astype(int).T)] == maps.parts.labels["body"]
        mine = bone.part[bone.depth_mm > 0] == BODY
        assert 2 * np.count_nonzero(true & mine) / (true.sum() + mine.sum()) > 0.9


def test_structures_of_a_hip_bone_become_one_bone_with_parts() -> None:
    """Two blocks of 20 x 24 x 18 mm side by side, called ilium and ischium, are one block without a surface between."""
    array = np.zeros((30, 20, 17), dtype=np.uint8)
    array[5:15, 4:16, 4:13], array[15:25, 4:16, 4:13] = NAMES["ilium_left"], NAMES["ischium_left"]
    (bone,) = bones_from_labels(LabelMap(array, Grid.from_spacing(array.shape, (2.0, 2.0, 2.0)), NAMES)).bones
    assert bone.owner == NAMES["hip_left"]
    assert bone.volume_ml == pytest.approx(40 * 24 * 18 / 1000, rel=0.02)
    x, y, z = (np.rint(bone.grid.to_ijk((mm, 20.0, 16.0))).astype(int) for mm in (22.0, 29.0, 36.0))
    assert bone.depth_mm[tuple(y)] > 6
    named = structure_table()[bone.owner, [bone.part[tuple(v)] for v in (x, z)]]
    assert named.tolist() == [NAMES["ilium_left"], NAMES["ischium_left"]]
