"""One study from folders, zips, files and stated sequences; mixtures and non-images refused."""

import shutil
import zipfile
import zlib
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import MRImageStorage, SecondaryCaptureImageStorage

from osteomet.core.errors import FormatError, InputError, SeriesError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole as Role
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_instances import DicomStudy, new_uid
from osteomet.io.dicom_writer import write_ct_series
from osteomet.io.formats import write_volume
from osteomet.io.study import read_study

STUDY = "1.2.3.4"


def body(*, seed: int = 0, shape: tuple[int, int, int] = (8, 7, 6), modality: Modality = Modality.CT) -> Volume:
    """Air and soft tissue, or MR intensities."""
    grid = Grid.from_spacing(shape, (1.0, 1.0, 2.5), origin_mm=(-4.0, 5.0, 10.0))
    values = np.random.default_rng(seed).integers(-1000, 1000, shape)
    if modality is Modality.MR:
        return Volume(np.abs(values).astype(np.int16), grid, modality, Unit.ARBITRARY)
    return Volume(values.astype(np.int16), grid, modality, Unit.HU)


def write(
    folder: Path, volume: Volume | None = None, edit: Callable[[Dataset], None] | None = None, **tags: object
) -> Path:
    """Write a CT series of the common study; ``tags`` and ``edit`` change every slice."""
    seed = zlib.crc32(folder.name.encode())
    rng = np.random.default_rng(seed)
    write_ct_series(volume or body(), folder, rng=rng, study=DicomStudy(STUDY, new_uid(rng)))
    for path in folder.iterdir():
        dataset = dcmread(path)
        for keyword, value in tags.items():
            setattr(dataset, keyword, value)
        if edit is not None:
            edit(dataset)
        dataset.save_as(path)
    return folder


def to_mr(dataset: Dataset) -> None:
    dataset.Modality = "MR"
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = MRImageStorage


def to_capture(dataset: Dataset) -> None:
    dataset.SOPClassUID = dataset.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage


def test_a_ct_folder(tmp_path: Path) -> None:
    write(tmp_path / "ct", StudyDate="20260314", SeriesDescription="CT Body")
    study = read_study([tmp_path], sequences={})
    (series,) = study.series
    assert (study.study_instance_uid, study.study_date, study.set_aside) == (STUDY, "2026-03-14", ())
    np.testing.assert_array_equal(series.volume.array, body().array)
    facts = series.facts
    assert (series.role, facts.role, facts.modality) == (Role.CT, "CT", "CT")
    assert facts.reason == r"CT in HU: Modality 'CT'; ImageType ORIGINAL\PRIMARY\AXIAL"
    assert (facts.source, facts.description) == (str(tmp_path / "ct"), "CT Body")
    assert (facts.shape, facts.spacing_mm) == ((8, 7, 6), (1.0, 1.0, 2.5))
    assert facts.affine == ((1, 0, 0, -4), (0, 1, 0, 5), (0, 0, 2.5, 10), (0, 0, 0, 1))
    assert facts.frame_of_reference_uid == series.volume.grid.frame_of_reference_uid


def test_everything_else_is_set_aside_with_its_reason(tmp_path: Path) -> None:
    write(tmp_path / "ct", SeriesNumber=2)
    write(tmp_path / "scout", SeriesNumber=1, SeriesDescription="Topogram")
    write(tmp_path / "capture", None, to_capture, SeriesNumber=3, SeriesDescription="Patient Protocol")
    write(tmp_path / "one", body(shape=(8, 7, 1)), SeriesNumber=4, SeriesDescription="one slice")
    write(tmp_path / "mr", None, to_mr, SeriesNumber=5, SeriesDescription="odd")
    write_volume(body(), tmp_path / "copy.nii.gz")
    study = read_study([tmp_path], sequences={})
    assert [s.facts.source for s in study.series] == [str(tmp_path / "ct")]
    reasons = {facts.description: facts.reason for facts in study.set_aside}
    assert all(facts.role is None for facts in study.set_aside)
    assert reasons["Topogram"].startswith("localizer: ")
    assert reasons["Patient Protocol"].startswith("not an image that can be read as slices: ")
    assert reasons["one slice"].startswith("1 slice makes no volume")
    assert reasons["odd"].startswith("no rule knows this series: SeriesDescription 'odd'")
    assert reasons[None].startswith("image file beside a chosen series")


def test_single_files_of_a_series_count_together(tmp_path: Path) -> None:
    """As a shell passes them for ``study/*.dcm``."""
    folder = write(tmp_path / "ct")
    study = read_study(sorted(folder.iterdir()), sequences={})
    assert study.series[0].volume.grid.shape == (8, 7, 6)


