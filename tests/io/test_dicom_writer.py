"""What the CT writer puts into files, checked by an independent validator and by pydicom."""

import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from pydicom import dcmread

from osteomet.core.errors import FormatError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_instances import DicomStudy
from osteomet.io.dicom_writer import write_ct_series

QUARTER_TURNS = np.array([[0.0, 0.0, 1.0], [1.0, 0.0, 0.0], [0.0, 1.0, 0.0]])


def ramp(*, direction: np.ndarray | None = None, dtype: type = np.int16) -> Volume:
    """Values that name their index: 100 i + 10 j + k − 1000."""
    grid = Grid.from_spacing((4, 3, 2), (0.5, 0.75, 2.5), origin_mm=(-10.0, 20.0, -300.25), direction=direction)
    i, j, k = np.indices(grid.shape)
    return Volume((100 * i + 10 * j + k - 1000).astype(dtype), grid, Modality.CT, Unit.HU)


def test_tags_say_what_the_grid_says(tmp_path: Path) -> None:
    folder = write_ct_series(ramp(), tmp_path / "ct", rng=np.random.default_rng(1))
    second = dcmread(folder / "0002.dcm")
    assert sorted(p.name for p in folder.iterdir()) == ["0001.dcm", "0002.dcm"]
    assert list(second.ImagePositionPatient) == [-10.0, 20.0, -297.75]
    assert list(second.ImageOrientationPatient) == [1, 0, 0, 0, 1, 0]
    assert list(second.PixelSpacing) == [0.75, 0.5]  # between rows, then between columns
    assert (second.Rows, second.Columns) == (3, 4)
    hu = second.pixel_array * second.RescaleSlope + second.RescaleIntercept
    assert hu[2, 3] == 300 + 20 + 1 - 1000  # row j = 2, column i = 3, slice k = 1


def test_same_generator_same_bytes_and_other_generator_other_uids(tmp_path: Path) -> None:
    a = write_ct_series(ramp(), tmp_path / "a", rng=np.random.default_rng(1))
    b = write_ct_series(ramp(), tmp_path / "b", rng=np.random.default_rng(1))
    c = write_ct_series(ramp(), tmp_path / "c", rng=np.random.default_rng(2))
    assert (a / "0001.dcm").read_bytes() == (b / "0001.dcm").read_bytes()
    assert dcmread(a / "0001.dcm").SeriesInstanceUID != dcmread(c / "0001.dcm").SeriesInstanceUID


def test_slices_share_their_series_and_join_a_given_study(tmp_path: Path) -> None:
    grid = Grid((4, 3, 2), ramp().grid.affine, "1.2.3.4")
    folder = write_ct_series(
        Volume(ramp().array, grid, Modality.CT, Unit.HU),
        tmp_path,
        rng=np.random.default_rng(1),
        study=DicomStudy("1.2.3", "1.2.3.4"),
    )
    first, second = (dcmread(folder / name) for name in ("0001.dcm", "0002.dcm"))
    assert first.StudyInstanceUID == second.StudyInstanceUID == "1.2.3"
    assert first.FrameOfReferenceUID == second.FrameOfReferenceUID == "1.2.3.4"
    assert first.SeriesInstanceUID == second.SeriesInstanceUID
    assert first.SOPInstanceUID != second.SOPInstanceUID


def test_fractions_are_rounded_to_whole_hu(tmp_path: Path) -> None:
    volume = ramp(dtype=np.float32)
    folder = write_ct_series(volume.with_array(volume.array + np.float32(0.4)), tmp_path, rng=np.random.default_rng(1))
    assert dcmread(folder / "0001.dcm").pixel_array[0, 0] - 1024 == -1000


@pytest.mark.parametrize(
    "direction",
    [
        np.eye(3),
        QUARTER_TURNS,
        np.diag([-1.0, 1.0, 1.0]),
        np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0],
    ],
    ids=["axial", "sagittal", "negated", "oblique"],
)
def test_validator_finds_no_error(direction: np.ndarray, tmp_path: Path) -> None:
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")
    folder = write_ct_series(ramp(direction=direction), tmp_path, rng=np.random.default_rng(1))
    for path in folder.iterdir():
        said = subprocess.run([validator, path], capture_output=True, text=True, check=False).stderr
        assert "CTImage" in said
        assert "Error" not in said


def test_refusals(tmp_path: Path) -> None:
    volume = ramp()
    rng = np.random.default_rng(1)
    with pytest.raises(FormatError, match="only CT"):
        write_ct_series(Volume(volume.array, volume.grid, Modality.MR, Unit.ARBITRARY), tmp_path / "x", rng=rng)
    with pytest.raises(FormatError, match="does not fit 16 bits; expected -33792 to 31743 HU"):
        write_ct_series(volume.with_array(np.full((4, 3, 2), 32767, np.int16)), tmp_path / "x", rng=rng)
    assert not (tmp_path / "x").exists()
    (tmp_path / "old.dcm").touch()
    with pytest.raises(UsageError, match="must be empty"):
        write_ct_series(volume, tmp_path, rng=rng)
