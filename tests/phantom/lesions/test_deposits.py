from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import LesionType
from osteomet.phantom.ct.deposits import change_density, place_substances
from osteomet.phantom.geometry.shapes import Warp, warped_points
from osteomet.phantom.lesions.deposits import METASTASIS, Deposit, Realm, flattened, random_phase
from osteomet.phantom.lesions.mimics import MIMIC_TISSUES, MIMICS
from osteomet.phantom.mr.tissues import Tissue
from osteomet.phantom.scene import LobeInScene, Scene, label_scene, lobes_in

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
OBLIQUE = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
BONE, OTHER = 22, 23
LYTIC, SCLEROTIC, MARROW = LesionType.LYTIC, LesionType.SCLEROTIC, LesionType.MARROW


def ball(radius: float = 10.0, kind: LesionType = LYTIC, cause: str = METASTASIS, **changes: object) -> Deposit:
    plain = Deposit(
        lobes_mm=np.array([[0.0, 0.0, 0.0, radius]]),
        types=(kind,),
        owner=BONE,
        cause=cause,
        fill_hu=30.0,
        shift_hu=120.0,
        edge_mm=0.5,
        ripple_mm=0.0,
        phase=random_phase(np.random.default_rng(0)),
        rim_hu=0.0,
        breach=False,
    )
    return replace(plain, **changes)  # type: ignore[arg-type]


def scene_of(direction: NDArray[np.float64] = OBLIQUE, *, half_space: bool = False) -> Scene:
    """Bone everywhere, or where x is negative, on an even-sized anisotropic grid about the origin."""
    spacing, shape = np.array([0.7, 0.9, 1.1]), np.array([50, 40, 34])
    origin = -direction @ (spacing * (shape - 1) / 2)
    grid = Grid.from_spacing(shape.tolist(), spacing.tolist(), origin_mm=origin.tolist(), direction=direction)
    points = warped_points(grid, STILL)
    depth = -points[..., 0] if half_space else np.full(grid.shape, 30.0, dtype=np.float32)
    return Scene(grid, STILL, points, np.full(grid.shape, BONE, np.uint8), np.zeros(grid.shape, np.uint8), depth)


def labelled_mm3(scene: Scene, *deposits: Deposit) -> float:
    lesions = label_scene(scene, list(lobes_in(scene, deposits))).lesions
    return float((lesions > 0).sum() * scene.grid.voxel_volume_mm3)


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE, np.diag([-1.0, 1.0, -1.0])])
def test_a_ball_has_its_volume_on_any_grid(direction: NDArray[np.float64]) -> None:
    assert labelled_mm3(scene_of(direction), ball(10.0)) == pytest.approx(4 / 3 * np.pi * 10**3, rel=0.02)


def test_a_flattened_ball_loses_volume_by_its_squeeze() -> None:
    axes = np.linalg.qr(np.random.default_rng(1).normal(size=(3, 3)))[0]
    flat = ball(12.0, form=flattened(axes, (1.0, 1.5, 3.0)))
    assert labelled_mm3(scene_of(), flat) == pytest.approx(4 / 3 * np.pi * 12**3 / 4.5, rel=0.02)
    longer = ball(5.0, form=flattened(axes, (1.0, 1.0, 0.5)))
    assert longer.longest == pytest.approx(2.0)
    assert labelled_mm3(scene_of(), longer) == pytest.approx(4 / 3 * np.pi * 5**3 * 2, rel=0.02)


def test_lobes_of_one_type_melt_and_hold_both_balls() -> None:
    apart = np.array([[-4.0, 0, 0, 6.0], [4.0, 0, 0, 6.0]])
    union = 2 * 4 / 3 * np.pi * 6**3 - np.pi * (4 * 6 + 8) * (2 * 6 - 8) ** 2 / 12
    fused = labelled_mm3(scene_of(), ball(lobes_mm=apart, types=(LYTIC, LYTIC)))
    assert union * 0.99 < fused < union * 1.15


@pytest.mark.parametrize(("breach", "beyond_mm"), [(False, 0.0), (True, 2.0)])
def test_a_deposit_stays_in_its_bone_but_for_what_breaks_out(breach: bool, beyond_mm: float) -> None:
    scene = scene_of(half_space=True)
    slice_mm3 = np.pi * (10**2 * beyond_mm - beyond_mm**3 / 3)
    half = 2 / 3 * np.pi * 10**3
    assert labelled_mm3(scene, ball(10.0, breach=breach)) == pytest.approx(half + slice_mm3, rel=0.02)


def test_only_the_lobe_that_may_outgrows_its_bone() -> None:
    scene = scene_of(half_space=True)
    lobes = np.array([[0.0, -8, 0, 5.0], [0.0, 8, 0, 5.0]])
    found = ball(lobes_mm=lobes, types=(LYTIC, LYTIC), breach=True, outgrow_mm=(0.0, 4.0))
    outside = (label_scene(scene, list(lobes_in(scene, [found]))).lesions > 0) & (scene.depth_mm < 0)
    assert (scene.points_mm[outside][:, 1] > 0).all()
    assert outside.sum() * scene.grid.voxel_volume_mm3 == pytest.approx(np.pi * (25 * 4 - 64 / 3), rel=0.02)
    assert scene.depth_mm[outside].min() > -4.0