def test_a_zip_of_dicom_and_one_of_an_image(tmp_path: Path) -> None:
    shutil.make_archive(str(tmp_path / "dicom"), "zip", write(tmp_path / "ct"))
    write_volume(body(), tmp_path / "ct.nii.gz")
    with zipfile.ZipFile(tmp_path / "image.zip", "w") as out:
        out.write(tmp_path / "ct.nii.gz", "../x/ct.nii.gz")
    for name in ("dicom.zip", "image.zip"):
        study = read_study([tmp_path / name], sequences={})
        np.testing.assert_array_equal(study.series[0].volume.array, body().array)
        assert study.series[0].facts.source.startswith(str(tmp_path / name))


@pytest.mark.parametrize("name", ["ct.nii.gz", "ct.nii", "ct.nrrd", "ct.mha", "CT.NII.GZ"])
def test_an_image_file_is_ct(name: str, tmp_path: Path) -> None:
    write_volume(body(), tmp_path / name)
    (tmp_path / "notes.txt").write_text("beside it")
    for path in (tmp_path / name, tmp_path):
        study = read_study([path], sequences={})
        (series,) = study.series
        assert (study.study_instance_uid, study.study_date) == (None, None)
        assert (series.role, series.facts.reason) == (Role.CT, "an image file is taken for CT")
        assert series.volume.grid.same_as(body().grid)
        np.testing.assert_array_equal(series.volume.array, body().array)


def test_an_image_that_is_not_in_hu_is_refused(tmp_path: Path) -> None:
    write_volume(body(modality=Modality.MR), tmp_path / "t1.nii.gz")
    message = r"not HU, .* expected fat and air: .* got 0.00% in .*t1\.nii\.gz, values 1 to .* --sequence ROLE=PATH"
    with pytest.raises(FormatError, match=message):
        read_study([tmp_path / "t1.nii.gz"], sequences={})


def test_a_dicom_ct_whose_offset_was_lost_is_refused(tmp_path: Path) -> None:
    write(tmp_path / "ct", RescaleIntercept=0)
    with pytest.raises(FormatError, match="not HU"):
        read_study([tmp_path], sequences={})


def test_stated_sequences(tmp_path: Path) -> None:
    write_volume(body(), tmp_path / "ct.nii.gz")
    write_volume(body(seed=1, modality=Modality.MR), tmp_path / "a.nii.gz")
    study = read_study([tmp_path / "ct.nii.gz"], sequences={Role.T1: tmp_path / "a.nii.gz"})
    assert {s.role: s.volume.modality for s in study.series} == {Role.T1: Modality.MR, Role.CT: Modality.CT}
    assert study.series[0].facts.reason == f"given by --sequence T1={tmp_path / 'a.nii.gz'}"
    alone = read_study([], sequences={Role.T1: tmp_path / "a.nii.gz"})
    assert [s.role for s in alone.series] == [Role.T1]
    again = read_study([tmp_path / "a.nii.gz"], sequences={Role.T1: tmp_path / "a.nii.gz"})
    assert [s.role for s in again.series] == [Role.T1]


def test_a_stated_sequence_wins_over_the_rules(tmp_path: Path) -> None:
    write(tmp_path / "a", body(seed=1), to_mr, SeriesDescription="Sag T1", SeriesNumber=1)
    write(tmp_path / "b", body(seed=2), to_mr, SeriesDescription="odd name", SeriesNumber=2)
    study = read_study([tmp_path], sequences={Role.T1: tmp_path / "b"})
    (series,) = study.series
    assert (series.role, series.facts.description) == (Role.T1, "odd name")
    assert [f.reason for f in study.set_aside] == [
        "T1 is given by --sequence (T1-weighted: SeriesDescription 'Sag T1')"
    ]
    assert study.study_instance_uid == STUDY


def test_b_values_are_told_apart(tmp_path: Path) -> None:
    def add_b(dataset: Dataset) -> None:
        to_mr(dataset)
        dataset.DiffusionBValue = 50.0 if dataset.InstanceNumber <= 3 else 800.0
        dataset.ImagePositionPatient = [0, 0, 4 * (dataset.InstanceNumber % 3)]

    write(tmp_path / "dwi", body(), add_b, SeriesDescription="ep2d_diff")
    for study in (
        read_study([tmp_path], sequences={}),
        read_study([], sequences={Role.DWI: tmp_path / "dwi"}),
    ):
        assert [(s.role, s.b_value_s_per_mm2, s.facts.notes) for s in study.series] == [
            (Role.DWI, 50, ("b = 50 s/mm²",)),
            (Role.DWI, 800, ("b = 800 s/mm²",)),
        ]
    with pytest.raises(InputError, match=r"several images could be meant; .* 'ep2d_diff' \(3 slices, b = 50 s/mm²\);"):
        read_study([], sequences={Role.T2: tmp_path / "dwi"})


