import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid, check_same_grid


def rotation(angle: float, axis: int) -> NDArray[np.float64]:
    """Turn by ``angle`` (radians) about one world axis."""
    a, b = (n for n in range(3) if n != axis)
    matrix = np.eye(3)
    matrix[a, a] = matrix[b, b] = np.cos(angle)
    matrix[a, b], matrix[b, a] = -np.sin(angle), np.sin(angle)
    return matrix


GRIDS = {
    "isotropic": Grid.from_spacing((5, 5, 5), (1.0, 1.0, 1.0)),
    "anisotropic, even": Grid.from_spacing((6, 4, 2), (0.7, 0.8, 5.0), origin_mm=(-120.0, 33.5, 800.25)),
    "oblique": Grid.from_spacing(
        (4, 6, 8), (0.5, 1.5, 3.0), origin_mm=(10.0, -20.0, 30.0), direction=rotation(0.3, 0) @ rotation(-0.5, 2)
    ),
    "negated and permuted": Grid.from_spacing(
        (7, 4, 5), (2.0, 1.0, 0.5), origin_mm=(1.0, 2.0, 3.0), direction=[[0, -1, 0], [0, 0, -1], [1, 0, 0]]
    ),
    "one voxel": Grid.from_spacing((1, 1, 1), (2.0, 3.0, 4.0)),
}


@pytest.fixture(params=list(GRIDS.values()), ids=list(GRIDS))
def grid(request: pytest.FixtureRequest) -> Grid:
    found: Grid = request.param
    return found


def test_index_to_world_and_back(grid: Grid) -> None:
    ijk = np.random.default_rng(1).uniform(-3, 9, (4, 25, 3))
    np.testing.assert_allclose(grid.to_ijk(grid.to_xyz_mm(ijk)), ijk, atol=1e-10)
    np.testing.assert_allclose(grid.to_xyz_mm(grid.to_ijk(ijk)), ijk, atol=1e-10)


def test_derived_values_agree_with_how_it_was_made() -> None:
    grid = GRIDS["oblique"]
    assert grid.spacing_mm == pytest.approx((0.5, 1.5, 3.0))
    assert grid.origin_mm == (10.0, -20.0, 30.0)
    assert grid.voxel_volume_mm3 == pytest.approx(2.25)
    assert grid.voxel_volume_ml == pytest.approx(0.00225)
    assert grid.extent_mm == pytest.approx((2.0, 9.0, 24.0))
    np.testing.assert_allclose(grid.direction, rotation(0.3, 0) @ rotation(-0.5, 2), atol=1e-12)


def test_volume_of_a_left_handed_grid_is_positive() -> None:
    assert Grid.from_spacing((2, 2, 2), (1.0, 1.0, 2.0), direction=np.diag([1, 1, -1])).voxel_volume_mm3 == 2.0


def test_world_places_by_hand() -> None:
    grid = GRIDS["negated and permuted"]
    # The first axis runs up by 2 mm, the second to the right by 1 mm, the third forward by 0.5 mm.
    assert grid.to_xyz_mm((0, 0, 0)).tolist() == [1.0, 2.0, 3.0]
    assert grid.to_xyz_mm((2, 3, 4)).tolist() == [1.0 - 3, 2.0 - 2, 3.0 + 4]
    assert grid.to_ijk((0.0, 2.0, 4.0)).tolist() == [0.5, 1.0, 0.0]


def test_corners_are_voxel_centres() -> None:
    corners = GRIDS["anisotropic, even"].corners_xyz_mm()
    assert corners.shape == (8, 3)
    np.testing.assert_allclose(corners.min(axis=0), (-120.0, 33.5, 800.25))
    np.testing.assert_allclose(corners.max(axis=0), (-120 + 5 * 0.7, 33.5 + 3 * 0.8, 805.25))


def test_the_affine_is_copied_and_read_only() -> None:
    affine = np.eye(4)
    grid = Grid((2, 2, 2), affine)
    affine[0, 3] = 7
    assert grid.origin_mm == (0.0, 0.0, 0.0)
    with pytest.raises(ValueError, match="read-only"):
        grid.affine[0, 3] = 7


def test_same_as_itself_and_within_the_tolerance(grid: Grid) -> None:
    affine = grid.affine.copy()
    affine[2, 3] += 0.009
    assert grid.same_as(grid)
    assert grid.same_as(Grid(grid.shape, affine))
    affine[2, 3] += 0.002
    assert not grid.same_as(Grid(grid.shape, affine))


def test_same_as_sees_a_rotation_that_allclose_on_the_affine_accepts() -> None:
    straight = Grid.from_spacing((512, 512, 2), (1.0, 1.0, 1.0))
    turned = Grid.from_spacing((512, 512, 2), (1.0, 1.0, 1.0), direction=rotation(5e-4, 2))
    assert np.allclose(straight.affine, turned.affine, atol=1e-3)
    # The far corner moves by 511 × 0.0005 = 0.26 mm along each axis.
    assert np.abs(straight.corners_xyz_mm() - turned.corners_xyz_mm()).max() == pytest.approx(0.2556, abs=1e-3)
    assert not straight.same_as(turned)
    assert straight.same_as(turned, tolerance_mm=0.3)


