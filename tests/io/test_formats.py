from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK as sitk  # noqa: N813
from numpy.typing import NDArray

from osteomet.core.errors import FormatError, InputError, OsteometError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.formats import image_stem, is_image_file, read_labels, read_volume, write_labels, write_volume

VOLUME_SUFFIXES = (".nii", ".nii.gz", ".nrrd", ".mha")
LABEL_SUFFIXES = (*VOLUME_SUFFIXES, ".seg.nrrd")
TOLERANCE_MM = {".nii": 1e-4, ".nii.gz": 1e-4}


def ramp(grid: Grid, dtype: type = np.int16) -> Volume:
    """Every voxel has a value of its own: 100 i + 10 j + k − 1000."""
    i, j, k = np.indices(grid.shape)
    return Volume((100 * i + 10 * j + k - 1000).astype(dtype), grid, Modality.CT, Unit.HU)


def two_bones(grid: Grid) -> LabelMap:
    """L4 in the first half of the first axis, a lesion in the last corner."""
    array = np.zeros(grid.shape, np.uint8)
    array[: grid.shape[0] // 2] = 23
    array[-1, -1, -1] = 200
    return LabelMap(array, grid, {"L4": 23, "lesion_7": 200})


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize("dtype", [np.int16, np.float32])
def test_a_volume_comes_back(tmp_path: Path, grid: Grid, suffix: str, dtype: type) -> None:
    volume = ramp(grid, dtype)
    if dtype is np.float32:
        volume = volume.with_array(volume.array + np.float32(0.25))
    write_volume(volume, tmp_path / f"ct{suffix}")
    back = read_volume(tmp_path / f"ct{suffix}", modality=Modality.CT)
    assert back.array.dtype == dtype
    np.testing.assert_array_equal(back.array, volume.array)
    assert back.grid.same_as(grid, tolerance_mm=TOLERANCE_MM.get(suffix, 1e-6))
    assert (back.modality, back.unit) == (Modality.CT, Unit.HU)


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
def test_a_label_map_comes_back(tmp_path: Path, grid: Grid, suffix: str) -> None:
    labels = two_bones(grid)
    write_labels(labels, tmp_path / f"bones{suffix}")
    back = read_labels(tmp_path / f"bones{suffix}", labels.labels)
    np.testing.assert_array_equal(back.array, labels.array)
    assert back.array.dtype == np.uint8
    assert back.grid.same_as(grid, tolerance_mm=TOLERANCE_MM.get(suffix, 1e-6))
    assert dict(back.labels) == {"L4": 23, "lesion_7": 200}


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_every_format_means_the_same_place_to_another_reader(tmp_path: Path, grid: Grid, suffix: str) -> None:
    """SimpleITK, whose frame is LPS and voxel centres, is the oracle for what we write."""
    write_volume(ramp(grid), tmp_path / f"ct{suffix}")
    image: Any = sitk.ReadImage(str(tmp_path / f"ct{suffix}"))
    for index in np.ndindex(2, 2, 2):
        corner = [int(n) for n in np.array(index) * (np.array(grid.shape) - 1)]
        there = image.TransformIndexToPhysicalPoint(corner)
        assert there == pytest.approx(tuple(grid.to_xyz_mm(corner)), abs=1e-3)
        i, j, k = corner
        assert image[corner] == 100 * i + 10 * j + k - 1000


@pytest.mark.parametrize("first", VOLUME_SUFFIXES)
@pytest.mark.parametrize("second", VOLUME_SUFFIXES)
def test_converting_between_formats_moves_nothing(tmp_path: Path, grid: Grid, first: str, second: str) -> None:
    write_volume(ramp(grid), tmp_path / f"a{first}")
    once = read_volume(tmp_path / f"a{first}", modality=Modality.CT)
    write_volume(once, tmp_path / f"b{second}")
    twice = read_volume(tmp_path / f"b{second}", modality=Modality.CT)
    assert twice.grid.same_as(grid, tolerance_mm=2e-4)
    np.testing.assert_array_equal(twice.array, ramp(grid).array)


def test_magnetic_resonance_has_arbitrary_units(tmp_path: Path) -> None:
    write_volume(ramp(Grid.from_spacing((2, 2, 2), (1, 1, 1))), tmp_path / "t1.mha")
    assert read_volume(tmp_path / "t1.mha", modality=Modality.MR).unit is Unit.ARBITRARY


def test_labels_without_names_are_numbered(tmp_path: Path) -> None:
    write_labels(two_bones(Grid.from_spacing((4, 2, 2), (1, 1, 1))), tmp_path / "case.nii.gz")
    assert dict(read_labels(tmp_path / "case.nii.gz").labels) == {"label_23": 23, "label_200": 200}


def test_an_empty_label_map_has_no_names(tmp_path: Path) -> None:
    grid = Grid.from_spacing((2, 2, 2), (1, 1, 1))
    write_labels(LabelMap(np.zeros(grid.shape, np.uint8), grid, {}), tmp_path / "none.nrrd")
    assert dict(read_labels(tmp_path / "none.nrrd").labels) == {}


def test_names_given_must_cover_every_label(tmp_path: Path) -> None:
    write_labels(two_bones(Grid.from_spacing((4, 2, 2), (1, 1, 1))), tmp_path / "case.nii")
    with pytest.raises(FormatError, match=r"case\.nii: the label map holds values that have no name; got \[200\]"):
        read_labels(tmp_path / "case.nii", {"L4": 23})


@pytest.mark.parametrize("dtype", [np.float32, np.float64, np.int16, np.int32, np.uint16])
def test_whole_numbers_of_any_type_are_labels(tmp_path: Path, dtype: type) -> None:
    array: NDArray[Any] = np.zeros((3, 3, 3), dtype)
    array[1, 1, 1] = 7
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "x.mha"))
    assert dict(read_labels(tmp_path / "x.mha").labels) == {"label_7": 7}


