"""Registration of sequences: a known turn and shift is found again, whatever the contrast and the grid."""

import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter
from scipy.spatial.transform import Rotation

from osteomet.core.errors import GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.image.register import alignment_gain, overlap_share, register_rigid
from osteomet.image.resample import sample_linear

EDGE_MM = 2.0


def landscape() -> NDArray[np.float32]:
    """Smooth hills over a cube of 160 mm, one sample every 2 mm, middle at the origin of the patient."""
    noise = np.random.default_rng(4).normal(size=(80, 80, 80))
    hills = gaussian_filter(noise, 4)
    return np.asarray(hills / hills.std(), dtype=np.float32)


def seen(grid: Grid, *, inverted: bool, rng: np.random.Generator) -> Volume:
    """What a scanner that believes itself at ``grid`` records; the second contrast falls where the first rises."""
    xyz = grid.to_xyz_mm(np.moveaxis(np.indices(grid.shape), 0, -1))
    value = sample_linear(landscape(), xyz / EDGE_MM + 39.5)
    signal = 300 * np.exp(-value) if inverted else 400 + 100 * value
    return Volume((signal + rng.normal(0, 8, grid.shape)).astype(np.float32), grid, Modality.MR, Unit.ARBITRARY)


def turned(grid: Grid, degrees: tuple[float, float, float], shift_mm: tuple[float, float, float]) -> Grid:
    """Where the same grid lies after a turn about the origin and a shift."""
    move = np.eye(4)
    move[:3, :3] = Rotation.from_euler("xyz", degrees, degrees=True).as_matrix()
    move[:3, 3] = shift_mm
    return Grid(grid.shape, move @ grid.affine)


FIXED = Grid.from_spacing((60, 60, 24), (2.0, 2.0, 5.0), origin_mm=(-59, -59, -57.5))
SAGITTAL = Grid.from_spacing(
    (56, 56, 30), (2.0, 2.0, 4.0), origin_mm=(-58, -55, -55), direction=[[0, 0, 1], [1, 0, 0], [0, 1, 0]]
)


@pytest.mark.parametrize("moving_grid", [FIXED, SAGITTAL], ids=["same planes", "other planes"])
def test_a_known_move_is_found_again(moving_grid: Grid) -> None:
    """The patient moved by 4.6 mm and 3.7°: each corner of the moving sequence comes back to within 0.6 mm."""
    rng = np.random.default_rng(1)
    fixed = seen(FIXED, inverted=False, rng=rng)
    true_place = turned(moving_grid, (2.0, -1.0, 3.0), (3.0, -2.0, 2.9))
    shown = seen(true_place, inverted=True, rng=rng)
    moving = Volume(shown.array, moving_grid, Modality.MR, Unit.ARBITRARY)
    found = register_rigid(fixed, moving)
    error = np.linalg.norm(found.volume.grid.corners_xyz_mm() - true_place.corners_xyz_mm(), axis=1)
    assert error.max() < 0.6
    assert found.angle_deg == pytest.approx(3.74, abs=0.4)
    assert found.shift_mm == pytest.approx(4.6, abs=0.6)
    assert found.volume.array is moving.array or np.array_equal(found.volume.array, moving.array)


def test_what_lies_right_stays() -> None:
    rng = np.random.default_rng(2)
    found = register_rigid(seen(FIXED, inverted=False, rng=rng), seen(FIXED, inverted=True, rng=rng))
    assert found.shift_mm < 0.3
    assert found.angle_deg < 0.3


def test_the_same_volumes_give_the_same_result() -> None:
    rng = np.random.default_rng(3)
    fixed, moving = seen(FIXED, inverted=False, rng=rng), seen(SAGITTAL, inverted=True, rng=rng)
    first, again = (register_rigid(fixed, moving).volume.grid.affine for _ in range(2))
    np.testing.assert_array_equal(first, again)


def test_overlap_by_hand() -> None:
    """A box of 20 mm beside one that starts half-way, one inside it, and one far away."""
    box = Grid.from_spacing((10, 10, 10), (2.0, 2.0, 2.0))
    beside = Grid.from_spacing((20, 20, 20), (1.0, 1.0, 1.0), origin_mm=(9.5, -0.5, -0.5))
    inside = Grid.from_spacing((4, 4, 4), (2.0, 2.0, 2.0), origin_mm=(4.0, 4.0, 4.0))
    away = Grid.from_spacing((10, 10, 10), (2.0, 2.0, 2.0), origin_mm=(100.0, 0.0, 0.0))
    assert overlap_share(box, beside) == overlap_share(beside, box) == 0.5
    assert overlap_share(box, inside) == 1.0
    assert overlap_share(box, away) == 0.0


def test_other_parts_of_the_patient_are_refused() -> None:
    rng = np.random.default_rng(5)
    low = Grid.from_spacing(FIXED.shape, FIXED.spacing_mm, origin_mm=(-59, -59, 10))
    with pytest.raises(GeometryError, match=r"different parts of the patient; expected at least 50%.*got 4\d%"):
        register_rigid(seen(FIXED, inverted=False, rng=rng), seen(low, inverted=True, rng=rng))


def test_constant_and_tiny_images_are_refused() -> None:
    full = seen(FIXED, inverted=False, rng=np.random.default_rng(6))
    blank = Volume(np.ones(FIXED.shape, np.float32), FIXED, Modality.MR, Unit.ARBITRARY)
    with pytest.raises(GeometryError, match="the moving image cannot be registered; expected 4 voxels or more"):
        register_rigid(full, blank)
    flat = Volume(full.array[..., :3], FIXED.crop((0, 0, 0), (60, 60, 3)), Modality.MR, Unit.ARBITRARY)
    with pytest.raises(GeometryError, match="the fixed image cannot be registered"):
        register_rigid(flat, full)


def test_two_pictures_of_one_patient_are_more_alike_in_place_than_beside() -> None:
    rng = np.random.default_rng(6)
    fixed, moving = seen(FIXED, inverted=False, rng=rng), seen(SAGITTAL, inverted=True, rng=rng)
    assert alignment_gain(fixed, moving) > 2
    away = Volume(moving.array, turned(SAGITTAL, (0, 0, 0), (20.0, 0.0, 0.0)), Modality.MR, Unit.ARBITRARY)
    assert alignment_gain(fixed, away) < 0.5


def test_pictures_that_have_nothing_in_common_are_alike_nowhere() -> None:
    rng = np.random.default_rng(7)
    fixed = seen(FIXED, inverted=False, rng=rng)
    noise = Volume(rng.normal(400, 100, SAGITTAL.shape).astype(np.float32), SAGITTAL, Modality.MR, Unit.ARBITRARY)
    assert alignment_gain(fixed, noise) == pytest.approx(1, abs=0.15)


def test_pictures_of_other_places_share_nothing() -> None:
    rng = np.random.default_rng(8)
    far = seen(turned(FIXED, (0, 0, 0), (500.0, 0.0, 0.0)), inverted=True, rng=rng)
    assert alignment_gain(seen(FIXED, inverted=False, rng=rng), far) == 0
