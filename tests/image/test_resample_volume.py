"""Linear resampling, by values derived by hand and by properties that hold on every grid."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import affine_transform
from scipy.spatial.transform import Rotation

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.index_map import IndexMap
from osteomet.image.oblique import resample_oblique
from osteomet.image.resample import axis_aligned_grid, resample_volume, sample_linear
from osteomet.image.separable import apply_weights, axis_weights

CENTRE = np.array([12.0, -7.0, 33.0])
TURN = Rotation.from_euler("xyz", [20, -35, 10], degrees=True).as_matrix()
AXES = {
    "straight": np.eye(3),
    "flipped": np.diag([-1.0, 1.0, -1.0]),
    "permuted": np.eye(3)[:, [2, 0, 1]] * [1, -1, 1],
    "oblique": TURN,
}
SPACINGS = {"finer": (0.8, 0.9, 0.7), "anisotropic": (0.9, 1.7, 4.0), "coarser": (3.0, 3.5, 4.5)}


def centred(shape: tuple[int, int, int], spacing: tuple[float, float, float], axes: NDArray[np.float64]) -> Grid:
    """Grid whose box has its middle at ``CENTRE``."""
    origin = CENTRE - (axes * spacing) @ ((np.array(shape) - 1) / 2)
    return Grid.from_spacing(shape, spacing, origin_mm=origin.tolist(), direction=axes)


def covering(side_mm: float, spacing: tuple[float, float, float], axes: NDArray[np.float64]) -> Grid:
    """Even-sized grid that fills a cube of about this side."""
    i, j, k = (max(2, 2 * round(side_mm / s / 2)) for s in spacing)
    return centred((i, j, k), spacing, axes)


def centres(grid: Grid) -> NDArray[np.float64]:
    return grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))


def volume(array: NDArray[np.generic], grid: Grid) -> Volume:
    kept = array if array.dtype == np.int16 else array.astype(np.float32)
    return Volume(kept, grid, Modality.CT, Unit.HU)


def row(values: list[float], spacing_mm: float = 1.0) -> Volume:
    """Voxels in a row along the first axis, the first centre at 0 mm."""
    grid = Grid.from_spacing((len(values), 1, 1), (spacing_mm, 1.0, 1.0))
    return volume(np.array(values)[:, None, None], grid)


def row_grid(n: int, spacing_mm: float, start_mm: float) -> Grid:
    return Grid.from_spacing((n, 1, 1), (spacing_mm, 1.0, 1.0), origin_mm=(start_mm, 0.0, 0.0))


@pytest.fixture(params=[(a, s) for a in AXES for s in SPACINGS], ids=lambda p: f"{p[0]}, {p[1]}")
def target_kind(request: pytest.FixtureRequest) -> tuple[NDArray[np.float64], tuple[float, float, float]]:
    axes, spacing = request.param
    return AXES[axes], SPACINGS[spacing]


SOURCE_GRIDS = {
    "anisotropic": covering(48, (1.0, 1.5, 2.0), np.eye(3)),
    "negated": covering(48, (1.1, 1.1, 3.0), np.diag([-1.0, -1.0, 1.0])),
    "oblique": covering(60, (1.5, 1.0, 2.5), Rotation.from_euler("zx", [25, 15], degrees=True).as_matrix()),
}


@pytest.fixture(params=list(SOURCE_GRIDS.values()), ids=list(SOURCE_GRIDS))
def source_grid(request: pytest.FixtureRequest) -> Grid:
    found: Grid = request.param
    return found


def test_half_a_voxel_further_lies_the_mean_of_two() -> None:
    out = resample_volume(row([0, 10, 40, 20]), row_grid(3, 1.0, 0.5), outside=-1)
    assert out.array.ravel().tolist() == [5.0, 25.0, 30.0]


def test_twice_as_fine_by_hand() -> None:
    # Box −0.5 … 1.5 mm; centres at −0.25 (the border value holds to the edge), 0.25, 0.75 and 1.25.
    out = resample_volume(row([0, 8]), row_grid(4, 0.5, -0.25), outside=-1)
    assert out.array.ravel().tolist() == [0.0, 2.0, 6.0, 8.0]


def test_beyond_the_edge_of_the_box_is_outside() -> None:
    out = resample_volume(row([3, 4]), row_grid(6, 1.0, -2.0), outside=-1024)
    assert out.array.ravel().tolist() == [-1024, -1024, 3, 4, -1024, -1024]
    half = resample_volume(row([3, 4]), row_grid(6, 0.5, -0.75), outside=-1024)
    assert half.array.ravel().tolist() == [-1024, 3, 3.25, 3.75, 4, -1024]


def test_a_grid_that_does_not_touch_the_source_is_all_outside(
    target_kind: tuple[NDArray[np.float64], tuple[float, float, float]],
) -> None:
    far = Grid.from_spacing((4, 4, 4), (1.0, 1.0, 1.0), origin_mm=(900.0, 0.0, 0.0))
    out = resample_volume(volume(np.ones((4, 4, 4)), far), covering(20, target_kind[1], target_kind[0]), outside=-7)
    assert (out.array == -7).all()


def test_voxel_centres_that_coincide_keep_their_values() -> None:
    array = np.random.default_rng(0).normal(size=(6, 4, 8)).astype(np.float32)
    grid = Grid.from_spacing(array.shape, (0.7, 0.8, 3.0), origin_mm=(-3.1, 12.7, 99.9))
    part = grid.crop((1, -1, 2), (4, 6, 9))
    out = resample_volume(volume(array, grid), part, outside=-1)
    np.testing.assert_array_equal(out.array[:, 1:5, :6], array[1:5, :, 2:])
    assert (out.array[:, 0] == -1).all()
    assert (out.array[:, :, 6:] == -1).all()


def test_the_same_grid_keeps_the_very_same_array() -> None:
    source = volume(np.arange(24, dtype=np.int16).reshape(2, 3, 4), centred((2, 3, 4), (2.0, 1.4, 1.0), TURN))
    grid = Grid(source.grid.shape, source.grid.affine, "1.2.3")
    out = resample_volume(source, grid, outside=0)
    assert out.array.dtype == np.int16
    assert np.shares_memory(out.array, source.array)
    assert out.grid is grid


def test_the_result_is_float32_on_the_grid_asked_for_and_keeps_its_meaning() -> None:
    grid = row_grid(2, 1.0, 0.5)
    out = resample_volume(
        Volume(np.zeros((4, 1, 1), np.int16), row([0] * 4).grid, Modality.MR, Unit.ONE), grid, outside=0
    )
    assert out.array.dtype == np.float32
    assert out.grid is grid
    assert (out.modality, out.unit) == (Modality.MR, Unit.ONE)


def test_constant_in_constant_out_also_at_borders(
    source_grid: Grid, target_kind: tuple[NDArray[np.float64], tuple[float, float, float]]
) -> None:
    grid = covering(60, target_kind[1], target_kind[0])
    source = volume(np.full(source_grid.shape, 137, dtype=np.int16), source_grid)
    out = resample_volume(source, grid, outside=-1000).array
    ijk = source_grid.to_ijk(centres(grid))
    inside = ((ijk > -0.499) & (ijk < np.array(source_grid.shape) - 0.501)).all(axis=-1)
    beyond = ((ijk < -0.501) | (ijk > np.array(source_grid.shape) - 0.499)).any(axis=-1)
    assert inside.any()
    assert beyond.any()
    np.testing.assert_allclose(out[inside], 137, atol=1e-3)
    assert (out[beyond] == -1000).all()


def test_a_linear_ramp_stays_linear(
    source_grid: Grid, target_kind: tuple[NDArray[np.float64], tuple[float, float, float]]
) -> None:
    slope = np.array([3.0, -2.0, 5.0])
    grid = covering(16, target_kind[1], target_kind[0])
    out = resample_volume(volume(centres(source_grid) @ slope, source_grid), grid, outside=0).array
    np.testing.assert_allclose(out, centres(grid) @ slope, atol=2e-3)


def test_a_blob_stays_where_it_is_and_keeps_its_mass(
    source_grid: Grid, target_kind: tuple[NDArray[np.float64], tuple[float, float, float]]
) -> None:
    place, sigma = CENTRE + [0.35, -0.8, 0.55], 4.5

    def blob(grid: Grid) -> NDArray[np.float64]:
        return np.asarray(np.exp(-0.5 * ((centres(grid) - place) ** 2).sum(axis=-1) / sigma**2))

    grid = covering(46, target_kind[1], target_kind[0])
    out = resample_volume(volume(blob(source_grid), source_grid), grid, outside=0).array.astype(np.float64)
    mean = (out[..., None] * centres(grid)).sum(axis=(0, 1, 2)) / out.sum()
    np.testing.assert_allclose(mean, place, atol=0.05)
    mass = (2 * np.pi) ** 1.5 * sigma**3
    assert out.sum() * grid.voxel_volume_mm3 == pytest.approx(mass, rel=0.01)


@pytest.mark.parametrize("ratio", [1.25, 2, 3, 5])
def test_going_coarser_adds_the_missing_variance(ratio: float) -> None:
    # A symmetric kernel of variance v turns x² into x² + v; v = (new² − old²) / (8 ln 2).
    x = np.arange(81.0) - 40
    out = resample_volume(row((x**2).tolist()), row_grid(1, ratio, 40.0), outside=0).array.ravel()
    np.testing.assert_allclose(out, (ratio**2 - 1) / (8 * np.log(2)), rtol=1e-4)


@pytest.mark.parametrize("ratio", [2, 3, 4])
def test_what_the_new_spacing_cannot_show_is_damped(ratio: int) -> None:
    # The discrete Gaussian of variance t passes a wave of period two as exp(-2 t).
    wave = row([1.0 if n % 2 == 0 else -1.0 for n in range(101)])
    out = resample_volume(wave, row_grid(5, ratio, 50 - 2 * ratio), outside=0).array.ravel()
    sign = np.array([1.0 if (50 - 2 * ratio + ratio * n) % 2 == 0 else -1.0 for n in range(5)])
    expected = np.exp(-2 * (ratio**2 - 1) / (8 * np.log(2)))
    np.testing.assert_allclose(out, sign * expected, atol=1e-5)


def test_each_axis_is_smoothed_by_its_own_need() -> None:
    array = np.zeros((9, 9, 9))
    array[4, 4, 4] = 1
    source = volume(array, Grid.from_spacing(array.shape, (1.0, 1.0, 4.0)))
    grid = Grid.from_spacing((9, 3, 33), (1.0, 3.0, 1.0), origin_mm=(0.0, 1.0, 0.0))
    out = resample_volume(source, grid, outside=0).array
    assert set(np.argwhere(out > 1e-9)[:, 0].tolist()) == {4}
    # Along k only interpolated: a triangle over eight millimetres.
    along = out[4].sum(axis=0)
    np.testing.assert_allclose(along[12:21] / along[16], [0, 0.25, 0.5, 0.75, 1, 0.75, 0.5, 0.25, 0], atol=1e-6)


@pytest.mark.parametrize("order", ["C", "F"])
@pytest.mark.parametrize("spacing", [(0.8, 0.9, 1.1), (2.5, 3.0, 4.5)])
def test_flips_and_permutations_commute_with_resampling(order: str, spacing: tuple[float, float, float]) -> None:
    array = np.random.default_rng(5).normal(size=(14, 11, 8)).astype(np.float32)
    source_grid = centred((14, 11, 8), (1.0, 1.5, 2.0), TURN)
    grid = centred((16, 10, 8), spacing, TURN)
    plain = resample_volume(volume(array, source_grid), grid, outside=-5).array
    turned = array[::-1, :, ::-1].transpose(2, 0, 1)
    if order == "F":
        turned = np.asfortranarray(turned)
    axes = (TURN * [-1, 1, -1])[:, [2, 0, 1]]
    source = volume(turned, centred((8, 14, 11), (2.0, 1.0, 1.5), axes))
    np.testing.assert_allclose(resample_volume(source, grid, outside=-5).array, plain, atol=1e-5)
    i, j, k = spacing
    flipped = resample_volume(volume(array, source_grid), centred((8, 16, 10), (k, i, j), axes), outside=-5).array
    np.testing.assert_allclose(flipped, plain[::-1, :, ::-1].transpose(2, 0, 1), atol=1e-5)


def test_a_part_of_the_target_equals_that_part_of_the_whole(
    target_kind: tuple[NDArray[np.float64], tuple[float, float, float]],
) -> None:
    source = volume(
        np.random.default_rng(6).normal(size=SOURCE_GRIDS["anisotropic"].shape), SOURCE_GRIDS["anisotropic"]
    )
    grid = covering(60, target_kind[1], target_kind[0])
    whole = resample_volume(source, grid, outside=9).array
    start, shape = [n // 3 for n in grid.shape], [max(1, n // 3) for n in grid.shape]
    part = resample_volume(source, grid.crop(start, shape), outside=9).array
    block = tuple(slice(a, a + n) for a, n in zip(start, shape, strict=True))
    np.testing.assert_allclose(part, whole[block], atol=1e-4)


@pytest.mark.parametrize("axes", list(AXES.values()), ids=list(AXES))
def test_a_small_target_touches_only_its_part_of_a_huge_source(axes: NDArray[np.float64]) -> None:
    # 32 GB of voxels that share two bytes of memory: reading them all would take minutes.
    array = np.broadcast_to(np.array(42, dtype=np.int16), (2500, 2500, 2500))
    source = volume(array, centred(array.shape, (0.5, 0.5, 0.5), np.eye(3)))
    out = resample_volume(source, covering(20, (1.5, 1.5, 3.0), axes), outside=0).array
    np.testing.assert_allclose(out, 42, atol=1e-4)


def test_both_paths_agree_where_both_apply() -> None:
    array = np.random.default_rng(7).normal(size=(20, 16, 12)).astype(np.float32)
    source, target = (
        centred((20, 16, 12), (1.0, 1.2, 2.0), np.eye(3)),
        centred((9, 14, 10), (2.0, 1.7, 1.5), AXES["permuted"]),
    )
    to_source = IndexMap.between(source, target)
    axes = to_source.parallel_axes(target.shape)
    assert axes == (1, 2, 0)
    along = to_source.centres(axes, target.shape)
    weights = [axis_weights(c, n, s) for c, n, s in zip(along, array.shape, to_source.sigmas(), strict=True)]
    separable = apply_weights(array, weights, outside=3).transpose(np.argsort(axes))
    oblique = resample_oblique(array, to_source, target.shape, method="linear", outside=3)
    np.testing.assert_allclose(separable, oblique, atol=1e-5)


def test_oblique_interpolation_as_scipy_does_it() -> None:
    array = np.random.default_rng(8).normal(size=(30, 28, 26)).astype(np.float32)
    source, target = centred(array.shape, (1.0, 1.0, 1.0), np.eye(3)), centred((150, 6, 8), (0.1, 0.9, 1.0), TURN)
    to_source = IndexMap.between(source, target)
    assert to_source.parallel_axes(target.shape) is None
    expected = affine_transform(array, to_source.matrix, to_source.offset, target.shape, order=1)
    np.testing.assert_allclose(resample_volume(volume(array, source), target, outside=0).array, expected, atol=1e-4)


def test_sample_linear_by_hand() -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4)
    points = np.array([[0, 0, 0], [1, 2, 3], [0.5, 0, 0], [0, 0.25, 0.5], [-3, 0, 0], [1, 2, 7.5]])
    values = sample_linear(array, points)
    assert values.dtype == np.float32
    assert values.tolist() == [0, 23, 6, 1.5, 0, 23]
    assert sample_linear(array, points.reshape(2, 3, 3)).shape == (2, 3)
    assert sample_linear(array, np.empty((0, 3))).shape == (0,)


def test_sample_linear_agrees_with_resampling() -> None:
    array = np.random.default_rng(9).normal(size=(12, 10, 8)).astype(np.float32)
    source, target = centred(array.shape, (1.0, 1.2, 2.0), np.eye(3)), centred((6, 6, 4), (0.9, 1.0, 1.9), TURN)
    expected = sample_linear(array, source.to_ijk(centres(target)))
    np.testing.assert_allclose(resample_volume(volume(array, source), target, outside=0).array, expected, atol=0.2)


def test_axis_aligned_grid_by_hand() -> None:
    # The box −0.5 … 3.5 mm needs the voxels centred at 0, 2 and 4 mm (−1 … 5).
    grid = axis_aligned_grid(Grid.from_spacing((4, 4, 4), (1.0, 1.0, 1.0)), (2.0, 1.0, 8.0))
    assert grid.shape == (3, 4, 1)
    assert grid.origin_mm == (0.0, 0.0, 0.0)
    assert grid.spacing_mm == (2.0, 1.0, 8.0)


def test_axis_aligned_grid_that_fits_exactly_gets_no_extra_layer() -> None:
    grid = Grid.from_spacing((8, 10, 6), (0.3, 0.3, 0.3), origin_mm=(-0.9, 2.7, 30.0), frame_of_reference_uid="1.2")
    assert axis_aligned_grid(grid, (0.3, 0.3, 0.3)).same_as(grid, tolerance_mm=1e-9)
    assert axis_aligned_grid(grid, (0.3, 0.3, 0.3)).frame_of_reference_uid == "1.2"


@pytest.mark.parametrize("axes", list(AXES.values()), ids=list(AXES))
def test_axis_aligned_grid_covers_the_box_and_no_more(axes: NDArray[np.float64]) -> None:
    grid = centred((10, 7, 4), (1.3, 2.1, 5.0), axes)
    spacing = np.array([1.5, 2.0, 2.5])
    aligned = axis_aligned_grid(grid, spacing.tolist())
    box = np.array([grid.to_xyz_mm(np.array(grid.shape) * pick - 0.5) for pick in np.ndindex(2, 2, 2)])
    low, high = aligned.to_xyz_mm((-0.5,) * 3), aligned.to_xyz_mm(np.array(aligned.shape) - 0.5)
    assert (low <= box.min(axis=0) + 1e-9).all()
    assert (high >= box.max(axis=0) - 1e-9).all()
    assert (low > box.min(axis=0) - spacing).all()
    assert (high < box.max(axis=0) + spacing).all()
    np.testing.assert_array_equal(aligned.direction, np.eye(3))
    np.testing.assert_allclose(np.array(aligned.origin_mm) / spacing % 1 % 1, 0, atol=1e-9)


def test_two_acquisitions_share_one_lattice() -> None:
    one, two = (
        axis_aligned_grid(covering(40, s, a), (1.5, 1.5, 1.5))
        for s, a in ((SPACINGS["finer"], TURN), (SPACINGS["coarser"], np.eye(3)))
    )
    shift = one.to_ijk(two.origin_mm)
    np.testing.assert_allclose(shift, np.round(shift), atol=1e-9)


@pytest.mark.parametrize("spacing", [(1.0, 0.0, 1.0), (1.0, 1.0), (1.0, np.nan, 1.0)])
def test_axis_aligned_grid_refuses_what_is_no_spacing(spacing: tuple[float, ...]) -> None:
    with pytest.raises(GeometryError, match="three positive spacings"):
        axis_aligned_grid(SOURCE_GRIDS["oblique"], spacing)
