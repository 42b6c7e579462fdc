from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.ct import rendering as ct
from osteomet.phantom.ct.bone_density import bone_density
from osteomet.phantom.ct.painting import paint_soft_tissue
from osteomet.phantom.ct.rendering import CtScanner, render_ct
from osteomet.phantom.geometry.shapes import ShapeTable, Warp, distance_to_one, warped_points
from osteomet.phantom.geometry.textures import noise, seen_share
from osteomet.phantom.scene import Scene
from osteomet.phantom.skeleton.anatomy import Numbering, sample_column
from osteomet.phantom.skeleton.bone_age import draw_lumbar_hu, mean_lumbar_hu
from osteomet.phantom.skeleton.parts import PARTS
from osteomet.phantom.soft_tissue.assembly import SoftTissue, sample_soft_tissue
from osteomet.phantom.soft_tissue.canvas import Canvas, levels_of

STILL = Warp(np.zeros((1, 3)), np.zeros((1, 3)), np.zeros(1))
QUIET = CtScanner(blur_mm=0.5, noise_hu=0.0, beam_hardening=0.0)


@pytest.fixture(scope="module")
def body() -> Body:
    drawn = sample_body(np.random.default_rng(21), n_metastases=0, age_years=60.0, numbering=Numbering.USUAL)
    return replace(drawn, warp=STILL, deposits=(), hardware=None)


def tissue_at(tissue: SoftTissue, point: NDArray[np.float64]) -> tuple[str, float]:
    """Name and HU of the last shape that holds a point, by asking every shape."""
    inside = [n for n in range(len(tissue.shapes)) if distance_to_one(tissue.shapes, n, point) < 0]
    return (tissue.tissues[inside[-1]], float(tissue.values_hu[inside[-1]])) if inside else ("air", -1000.0)


def loft_at(point: tuple[float, float, float], *, turn: float = 0.0, squareness: float = 0.0) -> float:
    table = ShapeTable()
    table.loft([[0, 0, 0, 10, 5], [20, 8, 0, 10, 5]], squareness=squareness, turn_rad=turn, owner=0)
    return distance_to_one(table.freeze(), 0, np.array(point))


def test_loft_distances_by_hand() -> None:
    assert loft_at((10, 0, 0.0)) == pytest.approx(0.0)
    assert loft_at((4, 0, 10.0)) == pytest.approx(-5.0)
    assert loft_at((4 + 12, 0, 10.0)) == pytest.approx(2.0)
    assert loft_at((4, 7, 10.0)) == pytest.approx(2.0)
    assert loft_at((0, 0, -3.0)) == pytest.approx(1003.0)
    # Turned by a right angle the long half lies to the front and back.
    assert loft_at((4, 10, 10.0), turn=np.pi / 2) == pytest.approx(0.0, abs=1e-9)
    # On the diagonal of a square section a super-ellipse of exponent 4 reaches further out than a circle.
    assert loft_at((4 + 8, 4, 10.0), squareness=1.0) < loft_at((4 + 8, 4, 10.0))


def test_painting_in_blocks_equals_asking_every_shape(body: Body) -> None:
    tissue = body.soft_tissue
    centre = body.column.nearest("L3").centre_mm
    grid = Grid.from_spacing((24, 20, 12), (4.0, 4.0, 4.0), origin_mm=(centre - [46, 60, 22]).tolist())
    image = paint_soft_tissue(tissue, warped_points(grid, STILL), grid, STILL, spread_mm=0.01)
    rng, wrong = np.random.default_rng(0), 0
    for ijk in rng.integers(0, grid.shape, (60, 3)):
        name, hu = tissue_at(tissue, grid.to_xyz_mm(ijk))
        tolerance = 130 if name in ("muscle", "bowel_content") else 45
        wrong += abs(float(image[tuple(ijk)]) - hu) > tolerance
    # A point on a surface may fall to either side by rounding.
    assert wrong <= 2


