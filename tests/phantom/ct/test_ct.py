from dataclasses import replace
from itertools import pairwise

import numpy as np
import pytest

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.ct.rendering import CtPhantom, CtScanner, render_ct
from osteomet.phantom.geometry.shapes import Warp
from osteomet.phantom.lesions.deposits import METASTASIS, Deposit
from osteomet.phantom.skeleton.anatomy import Numbering, frame, sample_column
from osteomet.phantom.skeleton.bones import BODY

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
QUIET = CtScanner(blur_mm=0.4, noise_hu=0.0, beam_hardening=0.0)


@pytest.fixture(scope="module")
def body() -> Body:
    return sample_body(np.random.default_rng(11), n_metastases=0)


def render_around(body: Body, name: str, *, seed: int = 0) -> CtPhantom:
    vertebra = next(v for v in body.column.vertebrae if v.name == name)
    centre = vertebra.centre_mm - body.warp.shift_mm(vertebra.centre_mm[None])[0]
    grid = Grid.from_spacing((64, 64, 44), (1.5, 1.5, 1.5), origin_mm=(centre - [47, 35, 33]).tolist())
    return render_ct(body, grid, QUIET, np.random.default_rng(seed))


def test_axes_of_a_frame_are_left_posterior_superior() -> None:
    np.testing.assert_allclose(frame(0.0, 0.0), np.eye(3), atol=1e-12)
    tilted = frame(np.pi / 2, 0.0)
    np.testing.assert_allclose(tilted[:, 2], (0, 1, 0), atol=1e-12)
    np.testing.assert_allclose(np.linalg.det(frame(0.3, -0.2)), 1.0)


def test_bodies_of_a_column_never_overlap_and_climb() -> None:
    for seed in range(10):
        vertebrae = sample_column(np.random.default_rng(seed), numbering=Numbering.USUAL).vertebrae
        assert [v.name for v in vertebrae][:3] == ["L5", "L4", "L3"]
        for lower, upper in pairwise(vertebrae):
            step = np.linalg.norm(upper.centre_mm - lower.centre_mm)
            assert step > (lower.height_mm + upper.height_mm) / 2
            assert upper.centre_mm[2] > lower.centre_mm[2]


def test_same_seed_same_bytes() -> None:
    first, second = (draw_crop(5) for _ in range(2))
    assert first.volume.array.tobytes() == second.volume.array.tobytes()
    assert first.truth.bones.tobytes() == second.truth.bones.tobytes()


def draw_crop(seed: int) -> CtPhantom:
    body = sample_body(np.random.default_rng(seed), n_metastases=3)
    return render_around(body, "L2", seed=seed)


def test_tissues_lie_in_their_hu_ranges(body: Body) -> None:
    phantom = render_around(body, "L3")
    hu = phantom.volume.array
    is_l3 = phantom.truth.bones == STRUCTURES["L3"].id
    core = is_l3 & (phantom.truth.parts == BODY) & (phantom.depth_mm > 5)
    rim = is_l3 & (phantom.truth.parts == BODY) & (phantom.depth_mm < 1) & (phantom.depth_mm > 0)
    assert core.sum() > 500
    assert 0 < hu[core].mean() < 420
    assert hu[rim].mean() > hu[core].mean() + 50


def planted(body: Body, kind: LesionType) -> tuple[CtPhantom, Deposit]:
    vertebra = next(v for v in body.column.vertebrae if v.name == "L3")
    deposit = Deposit(
        lobes_mm=np.array([[*vertebra.centre_mm, 6.0]]),
        types=(kind,),
        owner=STRUCTURES["L3"].id,
        cause=METASTASIS,
        fill_hu=30.0,
        shift_hu=500.0,
        edge_mm=0.5,
        ripple_mm=0.0,
        phase=np.zeros((4, 3)),
        rim_hu=0.0,
        breach=False,
    )
    return render_around(replace(body, deposits=(deposit,), warp=STILL), "L3"), deposit


@pytest.mark.parametrize(("kind", "code"), [(LesionType.LYTIC, 1), (LesionType.SCLEROTIC, 2)])
def test_a_planted_sphere_has_its_true_volume_and_density(body: Body, kind: LesionType, code: int) -> None:
    phantom, deposit = planted(body, kind)
    plain = render_around(replace(body, deposits=(), warp=STILL), "L3")
    inside = phantom.truth.lesions == 1
    # Counted on a finer grid: 268 voxels of 1.5 mm give the volume of a ball to a few per cent only.
    corner = deposit.lobes_mm[0, :3] - [6.75, 6.86, 6.65]
    fine = Grid.from_spacing((28, 25, 20), (0.5, 0.55, 0.7), origin_mm=corner.tolist())
    still = replace(body, deposits=(deposit,), warp=STILL)
    counted = render_ct(still, fine, QUIET, np.random.default_rng(0)).truth.lesions == 1
    assert counted.sum() * fine.voxel_volume_mm3 == pytest.approx(4 / 3 * np.pi * 6**3, rel=0.02)
    assert set(np.unique(phantom.truth.lesion_kinds[inside])) == {code}
    hu = phantom.volume.array[inside].mean()
    if kind is LesionType.LYTIC:
        assert hu == pytest.approx(30, abs=25)
    else:
        assert hu == pytest.approx(plain.volume.array[inside].mean() + 500, abs=60)


def test_a_crop_agrees_with_the_whole(body: Body) -> None:
    crop = render_around(body, "T10")
    grid = crop.volume.grid
    wide = render_ct(body, grid.crop((-10, -8, -6), (84, 80, 56)), QUIET, np.random.default_rng(0))
    assert (wide.truth.bones[10:74, 8:72, 6:50] == crop.truth.bones).all()
