"""Finding and reading series: geometry derived by hand, mixed stacks taken apart, and SimpleITK as a second opinion."""

import shutil
import zipfile
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import SimpleITK
from numpy.typing import ArrayLike, NDArray
from pydicom import Dataset, dcmread
from pydicom.uid import (
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
    XRayRadiationDoseSRStorage,
    generate_uid,
)

from osteomet.core.errors import FormatError, InputError, SeriesError
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_series import SeriesHeader, find_series, read_series
from osteomet.io.dicom_writer import write_ct_series

Edit = Callable[[Dataset, int], None]
sitk: Any = SimpleITK

OBLIQUE = np.linalg.qr(np.random.default_rng(5).normal(size=(3, 3)))[0]
DIRECTIONS = {
    "axial": np.eye(3),
    "sagittal": np.array([[0.0, 0, 1], [1, 0, 0], [0, -1, 0]]),
    "coronal": np.array([[1.0, 0, 0], [0, 0, 1], [0, -1, 0]]),
    "oblique": OBLIQUE,
    "negated i": np.diag([-1.0, 1, 1]),
    "negated j": np.diag([1.0, -1, 1]),
    "negated k": np.diag([1.0, 1, -1]),
    "all negated": -np.eye(3),
}


def noise(direction: ArrayLike | None = None, *, shape: tuple[int, int, int] = (5, 4, 6), seed: int = 0) -> Volume:
    """Random HU on an anisotropic grid."""
    grid = Grid.from_spacing(shape, (0.5, 0.75, 2.5), origin_mm=(-10.25, 20.5, -300.0), direction=direction)
    values = np.random.default_rng(seed).integers(-1000, 2000, shape).astype(np.int16)
    return Volume(values, grid, Modality.CT, Unit.HU)


def write(volume: Volume, folder: Path, edit: Edit | None = None, *, seed: int = 1) -> Path:
    """Write a series and let ``edit(dataset, k)`` change each slice."""
    write_ct_series(volume, folder, rng=np.random.default_rng(seed))
    if edit is not None:
        for k, path in enumerate(sorted(folder.iterdir())):
            dataset = dcmread(path)
            edit(dataset, k)
            dataset.save_as(path)
    return folder


def to_mr(dataset: Dataset, **tags: object) -> None:
    """Make an MR slice of a CT slice."""
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage
    dataset.Modality = "MR"
    del dataset.RescaleSlope, dataset.RescaleIntercept, dataset.RescaleType
    for keyword, value in tags.items():
        setattr(dataset, keyword, value)


def only(folder: Path) -> SeriesHeader:
    (header,) = find_series(folder)
    return header


def values_at(volume: Volume, xyz_mm: NDArray[np.float64]) -> NDArray[np.int16]:
    """Values at points that must be voxel centres."""
    ijk = volume.grid.to_ijk(xyz_mm)
    nearest = np.rint(ijk).astype(int)
    assert np.abs(ijk - nearest).max() < 1e-6
    return np.asarray(volume.array[tuple(nearest.T)])


def assert_same_in_world(first: Volume, second: Volume) -> None:
    """Every voxel of one lies on a voxel of the other with the same value."""
    assert sorted(first.grid.shape) == sorted(second.grid.shape)
    xyz = first.grid.to_xyz_mm(np.moveaxis(np.indices(first.grid.shape), 0, -1).reshape(-1, 3))
    np.testing.assert_array_equal(values_at(second, xyz), first.array.ravel())


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
def test_every_voxel_returns_to_its_place(direction: NDArray[np.float64], tmp_path: Path) -> None:
    volume = noise(direction)
    read, notes = read_series(only(write(volume, tmp_path)))
    assert notes == ()
    assert read.array.dtype == np.int16
    assert (read.modality, read.unit) == (Modality.CT, Unit.HU)
    assert np.linalg.det(read.grid.direction) == pytest.approx(1)
    assert_same_in_world(volume, read)