def test_same_as_tells_shapes_apart() -> None:
    assert not Grid.from_spacing((4, 4, 4), (1, 1, 1)).same_as(Grid.from_spacing((4, 4, 5), (1, 1, 1)))


def test_crop_moves_the_origin_to_the_first_voxel(grid: Grid) -> None:
    part = grid.crop((2, -1, 1), (3, 2, 1))
    assert part.shape == (3, 2, 1)
    np.testing.assert_allclose(part.origin_mm, grid.to_xyz_mm((2, -1, 1)))
    np.testing.assert_allclose(part.to_xyz_mm((1, 1, 0)), grid.to_xyz_mm((3, 0, 1)))


def test_crop_by_hand() -> None:
    part = Grid.from_spacing((6, 6, 6), (0.5, 1.0, 3.0), origin_mm=(10, 20, 30), frame_of_reference_uid="1.2").crop(
        (2, -1, 1), (2, 8, 5)
    )
    assert part.origin_mm == (11.0, 19.0, 33.0)
    assert part.frame_of_reference_uid == "1.2"


def test_with_spacing_by_hand() -> None:
    # 4 voxels of 1 mm fill −0.5 … 3.5 mm. Two of 2 mm fill the same box: centres at 0.5 and 2.5.
    coarse = Grid.from_spacing((4, 4, 4), (1.0, 1.0, 1.0)).with_spacing((2.0, 0.5, 1.5))
    assert coarse.shape == (2, 8, 3)
    # Three of 1.5 mm fill 4.5 mm round the middle 1.5: −0.75 … 3.75, first centre at 0.
    assert coarse.origin_mm == pytest.approx((0.5, -0.25, 0.0))
    assert coarse.spacing_mm == (2.0, 0.5, 1.5)


def test_with_spacing_keeps_the_middle_and_loses_no_tissue(grid: Grid) -> None:
    new = grid.with_spacing((1.3, 0.9, 2.2))
    middle, new_middle = (g.to_xyz_mm((np.array(g.shape) - 1) / 2) for g in (grid, new))
    np.testing.assert_allclose(new_middle, middle, atol=1e-9)
    assert all(b >= a - 1e-6 for a, b in zip(grid.extent_mm, new.extent_mm, strict=True))
    assert all(b - a < s + 1e-6 for a, b, s in zip(grid.extent_mm, new.extent_mm, new.spacing_mm, strict=True))
    np.testing.assert_allclose(new.direction, grid.direction, atol=1e-12)


def test_with_its_own_spacing_it_stays(grid: Grid) -> None:
    assert grid.with_spacing(grid.spacing_mm).same_as(grid, tolerance_mm=1e-6)


@pytest.mark.parametrize("spacing", [(0, 1, 1), (1, -1, 1), (1, 1, np.nan)])
def test_spacing_that_is_not_positive_is_refused(spacing: tuple[float, float, float]) -> None:
    with pytest.raises(GeometryError, match="spacing must be positive"):
        GRIDS["isotropic"].with_spacing(spacing)
    with pytest.raises(GeometryError, match="spacing must be positive"):
        Grid.from_spacing((2, 2, 2), spacing)


def test_describe_is_short() -> None:
    text = GRIDS["anisotropic, even"].describe()
    assert text == "6×4×2 voxels of (0.7, 0.8, 5) mm from (-120, 33.5, 800.2) mm"


def test_zero_spacing_is_refused() -> None:
    with pytest.raises(
        GeometryError, match=r"voxel spacing must be positive; expected .*; got \(1.0, 0.0, 1.0\) mm; remedy"
    ):
        Grid((2, 2, 2), np.diag([1.0, 0.0, 1.0, 1.0]))


def test_shear_is_refused_and_its_size_told() -> None:
    affine = np.eye(4)
    affine[0, 1] = 0.1
    with pytest.raises(GeometryError, match=r"not perpendicular .* largest cosine between two axes 0\.0995; remedy"):
        Grid((2, 2, 2), affine)


def test_rounding_of_stored_affines_is_no_shear() -> None:
    affine = GRIDS["oblique"].affine.astype(np.float32)
    assert Grid((4, 6, 8), affine.astype(np.float64)).same_as(GRIDS["oblique"])


@pytest.mark.parametrize(
    ("affine", "message"),
    [
        (np.full((4, 4), np.nan), "finite 4×4"),
        (np.eye(3), "finite 4×4"),
        (np.vstack([np.eye(4)[:3], [0, 0, 1, 1]]), "last row"),
    ],
)
def test_what_is_no_affine_is_refused(affine: NDArray[np.float64], message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        Grid((2, 2, 2), affine)


@pytest.mark.parametrize("shape", [(0, 4, 4), (4, 4), (4, 4, 4, 4)])
def test_what_is_no_shape_is_refused(shape: tuple[int, int, int]) -> None:
    with pytest.raises(GeometryError, match="three axes of at least one voxel"):
        Grid(shape, np.eye(4))


def test_check_same_grid_names_both_and_the_remedy() -> None:
    check_same_grid(GRIDS["oblique"], GRIDS["oblique"], names=("a", "b"))
    with pytest.raises(
        GeometryError,
        match=r"the reference and the prediction differ in geometry; expected one grid; got 5×5×5 .*resample",
    ):
        check_same_grid(GRIDS["isotropic"], GRIDS["oblique"], names=("the reference", "the prediction"))
