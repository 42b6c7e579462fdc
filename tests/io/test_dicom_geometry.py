"""Irregular series: what is refused, by name and place, what is tolerated, and the gantry tilt taken out."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from osteomet.core.errors import SeriesError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_series import find_series, read_series
from osteomet.io.dicom_writer import write_ct_series

Array = NDArray[np.float64]


def write(folder: Path, offsets_mm: list[float], edit: Callable[[Dataset, int], None] | None = None) -> Path:
    """Axial slices whose value is their number in the list, at the given z."""
    n = len(offsets_mm)
    values = np.broadcast_to(np.arange(n, dtype=np.int16), (4, 3, n))
    grid = Grid.from_spacing(values.shape, (1.0, 1.0, 1.0), origin_mm=(-5.0, 7.0, 0.0))
    write_ct_series(Volume(values, grid, Modality.CT, Unit.HU), folder, rng=np.random.default_rng(1))
    for k, path in enumerate(sorted(folder.iterdir())):
        dataset = dcmread(path)
        dataset.ImagePositionPatient = [-5, 7, f"{offsets_mm[k]:g}"]
        if edit is not None:
            edit(dataset, k)
        dataset.save_as(path)
    return folder


def read(folder: Path) -> tuple[Volume, tuple[str, ...]]:
    (header,) = find_series(folder)
    return read_series(header)


def test_a_missing_slice_is_named_by_its_neighbours(tmp_path: Path) -> None:
    folder = write(tmp_path, [-10, -7, -4, -1, 2, 5])
    (folder / "0003.dcm").unlink()
    message = (
        r"misses 1 slice; expected a slice every 3 mm; got 6 mm between "
        r"\(-5, 7, -7\) mm \(instance 2, file 0002\.dcm\) and \(-5, 7, -1\) mm \(instance 4, file 0004\.dcm\)"
    )
    with pytest.raises(SeriesError, match=message):
        read(folder)


@pytest.mark.parametrize(
    ("offsets", "message"),
    [
        ([0, 2, 8, 10, 14, 16, 18], r"misses 3 slices; .* got 6 mm between .*2\) mm .* and 1 more gap"),
        ([0, 1, 3], r"misses 1 slice; .* got 2 mm between \(-5, 7, 1\) mm"),
    ],
)
def test_gaps_of_several_slices(offsets: list[float], message: str, tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=message):
        read(write(tmp_path, offsets))


@pytest.mark.parametrize(
    "offsets",
    [
        [0, 3, 6, 9, 14, 19, 24],
        [0, 3, 6, 12, 18, 24, 30],
        [0, 1, 2, 3, 4.15, 5.3, 6.45, 7.6],
        [0, 3, 6, 7.5, 10.5],
    ],
    ids=["3 then 5 mm", "3 then 6 mm", "1 then 1.15 mm", "one slice between"],
)
def test_mixed_spacing_is_refused_at_its_place(offsets: list[float], tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match=r"not evenly spaced; .* at \(-5, 7, [\d.]+\) mm \(instance \d"):
        read(write(tmp_path, offsets))


def test_rounded_table_positions_are_tolerated(tmp_path: Path) -> None:
    """0.625 mm steps written with one decimal move slices by up to 0.05 mm; the fitted spacing stays 0.625 mm."""
    offsets = [round(-100.2 + 0.625 * k, 1) for k in range(41)]
    volume, notes = read(write(tmp_path, offsets))
    assert notes == ()
    assert volume.grid.spacing_mm[2] == pytest.approx(0.625, abs=1e-3)
    assert volume.grid.to_xyz_mm((0, 0, 40))[2] == pytest.approx(-75.2, abs=0.05)
    np.testing.assert_array_equal(volume.array[0, 0], np.arange(41))


def test_one_slice_out_of_place_by_more_than_the_tolerance(tmp_path: Path) -> None:
    with pytest.raises(SeriesError, match="not evenly spaced"):
        read(write(tmp_path, [0, 3, 6.2, 9, 12, 15, 18]))


def test_equal_duplicates_are_left_out_with_a_note(tmp_path: Path) -> None:
    def same_pixels(dataset: Dataset, k: int) -> None:
        if k == 3:
            dataset.PixelData = dcmread(tmp_path / "0003.dcm").PixelData

    volume, notes = read(write(tmp_path, [0, 2, 4, 4, 6], same_pixels))
    assert notes == ("1 duplicate slice with equal pixels left out",)
    np.testing.assert_array_equal(volume.array[0, 0], [0, 1, 2, 4])


def test_a_whole_series_twice_is_read_once(tmp_path: Path) -> None:
    write(tmp_path / "a", [0, 2, 4])
    write(tmp_path / "b", [0, 2, 4])
    volume, notes = read(tmp_path)
    assert notes == ("3 duplicate slices with equal pixels left out",)
    assert volume.grid.shape == (4, 3, 3)


def test_differing_duplicates_are_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, [0, 2, 4, 4, 6], lambda dataset, _: setattr(dataset, "SOPInstanceUID", generate_uid()))
    message = r"different pixels; .* got \(-5, 7, 4\) mm \(instance 4, file 0004\.dcm\) and file 0003\.dcm"
    with pytest.raises(SeriesError, match=message):
        read(folder)


def test_a_slice_shifted_in_its_plane_is_refused(tmp_path: Path) -> None:
    def shift(dataset: Dataset, k: int) -> None:
        if k == 2:
            dataset.ImagePositionPatient = [-5, 8, 4]

    with pytest.raises(SeriesError, match=r"shifted within its plane .* got \(-5, 8, 4\) mm"):
        read(write(tmp_path, [0, 2, 4, 6, 8], shift))


def test_two_slices_side_by_side_are_refused(tmp_path: Path) -> None:
    def shift(dataset: Dataset, k: int) -> None:
        if k == 2:
            dataset.ImagePositionPatient = [40, 7, 2]

    with pytest.raises(SeriesError, match=r"side by side .* \(40, 7, 2\) mm"):
        read(write(tmp_path, [0, 2, 2, 4], shift))


def test_a_drift_that_no_gantry_makes_is_refused(tmp_path: Path) -> None:
    def drift(dataset: Dataset, k: int) -> None:
        dataset.ImagePositionPatient = [-5, 7 + 4 * k, 2 * k]

    with pytest.raises(SeriesError, match=r"expected at most 40° .* got 63°"):
        read(write(tmp_path, [0, 2, 4, 6], drift))


def test_direction_cosines_of_three_digits_are_no_gantry_tilt(tmp_path: Path) -> None:
    """Slices drift by 0.4 pixels in all; each stays within 0.2 pixels of its place."""

    def edit(dataset: Dataset, k: int) -> None:
        dataset.ImagePositionPatient = [f"{-5 + k * 0.1:g}", 7, 3 * k]

    volume, notes = read(write(tmp_path, [0, 3, 6, 9, 12], edit))
    assert notes == ()
    assert volume.grid.origin_mm == pytest.approx((-4.8, 7, 0))
    np.testing.assert_array_equal(volume.array[0, 0], np.arange(5))


def tilted(folder: Path, degree: float, field: Callable[[Array], Array]) -> Path:
    """Write slices tilted about x whose table moves along z; ``field`` gives HU at world points."""
    angle = np.radians(degree)
    direction = np.array([[1, 0, 0], [0, np.cos(angle), -np.sin(angle)], [0, np.sin(angle), np.cos(angle)]])
    plane = Grid.from_spacing((40, 48, 30), (1.5, 1.25, 1.0), origin_mm=(-30.0, -30.0, -45.0), direction=direction)
    write_ct_series(
        Volume(np.zeros(plane.shape, np.int16), plane, Modality.CT, Unit.HU), folder, rng=np.random.default_rng(1)
    )
    ij0 = np.moveaxis(np.indices((*plane.shape[:2], 1)), 0, -1)[:, :, 0]
    for k, path in enumerate(sorted(folder.iterdir())):
        dataset = dcmread(path)
        shift = np.array([0.0, 0.0, 3.0 * k])
        dataset.ImagePositionPatient = [f"{v:.8g}" for v in plane.origin_mm + shift]
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.125, -1024
        stored = np.rint((field(plane.to_xyz_mm(ij0) + shift) + 1024) / 0.125)
        dataset.PixelData = stored.T.astype("<i2").tobytes()
        dataset.save_as(path)
    return folder


@pytest.mark.parametrize("degree", [-20.0, 7.0, 25.0])
def test_gantry_tilt_keeps_a_linear_field_exactly(degree: float, tmp_path: Path) -> None:
    """Linear interpolation reproduces a linear field: every inner voxel must show the field at its own place."""

    def field(xyz: Array) -> Array:
        return 2 * xyz[..., 0] - 3 * xyz[..., 1] + 1.5 * xyz[..., 2]

    volume, notes = read(tilted(tmp_path, degree, field))
    assert notes == (
        f"gantry tilt of {abs(degree):.1f}°: slices shifted within their planes onto a perpendicular grid",
    )
    assert volume.grid.spacing_mm == pytest.approx((1.5, 1.25, 3 * np.cos(np.radians(degree))))
    extra = int(np.ceil(29 * 3 * np.sin(np.radians(abs(degree))) / 1.25))
    assert volume.grid.shape == (40, 48 + extra, 30)
    expected = field(volume.grid.to_xyz_mm(np.moveaxis(np.indices(volume.grid.shape), 0, -1)))
    close = np.abs(volume.array - expected) < 0.1
    assert close.sum() >= 40 * 47 * 30
    assert (volume.array[~close] < expected[~close]).all()  # the rest is air, or blends into it


def test_a_straight_oblique_rod_stays_straight(tmp_path: Path) -> None:
    through, along = np.array([2.0, -1.0, 10.0]), np.array([0.2, -0.3, 1.0])

    def distance(xyz: Array) -> Array:
        return np.asarray(np.linalg.norm(np.cross(xyz - through, along / np.linalg.norm(along)), axis=-1))

    volume, _ = read(tilted(tmp_path, 20.0, lambda xyz: np.clip(800 - 200 * distance(xyz), -1000, None)))
    ijk = np.stack(np.nonzero(volume.array > 200), axis=-1)
    xyz = volume.grid.to_xyz_mm(ijk)
    assert distance(xyz).max() < 3.0 + 0.7  # 200 HU lies 3 mm from the axis; linear interpolation adds half a voxel
    for k in range(5, 25):
        weights = volume.array[tuple(ijk[ijk[:, 2] == k].T)] - 200.0
        centre = np.average(xyz[ijk[:, 2] == k], axis=0, weights=weights)
        assert distance(centre) < 0.1


def test_tilt_fills_the_new_corners_with_air(tmp_path: Path) -> None:
    volume, _ = read(tilted(tmp_path, 20.0, lambda xyz: np.full(xyz.shape[:-1], 40.0)))
    assert set(np.unique(volume.array[:, 2:-2, [0, -1]])) >= {-1024.0, 40.0}
    assert (volume.array == 40).sum() >= 40 * 47 * 30