def test_a_muscle_lies_ragged_within_its_form() -> None:
    canvas = Canvas()
    path = np.array([[0.0, 0.0, -40.0], [0.0, 0.0, 40.0]])
    canvas.loft(path, 30.0, 30.0, "subcutaneous_fat", -100.0)
    canvas.loft(path, 20.0, 20.0, "muscle", 55.0)
    tissue = SoftTissue(canvas.table.freeze(), np.array(canvas.values_hu), tuple(canvas.tissues), "native", -100.0, 0.0,
                        0.0, 1, np.zeros((0, 6)))  # fmt: skip
    grid = Grid.from_spacing((46, 46, 30), (1.0, 1.0, 2.0), origin_mm=(-22.5, -22.5, -29))
    points = warped_points(grid, STILL)
    image = paint_soft_tissue(tissue, points, grid, STILL, spread_mm=0.05)
    depth = 20 - np.hypot(points[..., 0], points[..., 1])
    assert image[depth < -0.1].max() < -50
    # It is never more than three deviations of 1.1 mm below its form.
    assert (image[depth > 3.4] > 0).mean() > 0.99
    assert 0.2 < (image[(depth > 0.5) & (depth < 1.0)] > 0).mean() < 0.8


def test_every_shape_has_a_density_and_the_name_of_a_tissue(body: Body) -> None:
    tissue = body.soft_tissue
    assert len(tissue.shapes) == len(tissue.values_hu) == len(tissue.tissues)
    expected = "skin subcutaneous_fat muscle csf cord nerve_root epidural_fat annulus ligament artery vein kidney liver"
    assert {*expected.split(), "lung", "gas", "urine", "bowel_content"} <= set(tissue.tissues)


def test_the_cord_ends_at_the_upper_lumbar_spine_and_the_sac_in_the_sacrum(body: Body) -> None:
    def canal(name: str) -> str:
        v = body.column.nearest(name)
        names = [tissue_at(body.soft_tissue, v.at(x, v.depth_mm / 2 + v.sizes.canal_depth * y, 0))[0]
                 for x in (-2.0, 0.0, 2.0) for y in (0.35, 0.42, 0.5)]  # fmt: skip
        return "cord" if "cord" in names else "sac" if {"csf", "nerve_root"} & set(names) else "none"

    assert [canal(name) for name in ("C3", "C6", "T6", "T11")] == ["cord"] * 4
    assert [canal(name) for name in ("L3", "L4", "L5")] == ["sac"] * 3


def test_the_fat_of_foramina_stays_out_of_the_sac(body: Body) -> None:
    """Beside the middle, where the fat around a root begins, the canal still holds cord, fluid or roots."""
    for name in ("T6", "T10", "L2"):
        v = body.column.nearest(name)
        for x in (-4.0, 4.0):
            point = v.at(x, v.depth_mm / 2 + 0.45 * v.sizes.canal_depth, -0.25 * v.height_mm)
            assert tissue_at(body.soft_tissue, point)[0] in {"cord", "csf", "nerve_root"}


def test_the_order_of_tissues_on_native_ct(body: Body) -> None:
    tissue = sample_soft_tissue(np.random.default_rng(4), body.column, body.bones, phase="native")
    mean = {n: float(np.mean(tissue.values_hu[[t == n for t in tissue.tissues]])) for n in set(tissue.tissues)}
    order = ["lung", "subcutaneous_fat", "csf", "cord", "muscle", "annulus"]
    values = [mean[name] for name in order]
    assert values == sorted(values)
    assert -120 < mean["subcutaneous_fat"] < -60
    assert 35 < mean["artery"] < 50


def test_organs_lie_on_their_sides(body: Body) -> None:
    tissue = body.soft_tissue

    def middle(name: str) -> NDArray[np.float64]:
        return np.asarray(tissue.shapes.boxes[[t == name for t in tissue.tissues]].mean(axis=(0, 1)))

    assert middle("liver")[0] < -20
    levels = levels_of(body.column)
    arteries = tissue.shapes.boxes[[t == "artery" for t in tissue.tissues]].mean(axis=1)
    below = arteries[np.abs(arteries[:, 2] - levels.height_mm(21.5)) < 15]
    assert below[:, 1].max() < levels.at(21.5)[1]
    kidneys = tissue.shapes.boxes[[t == "kidney" for t in tissue.tissues]].mean(axis=1)
    assert kidneys[:, 0].min() < -30
    assert kidneys[:, 0].max() > 30


@pytest.mark.parametrize("numbering", list(Numbering))
def test_soft_tissue_follows_every_numbering(numbering: Numbering, body: Body) -> None:
    column = sample_column(np.random.default_rng(2), numbering=numbering)
    tissue = sample_soft_tissue(np.random.default_rng(3), column, body.bones)
    assert np.isfinite(tissue.shapes.parameters).all()
    assert np.isfinite(tissue.values_hu).all()


