import gzip
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import ArrayLike, NDArray

from osteomet.core.errors import FormatError, GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.io.formats import read_labels, read_volume, write_labels

NIB: Any = nib
RAS = np.array([[2.0, 0, 0, -10], [0, 3, 0, 20], [0, 0, 4, 30], [0, 0, 0, 1]])


def save(
    path: Path,
    array: ArrayLike | None = None,
    *,
    sform: tuple[ArrayLike, int] = (RAS, 1),
    qform: tuple[ArrayLike, int] = (RAS, 1),
) -> Any:
    """Write a NIfTI file with the two transforms and codes given; return its header as nibabel reads it."""
    image = NIB.Nifti1Image(np.zeros((4, 5, 6), np.int16) if array is None else np.asarray(array), None)
    image.header.set_qform(*qform)
    image.header.set_sform(*sform)
    NIB.save(image, path)
    return image.header


def patch(path: Path, offset: int, values: Sequence[float], dtype: str) -> None:
    """Overwrite header fields in place."""
    content = bytearray(path.read_bytes())
    raw = np.array(values, dtype).tobytes()
    content[offset : offset + len(raw)] = raw
    path.write_bytes(content)


DIM, PIXDIM, XYZT_UNITS, QUATERN_B = 40, 76, 123, 256


def ct(path: Path) -> Volume:
    return read_volume(path, modality=Modality.CT)


def test_ras_becomes_lps_by_the_sign_of_x_and_y(tmp_path: Path) -> None:
    """Voxel (1, 1, 1) of the affine above lies at RAS (−8, 23, 34), which is LPS (8, −23, 34)."""
    save(tmp_path / "x.nii")
    grid = ct(tmp_path / "x.nii").grid
    assert grid.to_xyz_mm((0, 0, 0)).tolist() == [10, -20, 30]
    assert grid.to_xyz_mm((1, 1, 1)).tolist() == [8, -23, 34]
    assert grid.spacing_mm == (2, 3, 4)


def test_a_quarter_turn_by_hand(tmp_path: Path) -> None:
    """First axis to superior, second to right, third to anterior: RAS columns (0,0,1), (1,0,0), (0,1,0)."""
    turned = np.array([[0, 2.0, 0, 1], [0, 0, 3, 2], [1.5, 0, 0, 3], [0, 0, 0, 1]])
    save(tmp_path / "x.nii", sform=(turned, 1), qform=(turned, 1))
    assert ct(tmp_path / "x.nii").grid.to_xyz_mm((2, 1, 1)).tolist() == [-3, -5, 6]


@pytest.mark.parametrize("code", [1, 2, 3, 4])
def test_the_only_transform_with_a_code_is_used(tmp_path: Path, code: int) -> None:
    other = RAS + np.diag([0, 0, 0, 0.0])
    other[:3, 3] = (1, 2, 3)
    save(tmp_path / "s.nii", sform=(RAS, code), qform=(other, 0))
    save(tmp_path / "q.nii", sform=(other, 0), qform=(RAS, code))
    assert ct(tmp_path / "s.nii").grid.origin_mm == (10, -20, 30)
    assert ct(tmp_path / "q.nii").grid.origin_mm == (10, -20, 30)


def test_where_both_agree_the_sform_is_used(tmp_path: Path) -> None:
    near = RAS.copy()
    near[0, 3] += 0.9
    save(tmp_path / "x.nii", sform=(RAS, 1), qform=(near, 1))
    assert ct(tmp_path / "x.nii").grid.origin_mm == (10, -20, 30)


def test_where_both_disagree_the_file_is_refused(tmp_path: Path) -> None:
    far = RAS.copy()
    far[0, 3] += 7
    save(tmp_path / "x.nii", sform=(RAS, 1), qform=(far, 1))
    message = (
        r"x\.nii: the NIfTI file places the image in two different ways; expected sform and qform within 1 mm of each "
        r"other; got 7 mm apart at a corner: sform 4×5×6 voxels of \(2, 3, 4\) mm from \(10, -20, 30\) mm, qform .* "
        r"from \(3, -20, 30\) mm; remedy: decide which is right"
    )
    with pytest.raises(GeometryError, match=message):
        ct(tmp_path / "x.nii")