@pytest.mark.parametrize("direction", DIRECTIONS.values(), ids=DIRECTIONS.keys())
def test_simpleitk_agrees(direction: NDArray[np.float64], tmp_path: Path) -> None:
    read, _ = read_series(only(write(noise(direction), tmp_path)))
    image = sitk.ReadImage(sitk.ImageSeriesReader.GetGDCMSeriesFileNames(str(tmp_path)))
    oracle = np.transpose(sitk.GetArrayFromImage(image))
    affine = np.array(image.GetDirection()).reshape(3, 3) * np.array(image.GetSpacing())
    grid = np.eye(4)
    grid[:3, :3], grid[:3, 3] = affine, image.GetOrigin()
    assert_same_in_world(Volume(oracle.astype(np.int16), Grid(oracle.shape, grid), Modality.CT, Unit.HU), read)


def test_sagittal_affine_by_hand(tmp_path: Path) -> None:
    """Rows run to posterior, columns run to feet: their cross product points to the right, so slices sort right."""

    def edit(dataset: Dataset, k: int) -> None:
        dataset.ImageOrientationPatient = [0, 1, 0, 0, 0, -1]
        dataset.ImagePositionPatient = [30 - 4 * k, -100, 250]
        dataset.PixelSpacing = [0.75, 0.5]

    read, _ = read_series(only(write(noise(), tmp_path, edit)))
    np.testing.assert_allclose(read.grid.affine[0], [0, 0, -4, 30])
    np.testing.assert_allclose(read.grid.affine[1], [0.5, 0, 0, -100])
    np.testing.assert_allclose(read.grid.affine[2], [0, -0.75, 0, 250])
    np.testing.assert_array_equal(read.array, noise().array)


def test_feet_first_order_changes_nothing(tmp_path: Path) -> None:
    """A scan that runs from the head down lists its slices from the top; the volume is the same."""
    volume = noise()

    def reverse(dataset: Dataset, k: int) -> None:
        dataset.InstanceNumber = 6 - k

    read, _ = read_series(only(write(volume, tmp_path, reverse)))
    np.testing.assert_array_equal(read.array, volume.array)
    assert read.grid.same_as(volume.grid)


def test_names_folders_and_suffixes_do_not_matter(tmp_path: Path) -> None:
    volume = noise()
    write(volume, tmp_path / "source")
    deep = tmp_path / "disc" / "A" / "B"
    deep.mkdir(parents=True)
    for n, name in zip((4, 1, 6, 2, 5, 3), ("IM1", "1.2.840", "z", "a.dcm", "x.img", "B.DCM"), strict=True):
        target = deep if n % 2 else deep.parent
        shutil.copy(tmp_path / "source" / f"{n:04d}.dcm", target / name)
    (deep / "readme.txt").write_text("not DICOM")
    (deep / "._IM1").write_bytes(b"\0" * 200)
    (deep / "empty").touch()
    read, _ = read_series(only(tmp_path / "disc"))
    np.testing.assert_array_equal(read.array, volume.array)


def test_dicomdir_is_passed_over(tmp_path: Path) -> None:
    write(noise(), tmp_path / "ct")
    index = dcmread(tmp_path / "ct" / "0001.dcm")
    index.file_meta.MediaStorageSOPClassUID = MediaStorageDirectoryStorage
    for keyword in ("SOPClassUID", "Modality", "PixelData"):
        delattr(index, keyword)
    index.save_as(tmp_path / "DICOMDIR")
    read, _ = read_series(only(tmp_path))
    np.testing.assert_array_equal(read.array, noise().array)