def test_lumbar_density_declines_with_age() -> None:
    rng = np.random.default_rng(0)
    means = [np.mean([draw_lumbar_hu(age, rng) for _ in range(800)]) for age in (25, 45, 65, 85)]
    # Jang 2019: 226 HU below 30 years, 89 HU from 90 years on, a decline of about 2.1 HU a year between.
    assert means[0] == pytest.approx(226, abs=6)
    assert means[2] == pytest.approx(226 - (65 - 27) * (226 - 89) / 65, abs=6)
    assert means == sorted(means, reverse=True)
    assert mean_lumbar_hu(92) == 89


def test_spongiosa_on_ct_has_the_density_of_the_body(body: Body) -> None:
    v = body.column.nearest("L3")
    grid = Grid.from_spacing((16, 12, 6), (1.0, 1.0, 1.0), origin_mm=(v.centre_mm - [8, 8, 3]).tolist())
    found = []
    for density in (100.0, 200.0):
        plain = replace(body, density=density, texture_hu=0.0,
                        soft_tissue=replace(body.soft_tissue, marrow_shift_hu=0.0))  # fmt: skip
        found.append(float(render_ct(plain, grid, QUIET, np.random.default_rng(0)).volume.array.mean()))
    # 0.93 of it in the middle of a body, each level off by some per cent, 10 HU below the nominal value.
    assert found[0] == pytest.approx(0.95 * 90, abs=18)
    assert found[1] - found[0] == pytest.approx(0.95 * 100, rel=0.2)


def test_the_thin_shell_of_a_body_is_seen_by_partial_volume(body: Body) -> None:
    """A 0.42 mm shell keeps its integral: a wider point spread lowers and widens the peak."""
    v = body.column.nearest("L2")
    grid = Grid.from_spacing(
        (3, 48, 3), (0.5, 0.5, 0.5), origin_mm=(v.at(0, -v.depth_mm / 2 - 12, 0) - [0.5, 0, 0.5]).tolist()
    )
    peaks = []
    for blur in (0.35, 1.0):
        scanner = CtScanner(blur, 0.0, slice_thickness_mm=5.0, beam_hardening=0.0)
        plain = replace(body, texture_hu=0.0)
        line = render_ct(plain, grid, scanner, np.random.default_rng(0)).volume.array[1, :, 1].astype(float)
        peaks.append(float(line[14:40].max() - line[40:].mean()))
    assert 0 < peaks[1] < 0.75 * peaks[0]
    assert peaks[0] < body.cortex_hu


def test_laminae_have_a_stouter_cortex_than_transverse_processes(body: Body) -> None:
    v = body.column.nearest("L3")
    grid = Grid.from_spacing((60, 60, 6), (2.3, 2.3, 2.3), origin_mm=(v.centre_mm - [69, 69, 7]).tolist())
    part = np.zeros(grid.shape, dtype=np.uint8)
    part[:30], part[30:] = PARTS["lamina"], PARTS["transverse_process_left"]
    scene = Scene(
        grid, STILL, warped_points(grid, STILL), np.full(grid.shape, STRUCTURES["L3"].id, np.uint8), part,
        np.full(grid.shape, 5.0, np.float32),
    )  # fmt: skip
    cortex = bone_density(scene, body.column, 150.0, 1.2, 0.0, 0.4, 7)[1]
    assert cortex[:30].mean() == pytest.approx(1.3 * 1.2, rel=0.05)
    assert cortex[30:].mean() == pytest.approx(0.8 * 1.2, rel=0.05)
    assert cortex[:30].std() == pytest.approx(0.4 * 1.3 * 1.2, rel=0.15)


