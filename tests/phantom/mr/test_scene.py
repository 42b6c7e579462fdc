"""From body to MR: contrasts in the order that radiologists know, labels of CT, crops that agree with the whole."""

from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType, SequenceRole
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.geometry.shapes import Warp, distance_to_one, warped_points
from osteomet.phantom.lesions.deposits import METASTASIS, Deposit
from osteomet.phantom.mr.acquisition import image_mr
from osteomet.phantom.mr.geometry import Stack
from osteomet.phantom.mr.laying import chains_of, lay
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.scanner import MrScanner
from osteomet.phantom.mr.scene import Marrow, TissueScene, compose, in_slices, sample_marrow
from osteomet.phantom.mr.tissues import Tissue, tissue_table
from osteomet.phantom.scene import label_scene, lobes_in, view_body
from osteomet.phantom.soft_tissue.canvas import Canvas

RADIUS_MM = 8.0
MARROW = Marrow(0.55, 0.03)


@pytest.fixture(scope="module")
def body() -> Body:
    """A patient with one ball of metastasis in the middle of L3 and nothing else changed."""
    drawn = sample_body(np.random.default_rng(21), n_metastases=0)
    centre = drawn.column.nearest("L3").centre_mm
    ball = Deposit(
        lobes_mm=np.array([[*centre, RADIUS_MM]]), types=(LesionType.LYTIC,), owner=STRUCTURES["L3"].id,
        cause=METASTASIS, fill_hu=40.0, shift_hu=0.0, edge_mm=0.4, ripple_mm=0.0, phase=np.zeros((4, 3)), rim_hu=0.0,
        breach=False,
    )  # fmt: skip
    still = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
    return replace(drawn, deposits=(ball,), hardware=None, warp=still)


@pytest.fixture(scope="module")
def grid(body: Body) -> Grid:
    centre = body.column.nearest("L3").centre_mm
    return Grid.from_spacing((28, 50, 44), (1.5, 1.5, 1.5), origin_mm=(centre - [20, 30, 33]).tolist())


@pytest.fixture(scope="module")
def scene(body: Body, grid: Grid) -> TissueScene:
    return compose(body, grid, MARROW)


def pure(scene: TissueScene, tissue: Tissue) -> NDArray[np.bool_]:
    c = scene.composition
    return np.asarray((c.index_a == tissue) & (c.share_b < 0.05))


@pytest.mark.parametrize(
    ("role", "order"),
    [
        (SequenceRole.T1, (Tissue.MIXED_MARROW, Tissue.METASTASIS, Tissue.CSF)),
        (SequenceRole.T2, (Tissue.CSF, Tissue.METASTASIS, Tissue.MUSCLE)),
        (SequenceRole.STIR, (Tissue.CSF, Tissue.METASTASIS, Tissue.MIXED_MARROW)),
        (SequenceRole.FO, (Tissue.MIXED_MARROW, Tissue.METASTASIS)),
        (SequenceRole.CE, (Tissue.METASTASIS, Tissue.MIXED_MARROW)),
        (SequenceRole.DWI, (Tissue.METASTASIS, Tissue.MIXED_MARROW)),
        (SequenceRole.ADC, (Tissue.CSF, Tissue.METASTASIS)),
    ],
    ids=lambda value: value.value if isinstance(value, SequenceRole) else "",
)
def test_contrasts_have_their_order(role: SequenceRole, order: tuple[Tissue, ...], scene: TissueScene) -> None:
    sequence = replace(preset(role, 1.5), snr=float("inf"))
    image = image_mr(scene.composition, sequence, MrScanner(tissue_table(1.5)), np.random.default_rng(1)).array
    means = [float(image[pure(scene, tissue)].mean()) for tissue in order]
    assert means == sorted(means, reverse=True)
    assert min(a / max(b, 1.0) for a, b in pairwise(means)) > 1.05


