from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.phantom.ct.metal import METAL_HU, add_metal
from osteomet.phantom.geometry.shapes import ShapeTable, Warp, distance_to_one, warped_points
from osteomet.phantom.lesions.hardware import (
    PROSTHESIS,
    SCREWS,
    TITANIUM_PER_MM,
    Hardware,
    hip_prosthesis,
    sample_hardware,
    screws_and_rods,
)
from osteomet.phantom.lesions.mimics import MIMICS
from osteomet.phantom.scene import Scene, label_scene, metal_in
from osteomet.phantom.skeleton.anatomy import sample_column

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))


def two_rods(half_mm: float = 20.0) -> Hardware:
    table = ShapeTable()
    for x in (-half_mm, half_mm):
        table.capsule((x, 0, -30), (x, 0, 30), (4.0, 4.0), owner=0)
    return Hardware(table.freeze(), (SCREWS,) * 2, TITANIUM_PER_MM)


def empty_scene(origin: tuple[float, float, float] = (-60, -60, -6), n: int = 121) -> Scene:
    grid = Grid.from_spacing((n, n, 5), (1.0, 1.0, 3.0), origin_mm=origin)
    nothing = np.zeros(grid.shape, dtype=np.uint8)
    depth = np.full(grid.shape, -60, dtype=np.float32)
    return Scene(grid, STILL, warped_points(grid, STILL), nothing, nothing, depth)


def imaged(scene: Scene, hardware: Hardware) -> NDArray[np.float32]:
    image = np.zeros(scene.grid.shape, dtype=np.float32)
    metal = metal_in(scene, hardware, softness_mm=1.0)
    add_metal(metal, hardware, image, scene, np.random.default_rng(0))
    return image


def test_metal_saturates_where_it_lies_and_is_labelled() -> None:
    scene = empty_scene()
    image, metal = imaged(scene, two_rods()), metal_in(scene, two_rods(), softness_mm=1.0)
    radius = np.minimum(*(np.hypot(scene.points_mm[..., 0] - x, scene.points_mm[..., 1]) for x in (-20, 20)))
    np.testing.assert_allclose(image[radius < 2.9], METAL_HU)
    assert np.abs(image[radius > 5.1]).max() < 460
    mimics = label_scene(scene, [], metal).mimics
    assert (mimics[radius < 3.9] == MIMICS.index(SCREWS) + 1).all()
    assert (mimics[radius > 4.1] == 0).all()


@pytest.mark.parametrize("half_mm", [18.0, 19.0, 20.0, 21.0, 22.0])
def test_boxes_of_odd_and_even_length_have_streaks(half_mm: float) -> None:
    image = imaged(empty_scene(), two_rods(half_mm))
    assert image[58:63, 58:63].mean() < -30
    assert image[58:63, 78:83].mean() > image[58:63, 58:63].mean() + 30


def test_the_band_between_two_rods_is_dark_and_beside_it_brighter() -> None:
    image = imaged(empty_scene(), two_rods())
    between = image[50:71, 58:63].mean()
    beside = image[50:71, 78:83].mean()
    assert between < -40
    assert beside > between + 40


def test_streaks_stay_in_the_slices_of_the_metal_and_fade() -> None:
    above = imaged(empty_scene((-60, -60, 60)), two_rods())
    assert (above == 0).all()
    scene = empty_scene((-60, 0, -6))
    image = imaged(scene, two_rods())
    near, far = np.abs(image[:, 10:20]).mean(), np.abs(image[:, 60:75]).mean()
    assert near > 2 * far


def test_no_metal_no_change() -> None:
    scene = empty_scene()
    image = np.zeros(scene.grid.shape, dtype=np.float32)
    assert metal_in(scene, None, softness_mm=1.0) is None
    add_metal(None, None, image, scene, np.random.default_rng(0))
    assert (image == 0).all()


def test_screws_run_through_pedicles_into_their_bodies() -> None:
    column = sample_column(np.random.default_rng(5))
    levels = column.vertebrae[1:4]
    hardware = screws_and_rods(np.random.default_rng(0), levels)
    assert len(hardware.shapes) == 2 * (2 * 3 + 2)
    for n, v in enumerate(levels):
        tip = hardware.shapes.parameters[2 * n, :3]
        u, back, _ = v.own(tip)
        assert 0 < u < v.width_mm / 2
        assert abs(back) < v.depth_mm / 2
        entry = v.own(hardware.shapes.parameters[2 * n, 3:6])
        assert entry[1] > v.depth_mm / 2 + 6


@pytest.mark.parametrize(("side", "sign"), [("left", 1), ("right", -1)])
def test_a_prosthesis_lies_on_its_side(side: str, sign: int) -> None:
    hardware = hip_prosthesis(1.0, side=side)
    assert set(hardware.causes) == {PROSTHESIS}
    assert distance_to_one(hardware.shapes, 0, np.array([sign * 88.0, 0, 0])) == pytest.approx(-24)


def test_hardware_is_seldom() -> None:
    column = replace(sample_column(np.random.default_rng(5)))
    drawn = [sample_hardware(np.random.default_rng(s), column) for s in range(1200)]
    kinds = [h.causes[0] if h else None for h in drawn]
    assert kinds.count(PROSTHESIS) / 1200 == pytest.approx(0.06, abs=0.02)
    assert kinds.count(SCREWS) / 1200 == pytest.approx(0.04, abs=0.02)