def test_the_ring_of_an_end_plate_is_denser_than_its_middle(body: Body) -> None:
    """At a depth of 3 mm below the plate: 110 HU more at the wall, faded over 2.1 mm; and spinous spongiosa is open."""
    v = body.column.nearest("L3")
    where = np.array([v.at(0, 0, 0.45 * v.height_mm), v.at(0.47 * v.width_mm, 0, 0.45 * v.height_mm)])
    points = where.reshape(2, 1, 1, 3).astype(np.float32)
    grid = Grid.from_spacing((2, 1, 1), (1.0, 1.0, 1.0))
    owner, depth = np.full(grid.shape, STRUCTURES["L3"].id, np.uint8), np.full(grid.shape, 3.0, np.float32)

    def density(part: str) -> np.ndarray:
        scene = Scene(grid, STILL, points, owner, np.full(grid.shape, PARTS[part], np.uint8), depth)
        return bone_density(scene, body.column, 150.0, 1.0, 0.0, 0.4, 7)[0].ravel()

    # The wall is as thick as an end plate there, 0.7 mm.
    middle, ring = density("body")
    assert ring - middle == pytest.approx(110 * np.exp(-2.3 / 2.1), rel=0.15)
    assert density("lamina")[0] - density("spinous_process")[0] == pytest.approx(
        240 * np.exp(-1.7 / 2) - 90 * np.exp(-2.2 / 2), rel=0.02
    )


def test_slabs_join_to_the_whole(body: Body, monkeypatch: pytest.MonkeyPatch) -> None:
    v = body.column.nearest("L4")
    grid = Grid.from_spacing((40, 40, 30), (1.5, 1.5, 1.5), origin_mm=(v.centre_mm - [30, 30, 22]).tolist())
    scanner = CtScanner(0.6, 15.0, slice_thickness_mm=3.0, overshoot=0.5)
    whole = render_ct(body, grid, scanner, np.random.default_rng(1))
    monkeypatch.setattr(ct, "_SLAB_VOXELS", 9000)
    parts = render_ct(body, grid, scanner, np.random.default_rng(1))
    np.testing.assert_array_equal(whole.truth.bones, parts.truth.bones)
    np.testing.assert_array_equal(whole.truth.parts, parts.truth.parts)
    difference = np.abs(whole.volume.array.astype(int) - parts.volume.array)
    # Blocks of voxels fall differently, and distances within a block are interpolated.
    assert (difference > 2).mean() < 0.01
    assert difference.max() < 60


def test_outside_of_the_field_of_view_lies_the_padding_of_the_vendor(body: Body) -> None:
    grid = Grid.from_spacing((41, 41, 3), (2.0, 2.0, 2.0), origin_mm=(-40, 0, 100))
    padded = render_ct(body, grid, CtScanner(0.6, 5.0, padding_hu=-3024), np.random.default_rng(0)).volume.array
    assert (padded[[0, 0, -1, -1], [0, -1, 0, -1]] == -3024).all()
    assert (padded[20, :, 1] > -1025).all()
    # A circle in its square.
    assert (padded == -3024).mean() == pytest.approx(1 - np.pi / 4, abs=0.02)


def test_thick_slices_keep_the_truth_of_their_middle(body: Body) -> None:
    v = body.column.nearest("L3")
    thin = Grid.from_spacing((40, 40, 26), (1.5, 1.5, 1.0), origin_mm=(v.centre_mm - [30, 30, 13]).tolist())
    thick = Grid.from_spacing((40, 40, 5), (1.5, 1.5, 5.0), origin_mm=(v.centre_mm - [30, 30, 10]).tolist())
    fine = render_ct(body, thin, QUIET, np.random.default_rng(0))
    coarse = render_ct(body, thick, replace(QUIET, slice_thickness_mm=5.0), np.random.default_rng(0))
    np.testing.assert_array_equal(coarse.truth.bones, fine.truth.bones[:, :, 3:26:5])


def test_lattice_noise_is_a_function_of_space_of_unit_variance() -> None:
    rng = np.random.default_rng(0)
    values = np.array([noise(x, y, z, 7) for x, y, z in rng.uniform(-50, 50, (20000, 3))])
    assert values.mean() == pytest.approx(0, abs=0.05)
    assert values.std() == pytest.approx(1, rel=0.03)
    again = [noise(1.3, -2.2, 0.4, seed) for seed in (7, 7, 8)]
    assert again[0] == again[1] != again[2]


def test_a_point_spread_hides_fine_grain_more_than_coarse() -> None:
    assert seen_share(np.array([1.0] * 3), 0.5) < seen_share(np.array([4.0] * 3), 0.5) < 1
    # One axis with correlation c: the fourth root of 1 / (1 + 2 (s/c)²).
    assert seen_share(np.array([2.5]), 1.0) == pytest.approx(3**-0.25)
