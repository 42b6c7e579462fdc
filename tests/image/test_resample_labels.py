"""Label resampling by nearest centre and by vote."""

from collections.abc import Sequence
from typing import Literal

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.image import resample
from osteomet.image.resample import resample_labels, resample_volume

TURN = Rotation.from_euler("xyz", [15, -25, 40], degrees=True).as_matrix()
SOURCE = Grid.from_spacing((40, 32, 20), (1.0, 1.25, 2.0), origin_mm=(-19.5, -19.375, -19.0))
TARGETS = {
    "finer": Grid.from_spacing((50, 50, 50), (0.8, 0.8, 0.8), origin_mm=(-19.6, -19.6, -19.6)),
    "coarser": Grid.from_spacing((16, 14, 12), (2.5, 3.0, 3.5), origin_mm=(-18.75, -19.5, -19.25)),
    "flipped and permuted": Grid.from_spacing(
        (20, 40, 32), (2.0, 1.0, 1.2), origin_mm=(19.3, 18.4, -18.7), direction=[[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    ),
    "oblique": Grid.from_spacing(
        (44, 40, 24), (1.0, 1.1, 1.8), origin_mm=(-TURN @ [21.5, 21.45, 20.7]).tolist(), direction=TURN
    ),
    "oblique, coarser": Grid.from_spacing(
        (14, 14, 14), (3.0, 3.0, 3.0), origin_mm=(-TURN @ [19.5, 19.5, 19.5]).tolist(), direction=TURN
    ),
}
METHODS: list[Literal["nearest", "vote"]] = ["nearest", "vote"]


@pytest.fixture(params=list(TARGETS.values()), ids=list(TARGETS))
def target(request: pytest.FixtureRequest) -> Grid:
    found: Grid = request.param
    return found


@pytest.fixture(params=METHODS)
def method(request: pytest.FixtureRequest) -> Literal["nearest", "vote"]:
    found: Literal["nearest", "vote"] = request.param
    return found


def named(array: NDArray[np.unsignedinteger], grid: Grid) -> LabelMap:
    return LabelMap(array, grid, {f"label {v}": int(v) for v in np.unique(array) if v})


def row(values: Sequence[int]) -> LabelMap:
    return named(np.array(values, dtype=np.uint8)[:, None, None], Grid.from_spacing((len(values), 1, 1), (1, 1, 1)))


def row_grid(n: int, spacing_mm: float, start_mm: float) -> Grid:
    return Grid.from_spacing((n, 1, 1), (spacing_mm, 1.0, 1.0), origin_mm=(start_mm, 0.0, 0.0))


def world(grid: Grid) -> NDArray[np.float64]:
    return grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))


def ball(grid: Grid, radius_mm: float, centre_mm: Sequence[float] = (0.0, 0.0, 0.0)) -> NDArray[np.bool_]:
    return np.asarray(np.linalg.norm(world(grid) - centre_mm, axis=-1) <= radius_mm)


def spheres(grid: Grid) -> LabelMap:
    """A ball in a shell, two touching half balls and one ball apart, some of them off the voxel lattice."""
    array = np.zeros(grid.shape, dtype=np.uint16)
    array[ball(grid, 10)] = 300
    array[ball(grid, 6)] = 7
    beside = ball(grid, 5, (12.3, 12.1, -11.7))
    array[beside] = np.where(world(grid)[..., 0] < 12.6, 20, 21)[beside]
    return named(array, grid)


def test_nearest_by_hand() -> None:
    out = resample_labels(row([1, 2, 3]), row_grid(6, 0.5, -0.25), method="nearest")
    assert out.array.ravel().tolist() == [1, 1, 2, 2, 3, 3]
    skipping = resample_labels(row([1, 2, 3, 4, 5]), row_grid(2, 3.0, 0.9), method="nearest")
    assert skipping.array.ravel().tolist() == [2, 5]


def test_nearest_takes_the_higher_index_half_way() -> None:
    out = resample_labels(row([1, 2, 3, 4]), row_grid(2, 2.0, 0.5), method="nearest")
    assert out.array.ravel().tolist() == [2, 4]


