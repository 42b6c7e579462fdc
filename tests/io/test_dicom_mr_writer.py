"""What the MR writer puts into files: read back identically by us and by SimpleITK, and found valid."""

import datetime
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from osteomet.core.errors import FormatError, GeometryError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_instances import DicomStudy, SeriesTitle
from osteomet.io.dicom_mr_writer import MrAcquisition, MrRepeat, write_mr_series
from osteomet.io.dicom_series import find_series, read_series

STUDY = DicomStudy("1.2.3", "1.2.4", "patient_0007", "F", 63, datetime.date(2024, 2, 29), "spine")
TITLE = SeriesTitle(4, "Sag T1 TSE")
T1 = MrAcquisition(1.5, 63.87, 550.0, 9.25, ("SE",), ("SK",), echo_train=4, flip_degree=90.0, slice_mm=3.0)
SAGITTAL = np.array([[0.0, 0.0, -1.0], [1.0, 0.0, 0.0], [0.0, -1.0, 0.0]])
OBLIQUE = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
OBLIQUE = OBLIQUE * [1, 1, np.sign(np.linalg.det(OBLIQUE))]


def ramp(scale: int = 1, direction: np.ndarray = SAGITTAL) -> Volume:
    """Values that name their index: scale (100 i + 10 j + k)."""
    grid = Grid.from_spacing((4, 3, 5), (0.5, 0.75, 3.3), origin_mm=(-10.0, 20.0, -300.25), direction=direction)
    i, j, k = np.indices(grid.shape)
    return Volume((scale * (100 * i + 10 * j + k)).astype(np.int16), grid, Modality.MR, Unit.ARBITRARY)


def write(folder: Path, *repeats: MrRepeat, acquisition: MrAcquisition = T1, seed: int = 1) -> Path:
    rng = np.random.default_rng(seed)
    return write_mr_series(repeats, folder, acquisition, rng=rng, study=STUDY, title=TITLE)


def test_headers_say_what_was_asked(tmp_path: Path) -> None:
    first = dcmread(write(tmp_path / "mr", MrRepeat(ramp())) / "0001.dcm")
    assert (first.StudyInstanceUID, first.FrameOfReferenceUID) == ("1.2.3", "1.2.4")
    assert (first.PatientID, first.PatientSex, first.PatientAge) == ("OSTEOMET-PHANTOM-patient_0007", "F", "063Y")
    assert (first.StudyDate, first.SeriesNumber, first.SeriesDescription) == ("20240229", 4, "Sag T1 TSE")
    assert (first.RepetitionTime, first.EchoTime, first.EchoTrainLength) == (550, 9.25, 4)
    assert (first.SliceThickness, first.SpacingBetweenSlices) == (3.0, 3.3)
    assert list(first.PixelSpacing) == [0.75, 0.5]
    assert first.pixel_array[2, 3] == 320
    assert "InversionTime" not in first
    assert "DiffusionBValue" not in first


@pytest.mark.parametrize("direction", [SAGITTAL, np.eye(3), OBLIQUE], ids=["sagittal", "axial", "oblique"])
def test_our_reader_and_simpleitk_read_it_back_identically(direction: np.ndarray, tmp_path: Path) -> None:
    volume = ramp(direction=direction)
    folder = write(tmp_path / "mr", MrRepeat(volume))
    (header,) = find_series(folder)
    back, notes = read_series(header)
    assert notes == ()
    assert back.grid.same_as(volume.grid, tolerance_mm=1e-6)
    np.testing.assert_array_equal(back.array, volume.array)
    names = SimpleITK.ImageSeriesReader.GetGDCMSeriesFileNames(str(folder))  # type: ignore[no-untyped-call]
    image = SimpleITK.ReadImage(names)
    np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(image).T, volume.array)
    for corner in ((0, 0, 0), (3, 2, 4)):
        there = image.TransformIndexToPhysicalPoint(corner)  # type: ignore[no-untyped-call]
        np.testing.assert_allclose(there, volume.grid.to_xyz_mm(corner), atol=1e-4)