def test_phases_are_numbered(tmp_path: Path) -> None:
    def add_time(dataset: Dataset) -> None:
        to_mr(dataset)
        dataset.TemporalPositionIdentifier = 1 + (dataset.InstanceNumber - 1) // 2
        dataset.ImagePositionPatient = [0, 0, 4 * (dataset.InstanceNumber % 2)]

    write(tmp_path / "dyn", body(), add_time, SeriesDescription="t1_twist_dyn")
    study = read_study([tmp_path], sequences={})
    assert [(s.role, s.phase, s.facts.notes) for s in study.series] == [
        (Role.DYNAMIC, n, (f"phase {n}",)) for n in (1, 2, 3)
    ]


def test_two_studies_and_two_patients_are_refused(tmp_path: Path) -> None:
    write(tmp_path / "a", StudyDate="20260101")
    write(tmp_path / "b", StudyInstanceUID="9.9", StudyDate="20250101")
    message = (
        r"mixes 2 studies; .* study 9\.9 of 2025-01-01 in .*/b; "
        r"study 1\.2\.3\.4 of 2026-01-01 in .*/a; remedy: pass one of these folders"
    )
    with pytest.raises(InputError, match=message):
        read_study([tmp_path], sequences={})
    shutil.rmtree(tmp_path / "b")
    write(tmp_path / "c", PatientID="someone else")
    with pytest.raises(InputError, match="mixes 2 patients") as caught:
        read_study([tmp_path / "a", tmp_path / "c"], sequences={})
    assert "someone else" not in str(caught.value)


def test_several_image_files_are_refused(tmp_path: Path) -> None:
    for name in ("a.nii.gz", "b.nii.gz"):
        write_volume(body(), tmp_path / name)
    with pytest.raises(InputError, match=r"several images could be meant; .* got .*a\.nii\.gz; .*b\.nii\.gz"):
        read_study([tmp_path], sequences={})


def test_what_is_no_image(tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(InputError, match=r"the folder is empty; expected DICOM, or one image file"):
        read_study([tmp_path / "empty"], sequences={})
    (tmp_path / "letter.pdf").write_bytes(b"%PDF-1.7")
    (tmp_path / "notes.txt").write_text("no image")
    for name in ("letter.pdf", "notes.txt"):
        with pytest.raises(InputError, match=rf"the file is not an image; .* got .*{name}"):
            read_study([tmp_path / name], sequences={})
    with pytest.raises(InputError, match=r"no image in this folder; .* 2 other files \(1 \.pdf, 1 \.txt\)"):
        read_study([tmp_path], sequences={})
    with pytest.raises(InputError, match="no such file or folder"):
        read_study([tmp_path / "nowhere"], sequences={})
    with pytest.raises(InputError, match="there is no input"):
        read_study([], sequences={})
    write(tmp_path / "ct")
    with pytest.raises(InputError, match=r"the file is not an image; .*notes\.txt"):
        read_study([tmp_path / "ct", tmp_path / "notes.txt"], sequences={})


def test_only_series_without_role(tmp_path: Path) -> None:
    write(tmp_path / "mr", None, to_mr, SeriesDescription="odd")
    with pytest.raises(InputError, match=r"no series that can be analysed; .* got odd: no rule knows .* --sequence"):
        read_study([tmp_path], sequences={})
    with pytest.raises(InputError, match="--sequence CT names no CT series that makes a volume"):
        read_study([], sequences={Role.CT: tmp_path / "mr"})


def test_damage_is_passed_on(tmp_path: Path) -> None:
    folder = write(tmp_path / "ct")
    (folder / "0003.dcm").unlink()
    with pytest.raises(SeriesError, match="misses 1 slice"):
        read_study([tmp_path], sequences={})
    (folder / "0004.dcm").write_bytes((folder / "0004.dcm").read_bytes()[:700])
    with pytest.raises(FormatError, match=r"0004\.dcm"):
        read_study([tmp_path], sequences={})


def test_same_volume_in_every_format(tmp_path: Path) -> None:
    """NIfTI, NRRD, MHA and DICOM of one phantom give the same voxels at the same places."""
    volume = body()
    write(tmp_path / "dicom", volume)
    paths = [tmp_path / "dicom"]
    for name in ("a.nii.gz", "a.nrrd", "a.mha"):
        write_volume(volume, tmp_path / name)
        paths.append(tmp_path / name)
    for path in paths:
        read = read_study([path], sequences={}).series[0].volume
        assert read.grid.same_as(volume.grid)
        np.testing.assert_array_equal(read.array, volume.array)


def test_a_segmentation_is_no_scan(tmp_path: Path) -> None:
    (tmp_path / "x.seg.nrrd").write_bytes(b"NRRD0004")
    with pytest.raises(InputError, match="is not an image"):
        read_study([tmp_path / "x.seg.nrrd"], sequences={})
