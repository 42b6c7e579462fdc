"""Stored values become HU or intensities, whatever the encoding."""

from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image
from pydicom import Dataset, dcmread
from pydicom.encaps import encapsulate
from pydicom.uid import (
    UID,
    ExplicitVRBigEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGLSLossless,
    MRImageStorage,
    RLELossless,
)

from osteomet.core.errors import FormatError, SeriesError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_series import find_series, read_series
from osteomet.io.dicom_writer import write_ct_series

Edit = Callable[[Dataset, int], None]


def volume() -> Volume:
    values = np.random.default_rng(0).integers(-1000, 2000, (40, 36, 3)).astype(np.int16)
    return Volume(values, Grid.from_spacing(values.shape, (0.5, 0.75, 2.0)), Modality.CT, Unit.HU)


def write(folder: Path, edit: Edit) -> Path:
    write_ct_series(volume(), folder, rng=np.random.default_rng(1))
    for k, path in enumerate(sorted(folder.iterdir())):
        dataset = dcmread(path)
        edit(dataset, k)
        dataset.save_as(path)
    return folder


def read(folder: Path) -> tuple[NDArray[Any], tuple[str, ...]]:
    (header,) = find_series(folder)
    result, notes = read_series(header)
    return result.array, notes


def store(dataset: Dataset, pixels: NDArray[Any], *, signed: bool, bits: int = 16) -> None:
    """Put stored values [j, i] into a data set."""
    dataset.PixelRepresentation = int(signed)
    dataset.BitsStored, dataset.HighBit = bits, bits - 1
    dataset.PixelData = pixels.astype("<i2" if signed else "<u2").tobytes()


@pytest.mark.parametrize("syntax", [JPEGLSLossless, JPEG2000Lossless, RLELossless])
@pytest.mark.parametrize("signed", [True, False])
def test_lossless_compression(syntax: UID, *, signed: bool, tmp_path: Path) -> None:
    def compress(dataset: Dataset, _: int) -> None:
        if not signed:
            store(dataset, dataset.pixel_array, signed=False, bits=12)
        dataset.compress(syntax, generate_instance_uid=False)

    array, notes = read(write(tmp_path, compress))
    np.testing.assert_array_equal(array, volume().array)
    assert notes == ()


@pytest.mark.parametrize("name", ["JPEGLosslessProcess14_1", "JPEGLSLossless"])
def test_what_gdcm_compresses(name: str, tmp_path: Path) -> None:
    gdcm = pytest.importorskip("gdcm")
    write(tmp_path, lambda dataset, _: store(dataset, dataset.pixel_array, signed=False, bits=12))
    for path in tmp_path.iterdir():
        reader, change, writer = gdcm.ImageReader(), gdcm.ImageChangeTransferSyntax(), gdcm.ImageWriter()
        reader.SetFileName(str(path))
        assert reader.Read()
        change.SetTransferSyntax(gdcm.TransferSyntax(getattr(gdcm.TransferSyntax, name)))
        change.SetInput(reader.GetImage())
        assert change.Change()
        writer.SetFile(reader.GetFile())
        writer.SetImage(change.GetOutput())
        writer.SetFileName(str(path))
        assert writer.Write()
    assert dcmread(path).file_meta.TransferSyntaxUID.is_compressed
    np.testing.assert_array_equal(read(tmp_path)[0], volume().array)


def test_jpeg_baseline(tmp_path: Path) -> None:
    """Lossy and 8 bit: a flat picture of 100 means 100 · 4 − 1024 = −624 HU, to within one grey value."""

    def compress(dataset: Dataset, _: int) -> None:
        out = BytesIO()
        Image.fromarray(np.full((36, 40), 100, np.uint8)).save(out, "JPEG", quality=95)
        dataset.BitsAllocated, dataset.BitsStored, dataset.HighBit, dataset.PixelRepresentation = 8, 8, 7, 0
        dataset.RescaleSlope = 4
        dataset.file_meta.TransferSyntaxUID = JPEGBaseline8Bit
        dataset.PixelData = encapsulate([out.getvalue()])

    array, _ = read(write(tmp_path, compress))
    assert array.dtype == np.int16
    assert np.abs(array + 624).max() <= 4