def test_vote_by_hand() -> None:
    # At 0.4, 1.4 and 2.4 mm label 1 fills 0.4, 1.0 and 0.6.
    out = resample_labels(row([0, 1, 1, 0]), row_grid(3, 1.0, 0.4), method="vote")
    assert out.array.ravel().tolist() == [0, 1, 1]
    assert resample_labels(row([0, 1, 1, 0]), row_grid(3, 1.0, 0.6), method="vote").array.ravel().tolist() == [1, 1, 0]


def test_vote_counts_half_full_as_foreground_and_gives_ties_to_the_lower_label() -> None:
    assert resample_labels(row([0, 9, 0]), row_grid(2, 1.0, 0.5), method="vote").array.ravel().tolist() == [9, 9]
    assert resample_labels(row([9, 4, 9]), row_grid(2, 1.0, 0.5), method="vote").array.ravel().tolist() == [4, 4]


def test_vote_leaves_no_gap_where_several_labels_meet() -> None:
    # Four labels in the four quarters of the plane, a background row at the end: in the middle each label fills a
    # quarter, more than none, and together they fill the voxel.
    quarters = np.array([[1, 1, 2, 2], [1, 1, 2, 2], [3, 3, 4, 4], [3, 3, 4, 4]], dtype=np.uint8)[:, :, None]
    labels = named(quarters, Grid.from_spacing((4, 4, 1), (1.0, 1.0, 1.0)))
    middle = Grid.from_spacing((1, 1, 1), (1.0, 1.0, 1.0), origin_mm=(1.5, 1.5, 0.0))
    assert resample_labels(labels, middle, method="vote").array.item() == 1
    # Three labels fill 0.2, 0.2 and 0.2 of a voxel and background 0.4: foreground all the same.
    cube = np.zeros((2, 2, 1), dtype=np.uint8)
    cube[0, 1], cube[1, 0], cube[1, 1] = 5, 6, 7
    place = Grid.from_spacing((1, 1, 1), (1.0, 1.0, 1.0), origin_mm=(0.4, 0.3333, 0.0))
    found = resample_labels(named(cube, Grid.from_spacing((2, 2, 1), (1.0, 1.0, 1.0))), place, method="vote")
    assert found.array.item() == 6


def test_beyond_the_edge_of_the_box_is_background(method: Literal["nearest", "vote"]) -> None:
    out = resample_labels(row([3, 4]), row_grid(6, 1.0, -2.0), method=method)
    assert out.array.ravel().tolist() == [0, 0, 3, 4, 0, 0]
    half = resample_labels(row([3, 4]), row_grid(6, 0.5, -0.75), method=method)
    assert half.array.ravel().tolist() == [0, 3, 3, 4, 4, 0]


def test_names_type_and_grid(method: Literal["nearest", "vote"], target: Grid) -> None:
    source = spheres(SOURCE)
    out = resample_labels(source, target, method=method)
    assert out.grid is target
    assert out.array.dtype == np.uint16
    assert dict(out.labels) == dict(source.labels)
    same = resample_labels(source, SOURCE, method=method)
    assert np.shares_memory(same.array, source.array)


def test_an_empty_map_stays_empty(method: Literal["nearest", "vote"], target: Grid) -> None:
    empty = LabelMap(np.zeros(SOURCE.shape, dtype=np.uint8), SOURCE, {"L1": 20})
    out = resample_labels(empty, target, method=method)
    assert out.array.sum() == 0
    assert dict(out.labels) == {"L1": 20}


def test_a_map_full_of_one_label_stays_full(method: Literal["nearest", "vote"], target: Grid) -> None:
    out = resample_labels(named(np.full(SOURCE.shape, 8, dtype=np.uint8), SOURCE), target, method=method)
    ijk = SOURCE.to_ijk(world(target))
    inside = ((ijk > -0.499) & (ijk < np.array(SOURCE.shape) - 0.501)).all(axis=-1)
    beyond = ((ijk < -0.501) | (ijk > np.array(SOURCE.shape) - 0.499)).any(axis=-1)
    assert (out.array[inside] == 8).all()
    assert (out.array[beyond] == 0).all()


