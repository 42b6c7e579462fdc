"""Bones cut by real grids: connected, apart, with the right parts on the right sides, and of natural size."""

from functools import lru_cache
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import binary_erosion, label, map_coordinates
from scipy.spatial import cKDTree
from scipy.spatial.transform import Rotation
from scipy.special import gamma

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import LIU2021_STRUCTURES, STRUCTURES
from osteomet.io.formats import read_instances
from osteomet.phantom.geometry.shapes import Cut, Shapes, ShapeTable, Warp, cut, warped_points
from osteomet.phantom.skeleton.anatomy import Column, Numbering, Sex, Vertebra, frame, sample_column
from osteomet.phantom.skeleton.bones import add_hips_and_femora, add_ribs, add_sacrum, add_vertebra
from osteomet.phantom.skeleton.parts import PARTS, is_posterior, structure_table

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
REAL = Path(__file__).parents[3].parent / "shared" / "data" / "anatomy" / "sub-sample001_seg-vert_msk.nii.gz"
VERTEBRAL = {name: code for name, code in PARTS.items() if code < 10}


@lru_cache(maxsize=8)
def skeleton(seed: int, sex: Sex | None = None, numbering: Numbering | None = None) -> tuple[Column, Shapes]:
    rng = np.random.default_rng(seed)
    column = sample_column(rng, sex=sex, numbering=numbering)
    table = ShapeTable()
    for vertebra in column.vertebrae:
        add_vertebra(table, vertebra, rng)
    add_ribs(table, column, rng)
    add_sacrum(table, column, rng)
    add_hips_and_femora(table, column.scale, rng, sex=column.sex)
    return column, table.freeze()


def cut_box(bones: Shapes, low: NDArray[np.float64], high: NDArray[np.float64], spacing: float) -> tuple[Grid, Cut]:
    shape = np.ceil((high - low) / spacing).astype(int)
    grid = Grid.from_spacing(shape.tolist(), (spacing,) * 3, origin_mm=low.tolist())
    return grid, cut(bones, warped_points(grid, STILL), grid, STILL, margin_mm=2.0)


def cut_vertebra(bones: Shapes, v: Vertebra, spacing: float = 1.0) -> tuple[Grid, Cut]:
    return cut_box(bones, v.centre_mm - [55, 35, 50], v.centre_mm + [55, 75, 50], spacing)


def owned(found: Cut, name: str) -> NDArray[np.bool_]:
    return np.asarray((found.owner == STRUCTURES[name].id) & (found.distance_mm < 0))


def n_components(mask: NDArray[np.bool_]) -> int:
    return int(label(mask, np.ones((3, 3, 3)))[1])


def gap_mm(one: NDArray[np.bool_], other: NDArray[np.bool_], spacing: float = 1.0) -> float:
    """Least distance between voxel centres of two bones."""
    surfaces = [np.argwhere(mask & ~binary_erosion(mask)) for mask in (one, other)]
    return float(cKDTree(surfaces[0]).query(surfaces[1])[0].min()) * spacing


def test_a_plain_body_has_its_analytic_volume_on_an_oblique_grid() -> None:
    table = ShapeTable()
    table.vertebral_body((2, 1, -3), np.eye(3), (44, 34, 26), (0.0, 0.0, 0.0), owner=22, part=PARTS["body"])
    turn = Rotation.from_euler("zyx", [25, 17, 11], degrees=True).as_matrix()
    spacing, shape = np.array([0.7, 1.0, 1.4]), np.array([96, 70, 50])
    origin = np.array([2, 1, -3]) - turn @ (spacing * (shape - 1) / 2)
    grid = Grid.from_spacing(shape.tolist(), spacing.tolist(), origin_mm=origin.tolist(), direction=turn)
    found = cut(table.freeze(), warped_points(grid, STILL), grid, STILL, margin_mm=2.0)

    def quarter(exponent: float) -> float:
        return float(gamma(1 + 1 / exponent) ** 2 / gamma(1 + 2 / exponent))

    # Superellipses of exponent 2.1 before and 3.2 behind, less the hollow: a parabola of 0.12 of the half depth over
    # half the width, whose area is two thirds of its frame.
    area = 22 * 17 * (2 * quarter(2.1) + 2 * quarter(3.2) - 2 / 3 * 0.12)
    assert (found.distance_mm < 0).sum() * grid.voxel_volume_mm3 == pytest.approx(area * 26, rel=0.02)