@pytest.mark.parametrize("syntax", [ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_other_byte_orders(syntax: UID, tmp_path: Path) -> None:
    write_ct_series(volume(), tmp_path, rng=np.random.default_rng(1))
    for path in tmp_path.iterdir():
        dataset, other = dcmread(path), Dataset()
        other.update(dataset)
        if syntax == ExplicitVRBigEndian:
            other.PixelData = dataset.pixel_array.astype(">i2").tobytes()
        other.file_meta = dataset.file_meta
        other.file_meta.TransferSyntaxUID = syntax
        other.save_as(path, enforce_file_format=True)
    np.testing.assert_array_equal(read(tmp_path)[0], volume().array)


def test_signed_values_in_twelve_bits(tmp_path: Path) -> None:
    """Bits above the stored ones are garbage: −5 in 12 bits is 0xFFB, here written as 0x0FFB."""

    def edit(dataset: Dataset, _: int) -> None:
        store(dataset, np.full((36, 40), 0x0FFB), signed=True, bits=12)
        dataset.RescaleIntercept = 0

    array, _ = read(write(tmp_path, edit))
    np.testing.assert_array_equal(array, -5)


def test_fractional_slope_gives_floats(tmp_path: Path) -> None:
    def edit(dataset: Dataset, k: int) -> None:
        store(dataset, np.full((36, 40), 7 + k), signed=True)
        dataset.RescaleSlope, dataset.RescaleIntercept = 0.5, -10

    array, _ = read(write(tmp_path, edit))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[0, 0], [-6.5, -6.0, -5.5])


def test_values_beyond_int16_turn_the_whole_volume_to_float(tmp_path: Path) -> None:
    """Metal at 40000 HU in the last slice only; the slices before it keep their values."""

    def edit(dataset: Dataset, k: int) -> None:
        store(dataset, np.full((36, 40), 41024 if k == 2 else 1000), signed=False)

    array, _ = read(write(tmp_path, edit))
    assert array.dtype == np.float32
    np.testing.assert_array_equal(array[3, 4], [-24, -24, 40000])


def test_each_slice_has_its_own_rescale(tmp_path: Path) -> None:
    def edit(dataset: Dataset, k: int) -> None:
        store(dataset, np.full((36, 40), 100), signed=True)
        dataset.RescaleSlope, dataset.RescaleIntercept = k + 1, -1000

    np.testing.assert_array_equal(read(write(tmp_path, edit))[0][0, 0], [-900, -800, -700])


def test_modality_lut(tmp_path: Path) -> None:
    def edit(dataset: Dataset, k: int) -> None:
        store(dataset, np.full((36, 40), k), signed=False)
        item = Dataset()
        item.LUTDescriptor, item.ModalityLUTType = [3, 0, 16], "HU"
        item.LUTData = np.array([10, 200, 3000], "<u2").tobytes()
        dataset.ModalityLUTSequence = [item]

    array, _ = read(write(tmp_path, edit))
    np.testing.assert_array_equal(array[5, 5], [10, 200, 3000])


@pytest.mark.parametrize("padding", [-2000, 63536])
def test_padding_becomes_air(padding: int, tmp_path: Path) -> None:
    """63536 is −2000 written as unsigned, a known fault of exporters."""

    def edit(dataset: Dataset, _: int) -> None:
        pixels = np.full((36, 40), 1064)
        pixels[:2] = -2000
        store(dataset, pixels, signed=True)
        dataset.add_new("PixelPaddingValue", "SS" if padding < 0 else "US", padding)

    array, notes = read(write(tmp_path, edit))
    assert notes == ("padding outside the reconstruction set to -1024 HU",)
    np.testing.assert_array_equal(array[:, :2], -1024)
    np.testing.assert_array_equal(array[:, 2:], 40)


def test_padding_that_means_tissue_is_not_believed(tmp_path: Path) -> None:
    """An exporter wrote PixelPaddingValue 0 into a CT whose stored 0 is 0 HU."""

    def edit(dataset: Dataset, _: int) -> None:
        store(dataset, np.zeros((36, 40)), signed=True)
        dataset.RescaleIntercept = 0
        dataset.add_new("PixelPaddingValue", "SS", 0)

    array, notes = read(write(tmp_path, edit))
    assert notes == ()
    np.testing.assert_array_equal(array, 0)


def test_inverted_display_keeps_values(tmp_path: Path) -> None:
    array, notes = read(write(tmp_path, lambda d, _: setattr(d, "PhotometricInterpretation", "MONOCHROME1")))
    np.testing.assert_array_equal(array, volume().array)
    assert notes == ("display is inverted (MONOCHROME1); values are kept as stored",)


@pytest.mark.parametrize("keyword", ["RescaleSlope", "RescaleIntercept"])
def test_ct_without_rescale_is_refused(keyword: str, tmp_path: Path) -> None:
    folder = write(tmp_path, lambda dataset, _: delattr(dataset, keyword))
    with pytest.raises(SeriesError, match=r"does not say how stored values become HU; .*instance 1, file 0001\.dcm"):
        read(folder)


def test_zero_slope_is_refused(tmp_path: Path) -> None:
    folder = write(tmp_path, lambda dataset, _: setattr(dataset, "RescaleSlope", 0))
    with pytest.raises(FormatError, match="RescaleSlope is zero"):
        read(folder)


def test_mr_keeps_stored_values_unless_it_has_a_rescale(tmp_path: Path) -> None:
    def edit(dataset: Dataset, k: int) -> None:
        dataset.Modality = "MR"
        dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
        store(dataset, np.full((36, 40), 200), signed=False)
        if k == 0:
            del dataset.RescaleSlope, dataset.RescaleIntercept
        else:
            dataset.RescaleSlope, dataset.RescaleIntercept = 2, 5

    array, _ = read(write(tmp_path, edit))
    np.testing.assert_array_equal(array[0, 0], [200, 405, 405])


def test_an_unknown_compression_names_the_file(tmp_path: Path) -> None:
    def edit(dataset: Dataset, _: int) -> None:
        dataset.compress(RLELossless, generate_instance_uid=False)
        dataset.PixelData = encapsulate([b"no picture at all "])

    folder = write(tmp_path, edit)
    with pytest.raises(FormatError, match=r"cannot be decoded; got .*0001\.dcm"):
        read(folder)