def test_a_ball_keeps_its_volume_and_place(method: Literal["nearest", "vote"], target: Grid) -> None:
    centre = np.array([1.3, -0.7, 2.1])
    source = named(ball(SOURCE, 11, centre.tolist()).astype(np.uint8), SOURCE)
    out = resample_labels(source, target, method=method)
    voxels = world(target)[out.array == 1]
    assert len(voxels) * target.voxel_volume_ml == pytest.approx(4 / 3 * np.pi * 1.1**3, rel=0.05)
    # Whole voxels cannot show a shift between two lattices: up to half a voxel, less on average over a surface.
    np.testing.assert_allclose(voxels.mean(axis=0), centre, atol=0.2 * max(*target.spacing_mm, *SOURCE.spacing_mm))


def test_foreground_of_a_vote_is_the_vote_of_the_foreground(target: Grid) -> None:
    source = spheres(SOURCE)
    together = named((source.array > 0).astype(np.uint8), SOURCE)
    out = resample_labels(source, target, method="vote").array > 0
    expected = resample_labels(together, target, method="vote").array > 0
    assert (out != expected).sum() <= 2


def test_vote_as_the_slow_obvious_way_does_it(target: Grid) -> None:
    source = spheres(SOURCE)
    values = [0, *source.labels.values()]
    occupancy = {
        v: resample_volume(
            Volume((source.array == v).astype(np.float32), SOURCE, Modality.CT, Unit.ONE), target, outside=float(v == 0)
        ).array
        for v in values
    }
    stack = np.stack([occupancy[v] for v in values[1:]])
    expected = np.where(occupancy[0] <= 0.5 + 1e-4, np.array(values[1:])[stack.argmax(axis=0)], 0)
    out = resample_labels(source, target, method="vote").array
    ordered = np.sort(np.concatenate([stack, np.zeros_like(stack[:1])]), axis=0)
    clear = (np.abs(occupancy[0] - 0.5) > 2e-3) & ((ordered[-1] - ordered[-2] > 2e-3) | (occupancy[0] > 0.5))
    assert clear.mean() > 0.9
    np.testing.assert_array_equal(out[clear], expected[clear])


def test_slabs_do_not_show(monkeypatch: pytest.MonkeyPatch, target: Grid) -> None:
    source = spheres(SOURCE)
    whole = resample_labels(source, target, method="vote").array
    monkeypatch.setattr(resample, "_SLAB_VOXELS", 3 * target.shape[0] * target.shape[1])
    np.testing.assert_array_equal(resample_labels(source, target, method="vote").array, whole)


def test_a_structure_thinner_than_the_new_spacing_is_lost_by_vote_but_not_moved() -> None:
    # One voxel of nine in a coarse one is far from half.
    array = np.zeros((9, 9, 9), dtype=np.uint8)
    array[4, 4, 4] = 1
    source = named(array, Grid.from_spacing(array.shape, (1.0, 1.0, 1.0)))
    coarse = source.grid.with_spacing((3.0, 3.0, 3.0))
    assert resample_labels(source, coarse, method="vote").array.sum() == 0
    assert np.argwhere(resample_labels(source, coarse, method="nearest").array).tolist() == [[1, 1, 1]]


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.uint32, np.uint64])
@pytest.mark.parametrize("order", ["C", "F"])
def test_every_unsigned_type_in_both_memory_orders(
    method: Literal["nearest", "vote"], dtype: type, order: Literal["C", "F"]
) -> None:
    source = spheres(SOURCE)
    smaller = np.where(source.array == 300, 3, source.array)
    reference = named(smaller.astype(np.uint8), SOURCE)
    other = named(np.array(smaller, dtype=dtype, order=order), SOURCE)
    for grid in (TARGETS["flipped and permuted"], TARGETS["oblique"]):
        out = resample_labels(other, grid, method=method)
        assert out.array.dtype == dtype
        np.testing.assert_array_equal(out.array, resample_labels(reference, grid, method=method).array)


def test_there_and_back_on_a_finer_grid_changes_nothing(method: Literal["nearest", "vote"]) -> None:
    source = spheres(SOURCE)
    fine = SOURCE.with_spacing([s / 3 for s in SOURCE.spacing_mm])
    back = resample_labels(resample_labels(source, fine, method=method), SOURCE, method=method)
    same = back.array == source.array
    assert same.mean() > (0.995 if method == "vote" else 0.99999)