def test_a_zip_with_two_series_is_read_in_place(tmp_path: Path) -> None:
    first, second = noise(seed=1), noise(DIRECTIONS["sagittal"], seed=2)
    write(first, tmp_path / "a", seed=1)
    write(second, tmp_path / "b", lambda dataset, _: setattr(dataset, "SeriesNumber", 2), seed=2)
    archive = tmp_path / "study.zip"
    with zipfile.ZipFile(archive, "w", zipfile.ZIP_DEFLATED) as out:
        for path in [*(tmp_path / "a").iterdir(), *(tmp_path / "b").iterdir()]:
            out.write(path, f"../../{path.parent.name}/{path.name}")
        out.writestr("__MACOSX/._0001.dcm", b"junk")
        out.writestr("viewer.exe", b"MZ")
    headers = find_series(archive)
    assert [h.identity.series_number for h in headers] == [1, 2]
    for header, volume in zip(headers, (first, second), strict=True):
        assert_same_in_world(volume, read_series(header)[0])
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a", "b", "study.zip"]


def test_a_single_file_and_folders_without_dicom(tmp_path: Path) -> None:
    write(noise(), tmp_path / "ct")
    header = only(tmp_path / "ct" / "0003.dcm")
    assert header.n_slices == 1
    with pytest.raises(SeriesError, match="single slice position"):
        read_series(header)
    (tmp_path / "empty").mkdir()
    assert find_series(tmp_path / "empty") == []
    with pytest.raises(InputError, match="no such file"):
        find_series(tmp_path / "nowhere")


def test_emptied_uids_fall_back_to_folder_and_description(tmp_path: Path) -> None:
    def empty(dataset: Dataset, _: int) -> None:
        dataset.SeriesInstanceUID = dataset.StudyInstanceUID = dataset.SOPInstanceUID = dataset.SOPClassUID = ""

    first, second = noise(seed=1), noise(seed=2)
    write(first, tmp_path / "a", empty)
    write(second, tmp_path / "b", empty)
    headers = find_series(tmp_path)
    assert [h.source for h in headers] == [str(tmp_path / "a"), str(tmp_path / "b")]
    np.testing.assert_array_equal(read_series(headers[1])[0].array, second.array)


def test_a_localizer_in_the_same_series_is_a_stack_of_its_own(tmp_path: Path) -> None:
    volume = noise()

    def edit(dataset: Dataset, k: int) -> None:
        if k == 0:
            dataset.ImageType = ["ORIGINAL", "PRIMARY", "LOCALIZER"]
            dataset.ImageOrientationPatient = [1, 0, 0, 0, 0, -1]

    headers = find_series(write(volume, tmp_path, edit))
    assert sorted(h.n_slices for h in headers) == [1, 5]
    read, _ = read_series(max(headers, key=lambda h: h.n_slices))
    np.testing.assert_array_equal(read.array, volume.array[:, :, 1:])


def test_words_that_a_ct_adds_to_image_type_do_not_split_it(tmp_path: Path) -> None:
    def edit(dataset: Dataset, k: int) -> None:
        dataset.ImageType = ["ORIGINAL", "PRIMARY", "AXIAL", f"WORD{k}"]

    assert only(write(noise(), tmp_path, edit)).n_slices == 6


@pytest.mark.parametrize(
    ("keyword", "low", "high"),
    [
        ("DiffusionBValue", 50.0, 800.0),
        ("EchoTime", "2.3", "4.6"),
        ("ImageType", ["DERIVED", "PRIMARY", "DIXON", "WATER"], ["DERIVED", "PRIMARY", "DIXON", "FAT"]),
        ("TemporalPositionIdentifier", 1, 2),
        ("AcquisitionNumber", 2, 10),
        ("AcquisitionTime", "101500", "101510"),
    ],
)
def test_two_stacks_in_one_mr_series(keyword: str, low: object, high: object, tmp_path: Path) -> None:
    """Both stacks lie at the same places; only one tag tells them apart."""
    volume = noise()

    def edit(dataset: Dataset, k: int) -> None:
        to_mr(dataset, **{keyword: low if k < 3 else high})
        dataset.ImagePositionPatient = [0, 0, 5 * (k % 3)]

    headers = find_series(write(volume, tmp_path, edit))
    assert [h.n_slices for h in headers] == [3, 3]
    stored = volume.array.astype(int) + 1024
    for header, expected in zip(headers, (stored[:, :, :3], stored[:, :, 3:]), strict=True):
        read, notes = read_series(header)
        np.testing.assert_array_equal(read.array, expected)
        assert (read.modality, read.unit, notes) == (Modality.MR, Unit.ARBITRARY, ())
        assert read.grid.spacing_mm == (0.5, 0.75, 5.0)