@pytest.mark.parametrize("seed", [3, 12])
def test_each_vertebra_is_one_piece_of_all_its_parts(seed: int) -> None:
    column, bones = skeleton(seed)
    for v in column.vertebrae:
        _, found = cut_vertebra(bones, v)
        mask = owned(found, v.name)
        assert n_components(mask) == 1, v.name
        present = set(np.unique(found.part[mask]).tolist())
        expected = set(VERTEBRAL.values())
        if v.name == "C1":
            expected -= {PARTS["pedicle_left"], PARTS["pedicle_right"]}
        assert present == expected, v.name


@pytest.mark.parametrize("name", ["C2", "C5", "T2", "T8", "T12", "L3", "L5"])
def test_parts_lie_on_their_sides_and_behind_the_body(name: str) -> None:
    column, bones = skeleton(3, numbering=Numbering.USUAL)
    v = column.nearest(name)
    grid, found = cut_vertebra(bones, v)
    mask = owned(found, name)
    place = (grid.to_xyz_mm(np.argwhere(mask)) - v.centre_mm) @ v.axes
    part = found.part[mask]
    for stem in ("pedicle", "facet", "transverse_process"):
        assert place[part == PARTS[f"{stem}_left"], 0].min() > 0
        assert place[part == PARTS[f"{stem}_right"], 0].max() < 0
    body = place[part == PARTS["body"]]
    assert place[part == PARTS["spinous_process"], 1].min() > body[:, 1].max()
    assert place[part == PARTS["lamina"], 1].mean() > body[:, 1].max()
    assert abs(place[part == PARTS["spinous_process"], 0].mean()) < 3


@pytest.mark.parametrize("seed", [3, 21])
def test_facets_of_neighbours_face_each_other_across_a_gap(seed: int) -> None:
    column, bones = skeleton(seed, numbering=Numbering.USUAL)
    for lower, upper in pairwise(column.vertebrae):
        middle = np.mean([joint.centre_mm for joint in lower.joints_above], axis=0)
        _, found = cut_box(bones, middle - [45, 25, 25], middle + [45, 30, 25], 1.0)
        # The joint space is 1.8 mm of true distance; the slightly steep distance of bodies may shorten it.
        assert 1.4 < gap_mm(owned(found, lower.name), owned(found, upper.name)) < 4.0, (lower.name, upper.name)
        for word in ("left", "right"):
            facets = [owned(found, n) & (found.part == PARTS[f"facet_{word}"]) for n in (lower.name, upper.name)]
            assert 1.4 < gap_mm(*facets) < 5.0, (lower.name, upper.name, word)


@pytest.mark.parametrize("numbering", [Numbering.USUAL, Numbering.L6, Numbering.SACRALISED_L5])
def test_the_canal_is_open_from_atlas_to_sacrum(numbering: Numbering) -> None:
    column, bones = skeleton(6, numbering=numbering)
    centres = [v.at(0, v.depth_mm / 2 + v.sizes.canal_depth / 2, 0) for v in reversed(column.vertebrae)]
    first = column.vertebrae[-1]
    line = [first.at(0, first.depth_mm / 2 + 8.0, 25.0), *centres]
    sacral = frame(column.sacral_tilt_rad, 0.0) @ np.array([0, 31.0 / 2 + 7.0, -5.0])
    line.append(column.sacrum_centre_mm + sacral * column.scale)
    path = np.vstack([np.linspace(a, b, 20) for a, b in pairwise(line)])
    grid, found = cut_box(bones, path.min(axis=0) - 15, path.max(axis=0) + 15, 1.5)
    room = map_coordinates(found.distance_mm, grid.to_ijk(path).T, order=1)
    assert room.min() > 3.0


