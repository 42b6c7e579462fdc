import numpy as np
import pytest
from scipy.spatial.transform import Rotation

from osteomet.core.grid import Grid
from osteomet.image.index_map import IndexMap, clipped, size_of, split, widened

SOURCE = Grid.from_spacing((10, 8, 6), (1.0, 2.0, 3.0), origin_mm=(5.0, 6.0, 7.0))


def test_indices_agree_with_the_world_between() -> None:
    turn = Rotation.from_euler("xyz", [30, 10, -50], degrees=True).as_matrix()
    target = Grid.from_spacing((4, 5, 6), (1.1, 0.7, 2.0), origin_mm=(1.0, 9.0, 4.0), direction=turn)
    to_source = IndexMap.between(SOURCE, target)
    ijk = np.random.default_rng(0).uniform(0, 5, (20, 3))
    expected = SOURCE.to_ijk(target.to_xyz_mm(ijk))
    np.testing.assert_allclose(ijk @ to_source.matrix.T + to_source.offset, expected, atol=1e-12)
    back = to_source.inverse()
    np.testing.assert_allclose(expected @ back.matrix.T + back.offset, ijk, atol=1e-12)


def test_counting_from_blocks_equals_cropping_the_grids() -> None:
    target = Grid.from_spacing((9, 9, 9), (2.0, 2.0, 2.0), direction=np.diag([-1, 1, -1]))
    in_source, in_target = (slice(2, 5), slice(1, 3), slice(4, 6)), (slice(3, 9), slice(0, 2), slice(5, 6))
    moved = IndexMap.between(SOURCE, target).in_source(in_source).in_target(in_target)
    cropped = IndexMap.between(SOURCE.crop((2, 1, 4), (3, 2, 2)), target.crop((3, 0, 5), (6, 2, 1)))
    np.testing.assert_allclose(moved.matrix, cropped.matrix)
    np.testing.assert_allclose(moved.offset, cropped.offset)


def test_sigmas_by_hand() -> None:
    # Axes of 1, 2 and 3 mm to 2 mm: only the first gets coarser, by a variance of (4 − 1) / (8 ln 2) voxels².
    to_source = IndexMap.between(SOURCE, Grid.from_spacing((4, 4, 4), (2.0, 2.0, 2.0)))
    assert to_source.sigmas() == pytest.approx((np.sqrt(3 / (8 * np.log(2))), 0, 0))


def test_sigmas_of_an_isotropic_target_do_not_depend_on_its_turn() -> None:
    turn = Rotation.from_euler("xyz", [30, 10, -50], degrees=True).as_matrix()
    straight = IndexMap.between(SOURCE, Grid.from_spacing((4, 4, 4), (4.0, 4.0, 4.0)))
    turned = IndexMap.between(SOURCE, Grid.from_spacing((4, 4, 4), (4.0, 4.0, 4.0), direction=turn))
    assert turned.sigmas() == pytest.approx(straight.sigmas())


def test_parallel_axes_of_a_permutation() -> None:
    axes = np.eye(3)[:, [2, 0, 1]] * [1, -1, 1]
    # Target axis 0 runs along z, 1 along −x, 2 along y.
    to_source = IndexMap.between(SOURCE, Grid.from_spacing((4, 5, 6), (1.0, 1.0, 1.0), direction=axes))
    assert to_source.parallel_axes((4, 5, 6)) == (1, 2, 0)
    x, y, z = to_source.centres((1, 2, 0), (4, 5, 6))
    np.testing.assert_allclose(x, -5 - np.arange(5))
    np.testing.assert_allclose(y, (-6 + np.arange(6)) / 2)
    np.testing.assert_allclose(z, (-7 + np.arange(4)) / 3)


def test_a_turn_counts_once_a_voxel_strays() -> None:
    def axes_after(angle: float) -> tuple[int, int, int] | None:
        turn = Rotation.from_rotvec([0, 0, angle]).as_matrix()
        target = Grid.from_spacing((101, 101, 2), (1.0, 1.0, 1.0), direction=turn)
        return IndexMap.between(Grid.from_spacing((9, 9, 9), (1.0, 1.0, 1.0)), target).parallel_axes(target.shape)

    assert axes_after(0.9e-5) == (0, 1, 2)
    assert axes_after(1.1e-5) is None


def test_reach_holds_all_centres() -> None:
    to_source = IndexMap(np.diag([0.5, -2.0, 1.0]), np.array([1.25, 7.0, 0.0]))
    # First axis: 1.25 … 2.25; second: 7 … 3; third: 2 … 4 exactly.
    assert to_source.reach((slice(0, 3), slice(0, 3), slice(2, 5))) == (slice(1, 4), slice(3, 8), slice(2, 5))


def test_blocks() -> None:
    block = (slice(0, 4), slice(2, 3), slice(5, 9))
    assert widened(block, (1, 0, 2)) == (slice(-1, 5), slice(2, 3), slice(3, 11))
    assert clipped(widened(block, (1, 0, 2)), (4, 8, 6)) == (slice(0, 4), slice(2, 3), slice(3, 6))
    assert size_of(block) == (4, 1, 4)
    assert 0 in size_of(clipped((slice(-5, -2), slice(0, 2), slice(0, 2)), (4, 4, 4)))
    assert 0 in size_of(clipped((slice(7, 9), slice(0, 2), slice(0, 2)), (4, 4, 4)))


def test_split_covers_each_voxel_once() -> None:
    seen = np.zeros((7, 5, 4), dtype=int)
    for block in split(seen.shape, (3, 5, 2)):
        assert all(0 < n <= side for n, side in zip(size_of(block), (3, 5, 2), strict=True))
        seen[block] += 1
    assert (seen == 1).all()