def test_a_small_rotation_between_the_two_counts_at_the_corner(tmp_path: Path) -> None:
    """0.01 rad about z: 2 cm beside the origin it is 0.2 mm, at 511 voxels of 0.8 mm about 4 mm."""
    c, s = np.cos(0.01), np.sin(0.01)
    plain = np.diag([0.8, 0.8, 1, 1])
    turned = np.array([[c, -s, 0, 0], [s, c, 0, 0], [0, 0, 1, 0], [0, 0, 0, 1]]) @ plain
    small, large = np.zeros((25, 25, 2), np.int16), np.zeros((512, 512, 2), np.int16)
    save(tmp_path / "small.nii", small, sform=(plain, 1), qform=(turned, 1))
    save(tmp_path / "large.nii", large, sform=(plain, 1), qform=(turned, 1))
    assert ct(tmp_path / "small.nii").grid.origin_mm == (0, 0, 0)
    with pytest.raises(GeometryError, match=r"got 5\.78 mm apart"):
        ct(tmp_path / "large.nii")


def test_without_any_code_the_file_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.nii", sform=(RAS, 0), qform=(RAS, 0))
    with pytest.raises(GeometryError, match=r"the patient's left, back and head are; .* got both codes 0; remedy"):
        ct(tmp_path / "x.nii")


@pytest.mark.parametrize("bad", [0.0, -1.0, np.nan])
def test_a_spacing_that_is_not_positive_is_refused_even_with_a_good_sform(tmp_path: Path, bad: float) -> None:
    save(tmp_path / "x.nii")
    patch(tmp_path / "x.nii", PIXDIM + 4, [2, bad, 4], "<f4")
    with pytest.raises(GeometryError, match=rf"usable spacing; expected pixdim\[1..3\] above 0; got \(2.0, {bad}, 4"):
        ct(tmp_path / "x.nii")


def test_a_sheared_sform_is_refused(tmp_path: Path) -> None:
    sheared = RAS.copy()
    sheared[0, 2] = 1
    save(tmp_path / "x.nii.gz", sform=(sheared, 1), qform=(RAS, 0))
    with pytest.raises(GeometryError, match=r"x\.nii\.gz: the image axes are not perpendicular \(sheared affine\)"):
        ct(tmp_path / "x.nii.gz")


def test_a_sform_of_zeros_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.nii", sform=(np.diag([0, 0, 0, 1.0]), 1), qform=(RAS, 0))
    with pytest.raises(GeometryError, match="voxel spacing must be positive"):
        ct(tmp_path / "x.nii")


def test_a_quaternion_that_is_no_rotation_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.nii", sform=(RAS, 0))
    patch(tmp_path / "x.nii", QUATERN_B, [1, 1, 1], "<f4")
    with pytest.raises(FormatError, match=r"truncated or corrupt; expected a complete NIfTI file of 4×5×6 voxels; got"):
        ct(tmp_path / "x.nii")


@pytest.mark.parametrize(("unit", "spacing_mm"), [(0, 2.0), (1, 2000.0), (2, 2.0), (3, 0.002), (10, 2.0)])
def test_units_of_length(tmp_path: Path, unit: int, spacing_mm: float) -> None:
    """Unknown, metre, millimetre, micrometre; 10 is millimetre with seconds as unit of time."""
    save(tmp_path / "x.nii")
    patch(tmp_path / "x.nii", XYZT_UNITS, [unit], "<u1")
    grid = ct(tmp_path / "x.nii").grid
    assert grid.spacing_mm[0] == pytest.approx(spacing_mm)
    assert grid.origin_mm[0] == pytest.approx(5 * spacing_mm)