def test_only_a_sacralised_vertebra_is_fused_to_the_sacrum() -> None:
    for numbering, is_fused in ((Numbering.USUAL, False), (Numbering.SACRALISED_L5, True)):
        column, bones = skeleton(9, numbering=numbering)
        v = column.vertebrae[0]
        _, found = cut_box(bones, v.centre_mm - [65, 20, 45], v.centre_mm + [65, 50, 15], 1.0)
        assert (gap_mm(owned(found, "L5"), owned(found, "sacrum")) <= 1.0) is is_fused


@pytest.mark.parametrize("numbering", [Numbering.T13, Numbering.ELEVEN_THORACIC, Numbering.USUAL])
def test_ribs_follow_the_thoracic_vertebrae(numbering: Numbering) -> None:
    column, bones = skeleton(4, numbering=numbering)
    levels = [v.name for v in column.vertebrae if v.name.startswith("T")]
    rib = bones.owners == STRUCTURES["rib"].id
    expected = {PARTS[f"rib_{side}_{name[1:]}"] for name in levels for side in ("left", "right")}
    assert set(bones.parts[rib].tolist()) == expected
    for v in (column.nearest("T1"), column.nearest("T12")):
        heads = bones.boxes[rib & (bones.parts == PARTS[f"rib_left_{v.name[1:]}"])].mean(axis=1)
        assert np.linalg.norm(heads - v.centre_mm, axis=1).min() < 40


@pytest.fixture(scope="module")
def pelvis() -> tuple[Column, Grid, Cut]:
    column, bones = skeleton(2, numbering=Numbering.USUAL)
    grid, found = cut_box(bones, np.array([-170.0, -100, -120]), np.array([170.0, 140, 165]), 2.0)
    return column, grid, found


def test_the_eight_pelvic_structures_lie_where_they_belong(pelvis: tuple[Column, Grid, Cut]) -> None:
    _, grid, found = pelvis
    fine = np.where(found.distance_mm < 0, structure_table()[found.owner, found.part], 0)
    for members in LIU2021_STRUCTURES.values():
        assert any((fine == STRUCTURES[name].id).any() for name in members)

    def middle(name: str) -> NDArray[np.float64]:
        return np.asarray(grid.to_xyz_mm(np.argwhere(fine == STRUCTURES[name].id)).mean(axis=0))

    for side, sign in (("left", 1), ("right", -1)):
        places = {n: middle(f"{n}_{side}") for n in ("ilium", "acetabulum", "ischium", "pubis", "femoral_head")}
        assert all(sign * place[0] > 10 for place in places.values())
        assert places["ilium"][2] > places["acetabulum"][2] > places["ischium"][2]
        assert places["pubis"][1] < places["acetabulum"][1] < places["ischium"][1]
        assert np.linalg.norm(places["femoral_head"] - [sign * 88, 0, 0]) < 12
        neck = middle(f"femoral_neck_{side}")
        assert sign * (neck[0] - places["femoral_head"][0]) > 10


@pytest.mark.parametrize("name", ["sacrum", "coccyx", "hip_left", "hip_right", "femur_left", "femur_right"])
def test_pelvic_bones_are_single_pieces_of_natural_size(pelvis: tuple[Column, Grid, Cut], name: str) -> None:
    column, _, found = pelvis
    mask = owned(found, name)
    assert n_components(mask) == 1
    volume_ml = mask.sum() * 8 / 1000 / column.scale**3
    # Between what a small and a large adult show on CT; of the femur only what the grid holds.
    low, high = {"sacrum": (170, 260), "coccyx": (3, 16), "hip": (270, 420), "femur": (90, 220)}[name.split("_")[0]]
    assert low < volume_ml < high