def test_what_outgrows_a_bone_never_enters_another() -> None:
    scene = scene_of(half_space=True)
    owner = np.where(scene.points_mm[..., 0] > 3, OTHER, BONE).astype(np.uint8)
    depth = np.maximum(scene.depth_mm, scene.points_mm[..., 0] - 6)
    neighbours = replace(scene, owner=owner, depth_mm=depth)
    lobes = list(lobes_in(neighbours, [ball(12.0, breach=True, outgrow_mm=(9.0,))]))
    truth = label_scene(neighbours, lobes)
    assert (truth.lesions[owner == OTHER] == 0).all()
    assert all((lobe.share[owner[lobe.box] == OTHER] == 0).all() for lobe in lobes)
    assert ((truth.lesions > 0) & (depth < 0)).any()


def changed(deposit: Deposit) -> tuple[LobeInScene, NDArray[np.float32], NDArray[np.float32], NDArray[np.float32]]:
    scene = scene_of()
    density, cortex, soft = (np.full(scene.grid.shape, hu, np.float32) for hu in (150.0, 900.0, 40.0))
    lobes = list(lobes_in(scene, [deposit]))
    change_density(lobes, density, cortex, soft)
    return lobes[0], density[lobes[0].box], cortex[lobes[0].box], soft[lobes[0].box]


def test_a_faint_sclerosis_adds_what_was_asked() -> None:
    lobe, density, cortex, soft = changed(ball(10.0, SCLEROTIC, shift_hu=110.0))
    core = lobe.distance_mm < -0.5
    np.testing.assert_allclose(density[core], 260.0, atol=1e-3)
    np.testing.assert_allclose(cortex[core], 900 + 0.3 * 110, atol=1e-3)
    np.testing.assert_allclose(density[lobe.distance_mm > 0.5], 150.0)
    assert (soft == 40).all()


def test_uneven_sclerosis_keeps_its_mean() -> None:
    lobe, density, _, _ = changed(ball(12.0, SCLEROTIC, shift_hu=400.0, mottle=0.5))
    added = density[lobe.distance_mm < -0.5] - 150
    assert added.mean() == pytest.approx(400, rel=0.05)
    assert 40 < added.std() < 160


def test_lysis_fills_bone_and_breaks_cortex_only_if_it_breaches() -> None:
    for breach in (False, True):
        lobe, density, cortex, soft = changed(ball(10.0, fill_hu=100.0, breach=breach, soft_hu=55.0))
        core = lobe.distance_mm < -0.5
        np.testing.assert_allclose(density[core], 100.0, atol=1e-3)
        np.testing.assert_allclose(cortex[core], 140.0 if breach else 900.0, atol=1e-3)
        np.testing.assert_allclose(soft[core], 55.0 if breach else 40.0, atol=1e-3)


def test_a_margin_fades_over_twice_its_edge() -> None:
    lobe, density, _, _ = changed(ball(10.0, SCLEROTIC, shift_hu=100.0, edge_mm=3.0))
    expected = 150 + 100 * np.clip(0.5 - lobe.distance_mm / 6, 0, 1)
    np.testing.assert_allclose(density, expected, atol=1e-3)


def test_a_rim_is_densest_on_the_surface() -> None:
    lobe, density, _, _ = changed(ball(10.0, rim_hu=300.0, fill_hu=150.0))
    np.testing.assert_allclose(density, 150 + 300 * np.exp(-((lobe.distance_mm / 1.2) ** 2)), atol=1e-2)


def test_marrow_lobes_leave_ct_alone_but_are_labelled() -> None:
    _, density, cortex, soft = changed(ball(10.0, MARROW))
    assert (density == 150).all()
    assert (cortex == 900).all()
    assert (soft == 40).all()
    scene = scene_of()
    truth = label_scene(scene, list(lobes_in(scene, [ball(10.0, MARROW)])))
    assert set(np.unique(truth.lesion_kinds)) == {0, 3}


def test_struts_stand_upright_between_fat() -> None:
    lobe, density, _, _ = changed(ball(9.0, cause="haemangioma", fill_hu=-40.0, shift_hu=500.0, strut_mm=4.0))
    core = lobe.distance_mm < -0.5
    assert density[core].min() == pytest.approx(-40, abs=1)
    assert density[core].max() > 300
    along = np.abs(np.diff(density, axis=2))[core[:, :, 1:] & core[:, :, :-1]]
    across = np.abs(np.diff(density, axis=0))[core[1:] & core[:-1]]
    assert along.max() == pytest.approx(0, abs=1e-2)
    assert across.mean() > 20