def test_an_unknown_unit_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.nii")
    patch(tmp_path / "x.nii", XYZT_UNITS, [5], "<u1")
    with pytest.raises(GeometryError, match="unknown unit of length; expected code 0 to 3; got 5"):
        ct(tmp_path / "x.nii")


def test_further_axes_of_length_one_are_dropped(tmp_path: Path) -> None:
    array = np.arange(24, dtype=np.int16).reshape(2, 3, 4, 1, 1)
    save(tmp_path / "x.nii", array)
    np.testing.assert_array_equal(ct(tmp_path / "x.nii").array, array[..., 0, 0])


@pytest.mark.parametrize(
    ("shape", "message"),
    [
        (
            (2, 3, 4, 5),
            r"volumes; expected one 3D image; got 5 volumes, indices 0 to 4, in shape \(2, 3, 4, 5\)",
        ),
        ((2, 3, 4, 2, 3), "got 6 volumes"),
        ((2, 3), r"a flat picture; expected three axes; got shape \(2, 3\)"),
    ],
)
def test_other_than_one_volume_is_refused(tmp_path: Path, shape: tuple[int, ...], message: str) -> None:
    save(tmp_path / "x.nii.gz", np.zeros(shape, np.int16))
    with pytest.raises(FormatError, match=message):
        ct(tmp_path / "x.nii.gz")


@pytest.mark.parametrize("dtype", [np.dtype([("R", "u1"), ("G", "u1"), ("B", "u1")]), np.dtype(np.complex64)])
def test_colour_and_complex_numbers_are_refused(tmp_path: Path, dtype: np.dtype[Any]) -> None:
    save(tmp_path / "x.nii", np.zeros((2, 2, 2), dtype))
    for read in (ct, read_labels):
        with pytest.raises(FormatError, match=r"not plain numbers; expected integers or floating point; got (col|com)"):
            read(tmp_path / "x.nii")


def store_scaled(path: Path, stored: NDArray[Any], slope: float, inter: float) -> None:
    header = save(path, stored)
    header.set_slope_inter(slope, inter)
    with path.open("wb") as file:
        header["magic"], header["vox_offset"] = b"n+1", 352
        header.write_to(file)
        file.write(stored.tobytes(order="F"))


def test_scaling_is_applied(tmp_path: Path) -> None:
    """Stored 0 and 4095 with slope 1 and intercept −1024 are −1024 and 3071 HU; whole, so int16."""
    stored = np.zeros((2, 2, 2), np.uint16)
    stored[1, 0, 0] = 4095
    store_scaled(tmp_path / "x.nii", stored, 1, -1024)
    volume = ct(tmp_path / "x.nii")
    assert volume.array.dtype == np.int16
    assert (volume.array[0, 0, 0], volume.array[1, 0, 0]) == (-1024, 3071)


def test_scaling_to_fractions_gives_float32(tmp_path: Path) -> None:
    store_scaled(tmp_path / "x.nii", np.full((2, 2, 2), 3, np.int16), 0.25, 1)
    volume = ct(tmp_path / "x.nii")
    assert volume.array.dtype == np.float32
    assert volume.array.min() == volume.array.max() == 1.75


@pytest.mark.parametrize(
    ("stored", "dtype"),
    [
        (np.full((2, 2, 2), -1000, np.int32), np.int16),
        (np.full((2, 2, 2), 32767, ">u2"), np.int16),
        (np.full((2, 2, 2), 32768, np.uint16), np.float32),
        (np.full((2, 2, 2), -32768.0), np.int16),
        (np.full((2, 2, 2), -32769.0), np.float32),
        (np.full((2, 2, 2), 0.5, ">f4"), np.float32),
    ],
)
def test_whole_values_that_fit_are_int16(tmp_path: Path, stored: NDArray[Any], dtype: type) -> None:
    save(tmp_path / "x.nii.gz", stored)
    volume = ct(tmp_path / "x.nii.gz")
    assert volume.array.dtype == np.dtype(dtype)
    np.testing.assert_array_equal(volume.array, stored)