def test_phases_are_numbered_in_order_of_time(tmp_path: Path) -> None:
    def edit(dataset: Dataset, k: int) -> None:
        to_mr(dataset, TriggerTime=str((90, 1000, 450)[k // 2]))
        dataset.ImagePositionPatient = [0, 0, 5 * (k % 2)]

    headers = find_series(write(noise(), tmp_path, edit))
    assert [(h.tags.phase, h.frames[0].repeat_tags["TriggerTime"]) for h in headers] == [
        (1, "90"),
        (2, "450"),
        (3, "1000"),
    ]


def test_vendors_private_b_values(tmp_path: Path) -> None:
    def edit(dataset: Dataset, k: int) -> None:
        to_mr(dataset)
        dataset.ImagePositionPatient = [0, 0, 5 * (k % 2)]
        if k < 2:
            block = dataset.private_block(0x0019, "SIEMENS MR HEADER", create=True)
            block.add_new(0x0C, "OB", b"1000")
        elif k < 4:
            block = dataset.private_block(0x0043, "GEMS_PARM_01", create=True)
            block.add_new(0x39, "IS", [1000000800, 8, 0, 0])
        else:
            block = dataset.private_block(0x2001, "Philips Imaging DD 001", create=True)
            block.add_new(0x03, "FL", 600.0)

    headers = find_series(write(noise(), tmp_path, edit))
    assert [h.tags.b_value_s_per_mm2 for h in headers] == [1000, 800, 600]


@pytest.mark.parametrize(
    ("name", "b_value"), [("*ep_b800t", 800), ("*ep_b1000#3", 1000), ("*ep_b50_800", None), ("*tse2d1_25", None)]
)
def test_b_value_in_a_sequence_name(name: str, b_value: float | None, tmp_path: Path) -> None:
    folder = write(noise(), tmp_path, lambda dataset, _: to_mr(dataset, SequenceName=name))
    assert only(folder).tags.b_value_s_per_mm2 == b_value


def enhanced_ct(volume: Volume, path: Path) -> None:
    """Write an enhanced multi-frame CT: shared orientation, frames in odd order, an intercept of each frame's own."""
    folder = write(volume, path.parent / "classic")
    slices = [dcmread(p) for p in sorted(folder.iterdir())]
    shutil.rmtree(folder)
    order = np.random.default_rng(3).permutation(len(slices))
    shared, per_frame = Dataset(), []
    shared.PlaneOrientationSequence = [Dataset()]
    shared.PlaneOrientationSequence[0].ImageOrientationPatient = slices[0].ImageOrientationPatient
    shared.PixelMeasuresSequence = [Dataset()]
    shared.PixelMeasuresSequence[0].PixelSpacing = slices[0].PixelSpacing
    shared.CTImageFrameTypeSequence = [Dataset()]
    shared.CTImageFrameTypeSequence[0].FrameType = ["ORIGINAL", "PRIMARY", "AXIAL", "NONE"]
    pixels = []
    for k in order:
        item = Dataset()
        item.PlanePositionSequence = [Dataset()]
        item.PlanePositionSequence[0].ImagePositionPatient = slices[k].ImagePositionPatient
        item.PixelValueTransformationSequence = [Dataset()]
        item.PixelValueTransformationSequence[0].RescaleSlope = 1
        item.PixelValueTransformationSequence[0].RescaleIntercept = -1024 - int(k)
        per_frame.append(item)
        pixels.append((slices[k].pixel_array + k).astype("<i2").tobytes())
    whole = slices[0]
    for keyword in ("ImagePositionPatient", "ImageOrientationPatient", "PixelSpacing", "RescaleSlope"):
        delattr(whole, keyword)
    del whole.RescaleIntercept, whole.RescaleType
    whole.SOPClassUID = whole.file_meta.MediaStorageSOPClassUID = EnhancedCTImageStorage
    whole.NumberOfFrames = len(pixels)
    whole.SharedFunctionalGroupsSequence, whole.PerFrameFunctionalGroupsSequence = [shared], per_frame
    whole.PixelData = b"".join(pixels)
    whole.save_as(path)


@pytest.mark.parametrize("direction", [np.eye(3), OBLIQUE], ids=["axial", "oblique"])
def test_enhanced_multi_frame_ct(direction: NDArray[np.float64], tmp_path: Path) -> None:
    volume = noise(direction)
    enhanced_ct(volume, tmp_path / "enhanced.dcm")
    header = only(tmp_path)
    assert header.n_slices == 6
    assert header.tags.image_type == ("ORIGINAL", "PRIMARY", "AXIAL", "NONE")
    assert_same_in_world(volume, read_series(header)[0])


def test_enhanced_mr_with_two_b_values_in_one_file(tmp_path: Path) -> None:
    volume = noise()
    enhanced_ct(volume, tmp_path / "enhanced.dcm")
    dataset = dcmread(tmp_path / "enhanced.dcm")
    dataset.Modality = "MR"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = EnhancedMRImageStorage
    for n, item in enumerate(dataset.PerFrameFunctionalGroupsSequence):
        item.PlanePositionSequence[0].ImagePositionPatient = [0, 0, 4 * (n % 3)]
        item.MRDiffusionSequence = [Dataset()]
        item.MRDiffusionSequence[0].DiffusionBValue = 0.0 if n < 3 else 900.0
        item.MREchoSequence = [Dataset()]
        item.MREchoSequence[0].EffectiveEchoTime = 63.0
    dataset.save_as(tmp_path / "enhanced.dcm")
    headers = find_series(tmp_path)
    assert [(h.tags.b_value_s_per_mm2, h.tags.echo_time_ms, h.n_slices) for h in headers] == [
        (0, 63.0, 3),
        (900, 63.0, 3),
    ]


def test_a_report_beside_the_scan_is_listed_without_geometry(tmp_path: Path) -> None:
    write(noise(), tmp_path / "ct")
    report = dcmread(tmp_path / "ct" / "0001.dcm")
    report.SOPClassUID = report.file_meta.MediaStorageSOPClassUID = XRayRadiationDoseSRStorage
    report.Modality, report.SeriesInstanceUID = "SR", generate_uid()
    del report.PixelData
    report.save_as(tmp_path / "dose.dcm")
    headers = {h.tags.modality: h for h in find_series(tmp_path)}
    assert headers["CT"].is_readable
    assert not headers["SR"].is_readable
    assert headers["SR"].tags.sop_class == "X-Ray Radiation Dose SR Storage"
    with pytest.raises(SeriesError, match="cannot be read as a volume"):
        read_series(headers["SR"])


def test_a_slice_without_position_is_not_mixed_into_the_volume(tmp_path: Path) -> None:
    def edit(dataset: Dataset, k: int) -> None:
        if k == 5:
            del dataset.ImagePositionPatient

    headers = find_series(write(noise(), tmp_path, edit))
    assert [(h.is_readable, len(h.frames)) for h in headers] == [(True, 5), (False, 1)]


def test_reading_twice_agrees(tmp_path: Path) -> None:
    header = only(write(noise(), tmp_path))
    np.testing.assert_array_equal(read_series(header)[0].array, read_series(header)[0].array)


def test_a_file_that_changes_after_the_search_is_noticed(tmp_path: Path) -> None:
    header = only(write(noise(), tmp_path))
    path = tmp_path / "0003.dcm"
    path.write_bytes(path.read_bytes()[:-10])
    with pytest.raises(FormatError, match=r"cannot be decoded; got .*0003\.dcm"):
        read_series(header)
