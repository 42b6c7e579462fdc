import struct
import zlib
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from osteomet.core.errors import FormatError, GeometryError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Volume
from osteomet.io.formats import read_volume

HEADER = """ObjectType = Image
NDims = 3
BinaryData = True
BinaryDataByteOrderMSB = False
CompressedData = False
TransformMatrix = 0 1 0 0 0 -1 1 0 0
Offset = 10 20 30
ElementSpacing = 0.5 2 3
DimSize = 2 3 4
ElementType = MET_SHORT
ElementDataFile = LOCAL
"""
NUMBERS: NDArray[Any] = np.arange(-3, 21, dtype="<i2").reshape((2, 3, 4), order="F")


def write(path: Path, *changes: tuple[str, str], voxels: bytes = NUMBERS.tobytes(order="F")) -> Path:
    """Write the header above with lines changed, then the voxels."""
    header = HEADER
    for old, new in changes:
        assert old in header
        header = header.replace(old, new)
    path.write_bytes(header.encode() + voxels)
    return path


def ct(path: Path) -> Volume:
    return read_volume(path, modality=Modality.CT)


def test_the_matrix_lists_one_axis_after_the_other(tmp_path: Path) -> None:
    """First axis to posterior by 0.5 mm, second to inferior by 2 mm, third to the left by 3 mm."""
    path = write(tmp_path / "x.mha")
    volume = ct(path)
    assert volume.grid.to_xyz_mm((1, 0, 0)).tolist() == [10, 20.5, 30]
    assert volume.grid.to_xyz_mm((0, 1, 0)).tolist() == [10, 20, 28]
    assert volume.grid.to_xyz_mm((0, 0, 1)).tolist() == [13, 20, 30]
    np.testing.assert_array_equal(volume.array, NUMBERS)
    oracle: Any = sitk.ReadImage(str(path))
    assert oracle.TransformIndexToPhysicalPoint((1, 2, 3)) == tuple(volume.grid.to_xyz_mm((1, 2, 3)))
    np.testing.assert_array_equal(sitk.GetArrayFromImage(oracle).T, volume.array)


@pytest.mark.parametrize("compressed", [True, False])
def test_mhd_with_its_data_file_is_read(tmp_path: Path, compressed: bool) -> None:
    image: Any = sitk.GetImageFromArray(NUMBERS.T)
    image.SetSpacing((1.0, 2.0, 3.0))
    image.SetOrigin((4.0, 5.0, 6.0))
    sitk.WriteImage(image, str(tmp_path / "ct.mhd"), compressed)
    back = ct(tmp_path / "ct.mhd")
    assert back.grid.same_as(Grid.from_spacing((2, 3, 4), (1, 2, 3), origin_mm=(4, 5, 6)), tolerance_mm=1e-9)
    np.testing.assert_array_equal(back.array, NUMBERS)


@pytest.mark.parametrize("dtype", ["i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8", "f4", "f8"])
def test_every_element_type_that_itk_writes(tmp_path: Path, dtype: str) -> None:
    array = np.arange(24, dtype=dtype).reshape(4, 3, 2)
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "x.mha"))
    np.testing.assert_array_equal(ct(tmp_path / "x.mha").array, array.T)


def test_big_endian_voxels(tmp_path: Path) -> None:
    voxels = NUMBERS.astype(">i2").tobytes(order="F")
    path = write(tmp_path / "x.mha", ("MSB = False", "MSB = True"), voxels=voxels)
    np.testing.assert_array_equal(ct(path).array, NUMBERS)


def test_older_spellings(tmp_path: Path) -> None:
    changes: tuple[tuple[str, str], ...] = (
        ("TransformMatrix", "Orientation"),
        ("Offset", "Position"),
        ("ElementSpacing", "ElementSize"),
    )
    changes += (("BinaryData = True\n", ""),)
    assert ct(write(tmp_path / "x.mha", *changes)).grid.same_as(ct(write(tmp_path / "y.mha")).grid)


@pytest.mark.parametrize("key", ["ElementSpacing", "TransformMatrix", "Offset"])
def test_without_geometry_it_is_refused(tmp_path: Path, key: str) -> None:
    line = next(line for line in HEADER.splitlines(keepends=True) if line.startswith(key))
    with pytest.raises(
        GeometryError, match=rf"x\.mha: the header does not state where the voxels lie; .*got no {key};"
    ):
        ct(write(tmp_path / "x.mha", (line, "")))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("0 1 0 0 0 -1 1 0 0", "1 0 0 0.5 1 0 0 0 1", "sheared affine"),
        ("0 1 0 0 0 -1 1 0 0", "1 0 0 1 0 0 0 0 1", "sheared affine"),
        ("0.5 2 3", "0.5 0 3", "voxel spacing must be positive"),
        ("10 20 30", "10 nan 30", "an affine must be a finite"),
    ],
)
def test_impossible_geometry_is_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(GeometryError, match=message):
        ct(write(tmp_path / "x.mha", (old, new)))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("DimSize = 2 3 4\n", "", "truncated or corrupt; .* got no DimSize"),
        ("ElementType = MET_SHORT\n", "", "got no ElementType"),
        ("MET_SHORT", "MET_STRING", "got no MET_STRING"),
        ("2 3 4", "2 3 four", "got invalid literal"),
        ("10 20 30", "10 20", "got Offset of 2 numbers, not 3"),
        ("2 3 4", "2 3 5", "a complete MetaImage file of 2×3×5 voxels; got 48 of 60 bytes of voxels"),
        (
            "BinaryData = True",
            "BinaryData = False",
            "stored in a way that is not supported; expected binary, in one file",
        ),
        ("LOCAL", "LIST", "stored in a way that is not supported"),
        ("LOCAL", "slice%03d.raw", "stored in a way that is not supported"),
        ("LOCAL", "gone.raw", "got .*No such file"),
        ("LOCAL", "bad\0name.raw", "got embedded null byte"),
        ("DimSize", "ElementNumberOfChannels = 3\nDimSize", "a voxel holds several numbers; expected one; got 3"),
        ("2 3 4", "99999999 99999999 99999999", "truncated or corrupt"),
    ],
)
def test_headers_that_do_not_fit_are_refused(tmp_path: Path, old: str, new: str, message: str) -> None:
    with pytest.raises(FormatError, match=message):
        ct(write(tmp_path / "x.mha", (old, new)))


def test_compressed_voxels_must_be_as_many_as_the_header_says(tmp_path: Path) -> None:
    compress = ("CompressedData = False", "CompressedData = True")
    right = NUMBERS.tobytes(order="F")
    np.testing.assert_array_equal(ct(write(tmp_path / "x.mha", compress, voxels=zlib.compress(right))).array, NUMBERS)
    for wrong, message in ((right[:-2], "got 46 of 48 bytes"), (right + b"\0\0", "end early or go on too long")):
        with pytest.raises(FormatError, match=message):
            ct(write(tmp_path / "y.mha", compress, voxels=zlib.compress(wrong)))
    bad_sum = zlib.compress(right)[:-4] + struct.pack(">I", 1)
    with pytest.raises(FormatError, match="incorrect data check"):
        ct(write(tmp_path / "z.mha", compress, voxels=bad_sum))