def test_joints_of_the_pelvis_stay_open(pelvis: tuple[Column, Grid, Cut]) -> None:
    _, _, found = pelvis
    for one, other in (("sacrum", "hip_left"), ("hip_right", "femur_right"), ("hip_left", "hip_right")):
        assert 1.5 < gap_mm(owned(found, one), owned(found, other), spacing=2.0) < 14


def test_the_sacrum_has_foramina_between_its_segments() -> None:
    column, bones = skeleton(2, numbering=Numbering.USUAL)
    solid = bones.select(bones.is_solid)
    low, high = column.sacrum_centre_mm - [40, 40, 90], column.sacrum_centre_mm + [40, 60, 0]
    grid, found = cut_box(bones, low, high, 1.0)
    _, filled = cut_box(solid, low, high, 1.0)
    hole = owned(filled, "sacrum") & ~owned(found, "sacrum")
    places = grid.to_xyz_mm(np.argwhere(hole))
    for side in (1, -1):
        assert (side * places[:, 0] > 10).sum() > 400


def test_women_have_a_wider_subpubic_angle_and_outlet() -> None:
    def widths(sex: Sex) -> tuple[float, float]:
        ramus, tuber = [], []
        for seed in range(12):
            column, bones = skeleton.__wrapped__(seed, sex)
            scale = column.scale
            ischium = bones.select((bones.parts == PARTS["ischium"]) & (bones.owners == STRUCTURES["hip_left"].id))
            ends = ischium.parameters[:, 3:6]
            low = ends[ends[:, 2].argmin()]
            tuber.append(2 * low[0] / scale)
            pubis = bones.select((bones.parts == PARTS["pubis"]) & (bones.owners == STRUCTURES["hip_left"].id))
            start, stop = pubis.parameters[0, :3], pubis.parameters[0, 3:6]
            drop = np.abs(start - stop)
            ramus.append(2 * np.rad2deg(np.arctan2(drop[0], drop[2])))
        return float(np.mean(ramus)), float(np.mean(tuber))

    male, female = widths(Sex.MALE), widths(Sex.FEMALE)
    assert female[0] > male[0]
    assert female[1] > male[1] + 8


def test_the_same_generator_makes_the_same_bones() -> None:
    _, first = skeleton.__wrapped__(17)
    _, second = skeleton.__wrapped__(17)
    assert first.parameters.tobytes() == second.parameters.tobytes()
    assert (first.parts == second.parts).all()


def test_posterior_is_everything_of_a_vertebra_but_its_body() -> None:
    codes = np.array(
        [0, PARTS["body"], PARTS["pedicle_left"], PARTS["spinous_process"], PARTS["ilium"]], dtype=np.uint8
    )
    assert is_posterior(codes).tolist() == [False, False, True, True, False]


def test_the_structure_table_leaves_undivided_bones_alone() -> None:
    table = structure_table()
    assert table[STRUCTURES["L3"].id, PARTS["lamina"]] == STRUCTURES["L3"].id
    assert table[STRUCTURES["rib"].id, PARTS["rib_right_7"]] == STRUCTURES["rib_right_7"].id
    assert table[STRUCTURES["femur_right"].id, PARTS["femoral_neck"]] == STRUCTURES["femoral_neck_right"].id
    assert table[0, 0] == 0


@pytest.mark.skipif(not REAL.is_file(), reason=f"no real label map at {REAL}")
def test_vertebrae_have_the_volume_of_a_real_label_map() -> None:
    real = read_instances(REAL)
    column, bones = skeleton(3, numbering=Numbering.USUAL)
    for name in ("T1", "T3", "T6", "T9", "T12", "L1", "L3", "L5"):
        real_ml = (real.array == STRUCTURES[name].id).sum() * real.grid.voxel_volume_mm3 / 1000
        _, found = cut_vertebra(bones, column.nearest(name))
        ours_ml = owned(found, name).sum() / 1000 / column.scale**3
        assert ours_ml == pytest.approx(real_ml, rel=0.2), name