@pytest.mark.parametrize(
    ("value", "message"),
    [
        (0.5, r"must hold whole numbers; got 0\.5; remedy: pass a label map, not a probability map"),
        (np.nan, "must hold whole numbers; got nan"),
        (-1, "must not hold negative numbers; got -1"),
        (2.0**33, "a label is too large; expected at most 4294967295; got 8589934592"),
    ],
)
def test_what_cannot_be_a_label_is_refused(tmp_path: Path, value: float, message: str) -> None:
    array = np.zeros((3, 3, 3))
    array[1, 1, 1] = value
    sitk.WriteImage(sitk.GetImageFromArray(array), str(tmp_path / "x.mha"))
    with pytest.raises(FormatError, match=message):
        read_labels(tmp_path / "x.mha")


def test_colour_is_refused(tmp_path: Path) -> None:
    picture = sitk.GetImageFromArray(np.zeros((3, 3, 3, 3), np.uint8), isVector=True)
    for suffix in (".nrrd", ".mha"):
        sitk.WriteImage(picture, str(tmp_path / f"x{suffix}"))
        for read in (lambda p: read_volume(p, modality=Modality.MR), read_labels):
            with pytest.raises(FormatError, match="a voxel holds several numbers; expected one; got 3"):
                read(tmp_path / f"x{suffix}")


@pytest.mark.parametrize("suffix", [".nrrd", ".mha"])
def test_flat_pictures_and_time_series_are_refused(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"x{suffix}"
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((5, 4), np.int16)), str(path))
    with pytest.raises(FormatError, match=r"a flat picture; expected three axes; got shape \(4, 5\)"):
        read_volume(path, modality=Modality.CT)
    sitk.WriteImage(sitk.GetImageFromArray(np.zeros((2, 6, 5, 4), np.int16), isVector=False), str(path))
    with pytest.raises(FormatError, match=r"several volumes; expected one 3D image; got 2 volumes, indices 0 to 1"):
        read_volume(path, modality=Modality.CT)


@pytest.mark.parametrize("suffix", LABEL_SUFFIXES)
@pytest.mark.parametrize(
    ("content", "kind"),
    [
        (b"", "an empty file"),
        (b"%PDF-1.7 report", "a PDF document"),
        (b"Dear colleague,\n", "text"),
        (b"\0" * 128 + b"DICM" + b"\2\0", "a DICOM file"),
        (b"PK\x03\x04rest", "a zip archive"),
    ],
)
def test_other_files_under_an_image_name_are_refused(tmp_path: Path, suffix: str, content: bytes, kind: str) -> None:
    path = tmp_path / f"ct{suffix}"
    path.write_bytes(content)
    with pytest.raises(FormatError, match=rf"ct{suffix}: the file is not what its name says; expected .*; got {kind};"):
        read_labels(path)


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
@pytest.mark.parametrize("kept", [0.98, 0.6])
def test_truncated_files_are_refused(tmp_path: Path, suffix: str, kept: float) -> None:
    grid = Grid.from_spacing((20, 20, 20), (1, 1, 1))
    noise = np.random.default_rng(0).integers(-1000, 1000, grid.shape).astype(np.int16)
    path = tmp_path / f"ct{suffix}"
    write_volume(Volume(noise, grid, Modality.CT, Unit.HU), path)
    content = path.read_bytes()
    path.write_bytes(content[: int(kept * len(content))])
    with pytest.raises(FormatError, match=rf"ct{suffix}: the file is truncated or corrupt; expected a complete"):
        read_volume(path, modality=Modality.CT)