def test_labels_are_those_of_ct(body: Body, grid: Grid, scene: TissueScene) -> None:
    view = view_body(body, grid, margin_mm=3.0)
    truth = label_scene(view, list(lobes_in(view, body.deposits)))
    np.testing.assert_array_equal(scene.truth.bones, truth.bones)
    np.testing.assert_array_equal(scene.truth.lesions, truth.lesions)
    # Each voxel of the label holds the tumour, apart from its rim.
    assert pure(scene, Tissue.METASTASIS)[scene.truth.lesions == 1].mean() > 0.7


def test_the_label_of_a_ball_has_its_volume(body: Body) -> None:
    """Counted in voxels of 0.6 × 0.5 × 0.7 mm: on a grid of 1.5 mm counting itself errs by some percent."""
    centre = body.column.nearest("L3").centre_mm
    fine = Grid.from_spacing((30, 36, 26), (0.6, 0.5, 0.7), origin_mm=(centre - [8.7, 8.75, 8.75]).tolist())
    inside = compose(body, fine, MARROW).truth.lesions == 1
    ball_mm3 = 4 / 3 * np.pi * RADIUS_MM**3
    assert inside.sum() * fine.voxel_volume_mm3 == pytest.approx(ball_mm3, rel=0.02)


def test_a_crop_is_a_part_of_the_whole(body: Body, grid: Grid, scene: TissueScene) -> None:
    start, shape = (5, 12, 9), (12, 20, 16)
    crop = compose(body, grid.crop(start, shape), MARROW)
    block = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    np.testing.assert_array_equal(crop.truth.lesions, scene.truth.lesions[block])
    same = crop.composition.index_a == scene.composition.index_a[block]
    assert same.mean() > 0.99
    fat, whole = crop.composition.marrow_fat, scene.composition.marrow_fat[block]
    inside = crop.truth.bones > 0
    np.testing.assert_allclose(fat[inside], whole[inside], atol=0.02)


def test_laying_in_blocks_equals_asking_every_shape(body: Body) -> None:
    """In tall voxels, at random places: the last shapes first, until the voxel is full; the two largest shares stay."""
    soft, spacing = body.soft_tissue, (1.5, 1.5, 4.0)
    centre = body.column.nearest("L4").centre_mm
    grid = Grid.from_spacing((60, 60, 12), spacing, origin_mm=(centre - [45, 20, 24]).tolist())
    codes = np.array([Tissue[name.upper()] for name in soft.tissues], dtype=np.uint8)
    first, second = np.zeros(grid.shape, dtype=np.uint8), np.zeros(grid.shape, dtype=np.uint8)
    share = np.zeros(grid.shape, dtype=np.float32)
    points = warped_points(grid, body.warp)
    shapes = soft.shapes
    lay(points, shapes.kinds, shapes.parameters, shapes.boxes, chains_of(shapes, codes), codes, 1.5, first, second,
        share)  # fmt: skip
    wrong = 0
    for ijk in np.random.default_rng(0).integers(0, grid.shape, (80, 3)):
        shares = np.zeros(len(Tissue))
        left = 1.0
        for row in range(len(shapes) - 1, -1, -1):
            cover = np.clip(0.5 - distance_to_one(shapes, row, points[tuple(ijk)].astype(float)) / 3.0, 0, 1)
            shares[codes[row]] += left * cover
            left *= 1 - cover
        at = tuple(ijk)
        expected = shares.argsort()[-2:][::-1]
        wrong += first[at] != expected[0] and shares[first[at]] < shares[expected[0]] - 0.05
        both = shares[expected].sum()
        wrong += abs(float(share[at]) - float(shares[expected[1]] / both)) > 0.05
    # Where three tissues meet, the two that a voxel keeps depend on the order in which they come.
    assert wrong <= 4


def test_segments_of_a_loft_are_one_shape() -> None:
    canvas = Canvas()
    points = np.array([[0, 0, 0], [0, 0, 10], [0, 0, 20]])
    canvas.loft(points, 5.0, 5.0, "muscle", 50.0)
    canvas.loft(points + [0, 0, 20], 5.0, 5.0, "cord", 40.0)
    canvas.tube(points, 2.0, "muscle", 50.0)
    codes = np.array([Tissue[name.upper()] for name in canvas.tissues], dtype=np.uint8)
    assert chains_of(canvas.table.freeze(), codes).tolist() == [[0, 2], [2, 4], [4, 5], [5, 6]]