def test_permeative_lysis_leaves_bone_between_holes_that_flow_together_in_its_middle() -> None:
    lobe, density, cortex, _ = changed(ball(12.0, fill_hu=30.0, hole_mm=2.5, breach=True))
    rim, middle = (lobe.distance_mm < -0.5) & (lobe.distance_mm > -2.5), lobe.distance_mm < -7.2
    taken_at_rim, taken_in_middle = ((150 - density[where].mean()) / 120 for where in (rim, middle))
    # At the surface the holes are the half of a noise that lies below zero; deep inside what lies below one deviation.
    assert 0.45 < taken_at_rim < 0.75
    assert 0.8 < taken_in_middle < 0.95
    for where in (rim, middle):
        assert density[where].min() == pytest.approx(30, abs=1e-3)
        assert density[where].max() == pytest.approx(150, abs=1e-3)
    np.testing.assert_allclose((900 - cortex) / (900 - 70), (150 - density) / 120, atol=1e-4)
    assert labelled_mm3(scene_of(), ball(10.0, hole_mm=2.5)) == pytest.approx(4 / 3 * np.pi * 10**3, rel=0.02)


def test_cement_is_as_dense_as_told_and_where_told() -> None:
    scene = scene_of(half_space=True)
    image = np.zeros(scene.grid.shape, np.float32)
    cement = ball(6.0, SCLEROTIC, "cement", fill_hu=2200.0, realm=Realm.ANYWHERE)
    lobes = list(lobes_in(scene, [cement]))
    change_density(lobes, image, image, image)
    assert (image == 0).all()
    place_substances(lobes, image)
    radius = np.linalg.norm(scene.points_mm, axis=-1)
    np.testing.assert_allclose(image[radius < 5.4], 2200.0)
    assert (image[radius > 6.6] == 0).all()
    truth = label_scene(scene, lobes)
    assert (truth.mimics[radius < 5.9] == MIMICS.index("cement") + 1).all()
    assert (truth.bones[(radius < 5.9) & (scene.depth_mm > 0)] == BONE).all()


def test_a_cyst_takes_bone_away_and_a_node_spares_it() -> None:
    scene = scene_of(half_space=True)
    cyst = ball(6.0, LYTIC, "tarlov_cyst", realm=Realm.ANYWHERE)
    radius, inside = np.linalg.norm(scene.points_mm, axis=-1), scene.depth_mm > 0
    truth = label_scene(scene, list(lobes_in(scene, [cyst])))
    assert (truth.bones[radius < 5.9] == 0).all()
    assert (truth.bones[inside & (radius > 6.1)] == BONE).all()
    node = list(lobes_in(scene, [ball(6.0, LYTIC, "lymph_node", realm=Realm.SOFT)]))
    mimics = label_scene(scene, node).mimics
    assert (mimics[inside] == 0).all()
    assert (mimics[~inside & (radius < 5.9)] == MIMICS.index("lymph_node") + 1).all()


@pytest.mark.parametrize("first", [0, 1])
def test_lesions_win_over_mimics(first: int) -> None:
    scene = scene_of()
    both = [ball(9.0, LYTIC, "schmorl_node"), ball(6.0)]
    truth = label_scene(scene, list(lobes_in(scene, both[first:] + both[:first])))
    radius = np.linalg.norm(scene.points_mm, axis=-1)
    assert not ((truth.lesions > 0) & (truth.mimics > 0)).any()
    assert (truth.lesions[radius < 5.9] == 1).all()
    assert (truth.mimics[(radius > 6.1) & (radius < 8.9)] == MIMICS.index("schmorl_node") + 1).all()


def test_mixed_metastases_name_both_types_of_voxels() -> None:
    scene = scene_of()
    lobes = np.array([[-6.0, 0, 0, 5.0], [6.0, 0, 0, 5.0]])
    mixed = ball(lobes_mm=lobes, types=(LYTIC, SCLEROTIC))
    assert mixed.lesion_type is LesionType.MIXED
    kinds = label_scene(scene, list(lobes_in(scene, [mixed]))).lesion_kinds
    left = scene.points_mm[..., 0] < 0
    assert set(np.unique(kinds[left])) == {0, 1}
    assert set(np.unique(kinds[~left])) == {0, 2}


def test_tissues_by_type_and_treatment() -> None:
    assert ball().tissue(LYTIC) == "METASTASIS"
    assert ball().tissue(SCLEROTIC) == "METASTASIS_SCLEROTIC"
    assert ball(treated=True).tissue(SCLEROTIC) == "METASTASIS_TREATED"
    assert ball(cause="haemangioma").tissue(LYTIC) == "HAEMANGIOMA"
    assert ball(cause="sacroiliitis").tissue(MARROW) == "OEDEMA"
    assert ball(cause="sacroiliitis").tissue(SCLEROTIC) == "MODIC_3"


def test_every_tissue_of_a_mimic_is_tabulated() -> None:
    assert set(MIMIC_TISSUES.values()) <= set(Tissue.__members__)
