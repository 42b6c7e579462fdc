"""Damaged files and archives are named, never left out."""

import zipfile
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import DeflatedExplicitVRLittleEndian, JPEGLSLossless

from osteomet.core.errors import FormatError, InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_files import FileRef, list_files
from osteomet.io.dicom_series import find_series, read_series
from osteomet.io.dicom_writer import write_ct_series


@pytest.fixture
def series(tmp_path: Path) -> Path:
    values = np.random.default_rng(0).integers(-1000, 2000, (16, 12, 3)).astype(np.int16)
    volume = Volume(values, Grid.from_spacing(values.shape, (0.5, 0.75, 2.0)), Modality.CT, Unit.HU)
    return write_ct_series(volume, tmp_path / "ct", rng=np.random.default_rng(1))


def compress(folder: Path) -> None:
    for path in folder.iterdir():
        dataset = dcmread(path)
        dataset.compress(JPEGLSLossless, generate_instance_uid=False)
        dataset.save_as(path)


@pytest.mark.parametrize("fraction", [0.15, 0.5, 0.75, 0.9, 0.999])
@pytest.mark.parametrize("compressed", [False, True])
def test_truncated_slices(fraction: float, *, compressed: bool, series: Path) -> None:
    if compressed:
        compress(series)
    path = series / "0002.dcm"
    content = path.read_bytes()
    path.write_bytes(content[: int(fraction * len(content))])
    with pytest.raises(FormatError, match=r"truncated or corrupt; got .*0002\.dcm"):
        find_series(series)


def test_truncated_deflated_slice(series: Path) -> None:
    for path in series.iterdir():
        dataset = dcmread(path)
        dataset.file_meta.TransferSyntaxUID = DeflatedExplicitVRLittleEndian
        dataset.save_as(path)
    (header,) = find_series(series)
    assert read_series(header)[0].grid.shape == (16, 12, 3)
    path = series / "0002.dcm"
    path.write_bytes(path.read_bytes()[:600])
    with pytest.raises(FormatError, match=r"0002\.dcm"):
        find_series(series)


def test_a_slice_without_pixels_is_damaged(series: Path) -> None:
    dataset = dcmread(series / "0002.dcm")
    del dataset.PixelData
    dataset.save_as(series / "0002.dcm")
    with pytest.raises(FormatError, match=r"0002\.dcm: no pixel data"):
        find_series(series)


@pytest.mark.parametrize("content", [b"", b"hello", b"%PDF-1.7" + b"x" * 500])
def test_a_file_named_dcm_that_is_not_dicom(content: bytes, series: Path) -> None:
    (series / "0004.dcm").write_bytes(content)
    with pytest.raises(FormatError, match=r"0004\.dcm: no DICOM header"):
        find_series(series)


def test_random_bytes_after_a_dicom_preamble(series: Path) -> None:
    (series / "x").write_bytes(b"\0" * 128 + b"DICM" + b"\x08\x00\x16\x00UI" + b"\xff" * 5000)
    with pytest.raises(FormatError, match=r"truncated or corrupt; got .*/x: "):
        find_series(series)


def test_files_without_preamble_are_read(series: Path) -> None:
    reference = read_series(find_series(series)[0])[0]
    for path in series.iterdir():
        dataset = dcmread(path)
        bare = Dataset()
        bare.update(dataset)
        bare.save_as(path, implicit_vr=True, little_endian=True, enforce_file_format=False)
        assert path.read_bytes()[128:132] != b"DICM"
    (header,) = find_series(series)
    np.testing.assert_array_equal(read_series(header)[0].array, reference.array)


def test_zips_that_cannot_be_read(series: Path, tmp_path: Path) -> None:
    good = tmp_path / "good.zip"
    with zipfile.ZipFile(good, "w", zipfile.ZIP_DEFLATED) as out:
        for path in series.iterdir():
            out.write(path, path.name)
    content = bytearray(good.read_bytes())
    (tmp_path / "cut.zip").write_bytes(content[: len(content) // 2])
    with pytest.raises(FormatError, match="not a readable zip archive"):
        find_series(tmp_path / "cut.zip")
    content[200:240] = b"\0" * 40
    (tmp_path / "bad.zip").write_bytes(content)
    with pytest.raises(FormatError, match=r"the zip archive is damaged; got .*bad\.zip"):
        find_series(tmp_path / "bad.zip")


def test_an_encrypted_zip_is_refused(series: Path, tmp_path: Path) -> None:
    path = tmp_path / "secret.zip"
    with zipfile.ZipFile(path, "w") as out:
        out.write(series / "0001.dcm", "a.dcm")
    content = bytearray(path.read_bytes())
    content[6] |= 1  # the local header's and the directory's flag of encryption
    content[content.index(b"PK\x01\x02") + 8] |= 1
    path.write_bytes(content)
    with pytest.raises(FormatError, match="is encrypted"):
        find_series(path)


def test_listing(tmp_path: Path) -> None:
    (tmp_path / "b" / ".hidden").mkdir(parents=True)
    for name in ("b/2", "a", "b/.hidden/x", ".DS_Store"):
        (tmp_path / name).touch()
    (tmp_path / "loop").symlink_to(tmp_path, target_is_directory=True)
    assert list_files(tmp_path) == [FileRef(tmp_path / "a"), FileRef(tmp_path / "b" / "2")]
    assert list_files(tmp_path / "a") == [FileRef(tmp_path / "a")]
    with pytest.raises(InputError, match="no such file or folder"):
        list_files(tmp_path / "c")