def test_depth_reaches_as_far_as_a_deposit_grows(body: Body, grid: Grid) -> None:
    """Around a deposit that may grow 9 mm out of its bone depth is known that far, elsewhere as far as was asked."""
    wide = replace(body.deposits[0], lobes_mm=body.deposits[0].lobes_mm + [[0.0, 0.0, 0.0, 20.0]], outgrow_mm=(9.0,))
    plain = view_body(body, grid, margin_mm=3.0).depth_mm
    far = view_body(replace(body, deposits=(wide,)), grid, margin_mm=3.0).depth_mm
    np.testing.assert_allclose(far[plain > -2], plain[plain > -2], atol=0.2)
    assert ((far > -9) & (far < -7)).sum() > 100
    assert not ((plain > -9) & (plain < -7)).any()


def test_a_primary_tumour_and_a_treated_metastasis_are_other_tissues(body: Body, grid: Grid) -> None:
    inside = grid.crop((8, 14, 16), (12, 12, 12))
    primary = compose(body, inside, MARROW, tumour=Tissue.PRIMARY_TUMOUR)
    assert pure(primary, Tissue.PRIMARY_TUMOUR).any()
    assert not pure(primary, Tissue.METASTASIS).any()
    treated = replace(body, deposits=(replace(body.deposits[0], treated=True),))
    assert pure(compose(treated, inside, MARROW), Tissue.METASTASIS_TREATED).any()


def test_marrow_grows_fatty_with_age() -> None:
    drawn = [[sample_marrow(np.random.default_rng(n), age).lumbar_fat for n in range(300)] for age in (20, 50, 80)]
    fat = np.mean(drawn, axis=1)
    np.testing.assert_allclose(fat, [0.25, 0.40, 0.55], atol=0.02)


def test_labels_gather_into_slices_by_half_of_the_profile(scene: TissueScene) -> None:
    whole = Grid.from_spacing((2, 2, 3), (1.0, 1.0, 4.0))
    stack = Stack(whole, slice_mm=4.0, n_layers=4)
    lesions = np.zeros(stack.fine.shape, dtype=np.uint8)
    lesions[0, 0, 4:8] = 7  # the whole of the second slice
    lesions[1, 1, 4:5] = 9  # a quarter of it
    empty = np.zeros_like(lesions)
    fine = replace(scene.truth, bones=empty, parts=empty, lesions=lesions, lesion_kinds=empty, mimics=empty)
    truth = in_slices(fine, stack)
    assert truth.lesions.shape == (2, 2, 3)
    assert truth.lesions[0, 0].tolist() == [0, 7, 0]
    assert truth.lesions[1, 1].tolist() == [0, 0, 0]


def test_marrow_is_fattier_around_the_basivertebral_plexus(body: Body) -> None:
    """Against the same marrow without mottle: by 0.20 before the back wall, by nothing in the front of the body."""
    v = body.column.nearest("L4")
    bare = replace(body, deposits=())

    def fat_at(left: float, back: float, up: float) -> float:
        grid = Grid.from_spacing((1, 1, 1), (1.0, 1.0, 1.0), origin_mm=v.at(left, back, up).tolist())
        return float(compose(bare, grid, Marrow(0.4, 0.0)).composition.marrow_fat.item())

    front = fat_at(0, -0.3 * v.depth_mm, 0)
    # 0.76 of the way back the plexus has 0.8 * 0.76 + 0.3 of its 0.22.
    assert fat_at(0, 0.38 * v.depth_mm, 0) - front == pytest.approx(0.22 * 0.908, abs=0.005)
    assert fat_at(0.3 * v.width_mm, 0.35 * v.depth_mm, 0) == pytest.approx(front, abs=0.005)
    assert fat_at(0, -0.3 * v.depth_mm, 0.45 * v.height_mm) - front == pytest.approx(0.05 * 0.9**4, abs=0.005)