def test_a_value_beyond_float32_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.nii", np.full((2, 2, 2), 1e300))
    with pytest.raises(FormatError, match=r"not numbers \(NaN or infinite\); got 8 of 8 voxels"):
        ct(tmp_path / "x.nii")


def test_nifti_2_is_read(tmp_path: Path) -> None:
    image = NIB.Nifti2Image(np.full((2, 3, 4), 5, np.int16), RAS)
    NIB.save(image, tmp_path / "x.nii.gz")
    volume = ct(tmp_path / "x.nii.gz")
    assert volume.grid.origin_mm == (10, -20, 30)
    assert (volume.array == 5).all()


def test_big_endian_headers_are_read(tmp_path: Path) -> None:
    array = np.arange(24, dtype=">i2").reshape(2, 3, 4)
    image = NIB.Nifti1Image(array, RAS, NIB.Nifti1Header(endianness=">"))
    NIB.save(image, tmp_path / "x.nii")
    np.testing.assert_array_equal(ct(tmp_path / "x.nii").array, array)


def test_compression_must_match_the_name(tmp_path: Path) -> None:
    save(tmp_path / "x.nii")
    plain = (tmp_path / "x.nii").read_bytes()
    (tmp_path / "y.nii.gz").write_bytes(plain)
    with pytest.raises(FormatError, match="expected gzip-compressed NIfTI; got an uncompressed NIfTI file; remedy"):
        ct(tmp_path / "y.nii.gz")
    (tmp_path / "y.nii").write_bytes(gzip.compress(plain))
    with pytest.raises(FormatError, match="expected NIfTI; got gzip-compressed data; remedy"):
        ct(tmp_path / "y.nii")
    (tmp_path / "z.nii.gz").write_bytes(gzip.compress(b"%PDF-1.4"))
    with pytest.raises(FormatError, match="expected NIfTI; got a PDF document"):
        ct(tmp_path / "z.nii.gz")


def test_a_header_that_promises_more_than_memory_is_refused(tmp_path: Path) -> None:
    save(tmp_path / "x.nii.gz")
    content = gzip.decompress((tmp_path / "x.nii.gz").read_bytes())
    (tmp_path / "x.nii").write_bytes(content)
    patch(tmp_path / "x.nii", DIM + 2, [32767, 32767, 32767], "<i2")
    (tmp_path / "x.nii.gz").write_bytes(gzip.compress((tmp_path / "x.nii").read_bytes()))
    for name in ("x.nii", "x.nii.gz"):
        with pytest.raises(FormatError, match="expected a complete NIfTI file of 32767×32767×32767 voxels"):
            ct(tmp_path / name)


def test_both_transforms_are_written_alike(tmp_path: Path, grid: Grid) -> None:
    write_labels(LabelMap(np.ones(grid.shape, np.uint8), grid, {"L1": 1}), tmp_path / "x.nii.gz")
    header = NIB.load(tmp_path / "x.nii.gz").header
    (sform, s_code), (qform, q_code) = header.get_sform(coded=True), header.get_qform(coded=True)
    assert (s_code, q_code) == (1, 1)
    assert header.get_xyzt_units()[0] == "mm"
    np.testing.assert_allclose(sform, qform, atol=1e-4)
    np.testing.assert_allclose(np.diag([-1, -1, 1, 1]) @ sform, grid.affine, atol=1e-4)
    assert header.get_data_dtype() == np.uint8


def test_reading_and_writing_again_keeps_the_affine_to_the_bit(tmp_path: Path, grid: Grid) -> None:
    """float32 numbers survive float64, so results lie exactly on the affine of a NIfTI input."""
    write_labels(LabelMap(np.ones(grid.shape, np.uint8), grid, {"L1": 1}), tmp_path / "a.nii.gz")
    write_labels(read_labels(tmp_path / "a.nii.gz"), tmp_path / "b.nii.gz")
    first, second = NIB.load(tmp_path / "a.nii.gz"), NIB.load(tmp_path / "b.nii.gz")
    np.testing.assert_array_equal(first.affine, second.affine)