@pytest.mark.parametrize("suffix", [".nii.gz", ".nrrd", ".mha"])
def test_a_damaged_byte_is_noticed(tmp_path: Path, suffix: str) -> None:
    """Compressed formats carry a checksum, which neither nibabel nor ITK compares of itself."""
    grid = Grid.from_spacing((20, 20, 20), (1, 1, 1))
    noise = np.random.default_rng(0).integers(0, 50, grid.shape).astype(np.int16)
    path = tmp_path / f"ct{suffix}"
    write_volume(Volume(noise, grid, Modality.CT, Unit.HU), path)
    content = path.read_bytes()
    for tenths in range(5, 10):
        damaged = bytearray(content)
        damaged[len(content) * tenths // 10] ^= 8
        path.write_bytes(damaged)
        with pytest.raises(FormatError, match="truncated or corrupt"):
            read_volume(path, modality=Modality.CT)


@pytest.mark.parametrize("read", [lambda p: read_volume(p, modality=Modality.CT), read_labels])
def test_paths_that_are_no_image(tmp_path: Path, read: Callable[[Path], object]) -> None:
    with pytest.raises(FormatError, match=r"notes\.txt: the suffix .* expected \.nii\.gz .*\.mhd; got \.txt; remedy"):
        read(tmp_path / "notes.txt")
    with pytest.raises(InputError, match=r"gone\.nii: the file cannot be opened; expected .*; got No such file"):
        read(tmp_path / "gone.nii")
    (tmp_path / "folder.nii").mkdir()
    with pytest.raises(FormatError, match="a folder is not an image file"):
        read(tmp_path / "folder.nii")


@pytest.mark.parametrize("suffix", VOLUME_SUFFIXES)
def test_not_a_number_is_refused(tmp_path: Path, suffix: str) -> None:
    grid = Grid.from_spacing((3, 3, 3), (1, 1, 1))
    write_volume(ramp(grid, np.float32), tmp_path / "good.mha")
    array = np.ones(grid.shape, np.float32)
    array[0, 1, 2] = np.nan
    array[2, 2, 2] = np.inf
    image = sitk.GetImageFromArray(array.T)
    sitk.WriteImage(image, str(tmp_path / f"ct{suffix}"))
    with pytest.raises(FormatError, match=rf"ct{suffix}: .* not numbers \(NaN or infinite\); got 2 of 27 voxels"):
        read_volume(tmp_path / f"ct{suffix}", modality=Modality.CT)


def test_writing_refuses_what_it_cannot_write(tmp_path: Path) -> None:
    volume = ramp(Grid.from_spacing((2, 2, 2), (1, 1, 1)))
    for name in ("ct.mhd", "ct.seg.nrrd", "ct.png", "ct"):
        with pytest.raises(FormatError, match=r"names no known image format; expected \.nii\.gz \.nii \.nrrd \.mha"):
            write_volume(volume, tmp_path / name)
    with pytest.raises(UsageError, match="a folder that does not exist"):
        write_volume(volume, tmp_path / "missing" / "ct.nii")
    assert not list(tmp_path.iterdir())


def test_a_failed_write_leaves_the_old_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "ct.nrrd"
    volume = ramp(Grid.from_spacing((2, 2, 2), (1, 1, 1)))
    write_volume(volume, path)
    before = path.read_bytes()

    def fail(_image: object, partial: str, *_: object) -> None:
        Path(partial).write_bytes(b"half")
        raise RuntimeError("ITK ERROR: Writer(0x55): no space left")

    monkeypatch.setattr("SimpleITK.WriteImage", fail)
    with pytest.raises(OsteometError, match=r"ct\.nrrd: the file could not be .*; got no space left; remedy: free"):
        write_volume(volume, path)
    assert [p.name for p in tmp_path.iterdir()] == ["ct.nrrd"]
    assert path.read_bytes() == before


def test_writing_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    volume = ramp(Grid.from_spacing((4, 4, 4), (1, 1, 1)))
    for suffix in VOLUME_SUFFIXES:
        write_volume(volume, tmp_path / f"a{suffix}")
        write_volume(volume, tmp_path / f"b{suffix}")
        assert (tmp_path / f"a{suffix}").read_bytes() == (tmp_path / f"b{suffix}").read_bytes()


def test_known_suffixes() -> None:
    names = ("a.nii", "a.NII.GZ", "a.seg.nrrd", "a.nrrd", "a.mha", "a.mhd")
    assert all(is_image_file(Path(name)) for name in names)
    assert not any(is_image_file(Path(name)) for name in ("a.dcm", "a.gz", "nii", "a.png", "labels.json"))
    assert [image_stem(Path(name)) for name in names] == ["a"] * 6
