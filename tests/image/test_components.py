import numpy as np
import pytest
from numpy.typing import NDArray
from scipy import ndimage

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.image.components import (
    Connectivity,
    bounding_box,
    drop_small,
    label_components,
    largest_components,
)

EMPTY = np.zeros((4, 6, 8), dtype=bool)


def cubes(
    *corners_and_sides: tuple[tuple[int, int, int], int], shape: tuple[int, int, int] = (20, 18, 16)
) -> NDArray[np.bool_]:
    mask = np.zeros(shape, dtype=bool)
    for (i, j, k), side in corners_and_sides:
        mask[i : i + side, j : j + side, k : k + side] = True
    return mask


@pytest.mark.parametrize(
    ("second", "n_by_connectivity"),
    [
        ((2, 0, 0), {6: 1, 18: 1, 26: 1}),
        ((2, 2, 0), {6: 2, 18: 1, 26: 1}),
        ((2, 2, 2), {6: 2, 18: 2, 26: 1}),
        ((3, 0, 0), {6: 2, 18: 2, 26: 2}),
    ],
    ids=["faces", "edges", "corners", "apart"],
)
def test_what_touches(second: tuple[int, int, int], n_by_connectivity: dict[Connectivity, int]) -> None:
    mask = cubes(((0, 0, 0), 2), (second, 2))
    for connectivity, expected in n_by_connectivity.items():
        labels, n = label_components(mask, connectivity=connectivity)
        assert n == expected
        assert sorted(np.unique(labels).tolist()) == list(range(n + 1))
        np.testing.assert_array_equal(labels > 0, mask)


@pytest.mark.parametrize("order", ["C", "F"])
def test_components_as_scipy_finds_them(order: str) -> None:
    mask = np.random.default_rng(0).random((14, 12, 10)) > 0.8
    mask = np.asfortranarray(mask) if order == "F" else mask
    labels, n = label_components(mask)
    expected, n_expected = ndimage.label(mask, structure=np.ones((3, 3, 3)))
    assert labels.dtype == np.uint32
    assert n == n_expected
    pairs = np.unique(np.stack([labels.ravel(), expected.ravel()]), axis=1)
    assert pairs.shape[1] == n + 1


def test_flipping_changes_no_component() -> None:
    mask = np.random.default_rng(1).random((9, 8, 7)) > 0.85
    assert label_components(mask)[1] == label_components(mask[::-1, :, ::-1])[1]


def test_an_empty_mask_has_no_component() -> None:
    labels, n = label_components(EMPTY)
    assert (labels.shape, labels.sum(), n) == (EMPTY.shape, 0, 0)
    assert not largest_components(EMPTY, 2).any()
    assert not drop_small(EMPTY, Grid.from_spacing(EMPTY.shape, (1, 1, 1)), 0.1).any()
    assert bounding_box(EMPTY) is None


def test_a_full_mask_is_one_component() -> None:
    full = ~EMPTY
    assert label_components(full)[1] == 1
    assert largest_components(full, 1).all()
    assert bounding_box(full) == (slice(0, 4), slice(0, 6), slice(0, 8))


@pytest.mark.parametrize("shape", [(1, 1, 3), (3, 3, 3), (1, 21, 21), (3, 1, 101), (9, 9, 9)])
def test_a_component_in_every_second_voxel(shape: tuple[int, int, int]) -> None:
    mask = np.zeros(shape, dtype=bool)
    mask[::2, ::2, ::2] = True
    labels, n = label_components(mask)
    assert n == np.count_nonzero(mask)
    assert sorted(labels[mask].tolist()) == list(range(1, n + 1))
    assert labels.shape == shape


def test_the_largest_are_kept() -> None:
    two, four, three = ((0, 0, 0), 2), ((5, 5, 5), 4), ((12, 12, 12), 3)
    mask = cubes(two, four, three)
    np.testing.assert_array_equal(largest_components(mask, 1), cubes(four))
    np.testing.assert_array_equal(largest_components(mask, 2), cubes(four, three))
    np.testing.assert_array_equal(largest_components(mask, 9), mask)


def test_of_equals_exactly_as_many_as_asked_are_kept() -> None:
    mask = cubes(((0, 0, 0), 2), ((5, 5, 5), 2), ((12, 12, 12), 2))
    assert label_components(largest_components(mask, 2))[1] == 2


def test_connectivity_decides_what_is_largest() -> None:
    mask = cubes(((0, 0, 0), 2), ((2, 2, 2), 2), ((10, 10, 10), 2))
    mask[12, 10, 10] = True
    np.testing.assert_array_equal(largest_components(mask, 1), cubes(((0, 0, 0), 2), ((2, 2, 2), 2)))
    assert largest_components(mask, 1, connectivity=6).sum() == 9


def test_keeping_none_is_refused() -> None:
    with pytest.raises(UsageError, match="at least one component must be kept; got n = 0"):
        largest_components(EMPTY, 0)


def test_small_components_are_dropped_by_volume() -> None:
    # Voxels of 0.5 × 1 × 2 mm hold 1 mm³; cubes of 8, 27 and 64 voxels hold 0.008, 0.027 and 0.064 ml.
    grid = Grid.from_spacing((20, 18, 16), (0.5, 1.0, 2.0))
    two, three, four = ((0, 0, 0), 2), ((6, 6, 6), 3), ((12, 12, 12), 4)
    mask = cubes(two, three, four)
    np.testing.assert_array_equal(drop_small(mask, grid, 0.0), mask)
    np.testing.assert_array_equal(drop_small(mask, grid, 0.009), cubes(three, four))
    np.testing.assert_array_equal(drop_small(mask, grid, 0.027), cubes(three, four))
    np.testing.assert_array_equal(drop_small(mask, grid, 0.0271), cubes(four))
    assert not drop_small(mask, grid, 1.0).any()


def test_a_component_of_exactly_the_smallest_volume_stays_whatever_the_rounding() -> None:
    # 200 voxels of 0.1 × 0.1 × 0.1 mm and of 0.7 × 0.7 × 3 mm.
    mask = np.zeros((10, 10, 4), dtype=bool)
    mask[:10, :10, :2] = True
    for spacing in ((0.1, 0.1, 0.1), (0.7, 0.7, 3.0)):
        grid = Grid.from_spacing(mask.shape, spacing)
        assert drop_small(mask, grid, 200 * spacing[0] * spacing[1] * spacing[2] / 1000).sum() == 200


def test_connectivity_decides_what_is_small() -> None:
    mask = cubes(((0, 0, 0), 2), ((2, 2, 2), 2))
    grid = Grid.from_spacing(mask.shape, (1.0, 1.0, 1.0))
    assert drop_small(mask, grid, 0.016).sum() == 16
    assert drop_small(mask, grid, 0.016, connectivity=6).sum() == 0


def test_bounding_box_holds_all_and_no_more() -> None:
    mask = cubes(((3, 4, 5), 2), ((10, 6, 1), 3))
    box = bounding_box(mask)
    assert box == (slice(3, 13), slice(4, 9), slice(1, 7))
    assert mask[box].sum() == mask.sum()