def test_b_values_and_phases_of_one_series_are_told_apart(tmp_path: Path) -> None:
    diffusion = MrAcquisition(3.0, 127.7, 4000.0, 60.0, ("SE", "EP"), image_type=("ORIGINAL", "PRIMARY", "DIFFUSION"))
    folder = write(tmp_path / "b", MrRepeat(ramp(3), 0.0), MrRepeat(ramp(2), 800.0), acquisition=diffusion)
    found = {h.tags.b_value_s_per_mm2: read_series(h)[0].array for h in find_series(folder)}
    assert set(found) == {0.0, 800.0}
    np.testing.assert_array_equal(found[800.0], ramp(2).array)
    phases = [MrRepeat(ramp(n + 1), time_s=12.5 * n) for n in range(3)]
    dynamic = MrAcquisition(3.0, 127.7, 4.1, 1.4, ("GR",), ("SP",), is_3d=True, contrast_agent="Gadobutrol")
    headers = find_series(write(tmp_path / "d", *phases, acquisition=dynamic))
    assert [h.tags.phase for h in headers] == [1, 2, 3]
    for n, header in enumerate(headers):
        np.testing.assert_array_equal(read_series(header)[0].array, ramp(n + 1).array)
    last = dcmread(tmp_path / "d" / "0015.dcm")
    assert (last.TemporalPositionIdentifier, last.NumberOfTemporalPositions) == (3, 3)
    assert last.AcquisitionTime == "120025.000000"


@pytest.mark.parametrize(
    "acquisition",
    [
        T1,
        MrAcquisition(1.5, 63.87, 4000.0, 50.0, ("SE", "IR"), ("SK",), ti_ms=150.0, echo_train=12),
        MrAcquisition(3.0, 127.7, 5.0, 2.3, ("GR",), ("SP",), ("FS",), is_3d=True, contrast_agent="Gadobutrol"),
        MrAcquisition(
            3.0, 127.7, 5.0, 2.3, ("GR",), ("SP",), image_type=("DERIVED", "PRIMARY", "DIXON", "FAT"), flip_degree=9.0
        ),
    ],
    ids=["T1", "STIR", "CE", "FO"],
)
def test_validator_finds_no_error(acquisition: MrAcquisition, tmp_path: Path) -> None:
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")
    folder = write(tmp_path / "a", MrRepeat(ramp(), 0.0), MrRepeat(ramp(2), 800.0), acquisition=acquisition)
    phases = write(tmp_path / "b", MrRepeat(ramp(), time_s=0.0), MrRepeat(ramp(), time_s=11.0), acquisition=acquisition)
    for path in (folder / "0001.dcm", folder / "0010.dcm", phases / "0007.dcm"):
        said = subprocess.run([validator, path], capture_output=True, text=True, check=False).stderr
        assert "MRImage" in said
        assert "Error" not in said


def test_same_generator_same_bytes(tmp_path: Path) -> None:
    a, b, c = (write(tmp_path / n, MrRepeat(ramp()), seed=s) for n, s in (("a", 1), ("b", 1), ("c", 2)))
    assert (a / "0003.dcm").read_bytes() == (b / "0003.dcm").read_bytes()
    assert dcmread(a / "0001.dcm").SeriesInstanceUID != dcmread(c / "0001.dcm").SeriesInstanceUID


def test_refusals(tmp_path: Path) -> None:
    volume = ramp()
    with pytest.raises(FormatError, match="whole numbers from 0 to 65535; got int16 from -"):
        write(tmp_path / "x", MrRepeat(ramp(-1)))
    halves = volume.with_array((volume.array / 2).astype(np.float32))
    with pytest.raises(FormatError, match="got float32 from 0 to 162"):
        write(tmp_path / "x", MrRepeat(halves))
    with pytest.raises(FormatError, match="only MR"):
        write(tmp_path / "x", MrRepeat(Volume(volume.array, volume.grid, Modality.CT, Unit.HU)))
    with pytest.raises(GeometryError, match="another image of the series differ"):
        write(tmp_path / "x", MrRepeat(volume), MrRepeat(ramp(direction=np.eye(3))))
    with pytest.raises(UsageError, match="at least one image"):
        write(tmp_path / "x")
    assert not (tmp_path / "x").exists()
