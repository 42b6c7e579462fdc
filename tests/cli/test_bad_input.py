"""What cannot be used is refused with what, expected, got and remedy, an exit code, and without an output folder."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from pydicom import dcmread
from pydicom.uid import UID
from tests.conftest import Analysed, Osteomet, stored

from osteomet.core.findings import from_json
from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.io.dicom_writer import write_ct_series
from osteomet.io.formats import write_volume
from osteomet.io.model_package import find_package

AFFINE = np.diag([2.0, 2.0, 2.5, 1.0])


def tissue(*, with_bone: bool = False) -> Volume:
    """A block of fat in air; with a bright block it is still no anatomy."""
    array = np.full((24, 24, 20), -1000, dtype=np.int16)
    array[4:20, 4:20, :] = -90
    if with_bone:
        array[10:14, 10:14, :] = 600
    return Volume(array, Grid.from_spacing(array.shape, (2.0, 2.0, 2.5)), Modality.CT, Unit.HU)


def dicom(folder: Path) -> Path:
    return write_ct_series(tissue(with_bone=True), folder, rng=np.random.default_rng(3))


def empty(folder: Path) -> Path:
    folder.mkdir()
    return folder


def documents(folder: Path) -> Path:
    folder.mkdir()
    (folder / "notes.txt").write_text("dear colleague")
    (folder / "letter.pdf").write_bytes(b"%PDF-1.7\n")
    return folder


def text_file(folder: Path) -> Path:
    folder.mkdir()
    (folder / "notes.txt").write_text("dear colleague")
    return folder / "notes.txt"


def pdf_file(folder: Path) -> Path:
    return documents(folder) / "letter.pdf"


def not_there(folder: Path) -> Path:
    return folder


def truncated_nifti(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "scan.nii.gz"
    write_volume(tissue(with_bone=True), path)
    path.write_bytes(path.read_bytes()[:-40])
    return path


def corrupt_nifti(folder: Path) -> Path:
    folder.mkdir()
    path = folder / "scan.nii.gz"
    path.write_bytes(b"\x00\x11" * 400)
    return path


def truncated_dicom(folder: Path) -> Path:
    slice_ = dicom(folder) / "0007.dcm"
    slice_.write_bytes(slice_.read_bytes()[:-100])
    return folder


def missing_slice(folder: Path) -> Path:
    (dicom(folder) / "0008.dcm").unlink()
    return folder


def differing_duplicate(folder: Path) -> Path:
    slices = dicom(folder)
    copy = dcmread(slices / "0005.dcm")
    copy.SOPInstanceUID = copy.file_meta.MediaStorageSOPInstanceUID = UID("2.25.1")
    copy.PixelData = bytes(len(copy.PixelData))
    copy.save_as(slices / "again.dcm")
    return folder


def mixed_spacing(folder: Path) -> Path:
    for number in range(13, 21):
        path = dicom(folder) / f"{number:04d}.dcm" if number == 13 else folder / f"{number:04d}.dcm"
        dataset = dcmread(path)
        dataset.ImagePositionPatient = [0, 0, 30 + (number - 13) * 4]
        dataset.save_as(path)
    return folder


def nifti(edit: Callable[[Any], None]) -> Callable[[Path], Path]:
    def write(folder: Path) -> Path:
        folder.mkdir()
        image: Any = nib.Nifti1Image(tissue(with_bone=True).array.astype(np.float32), AFFINE)  # type: ignore[no-untyped-call]
        edit(image)
        nib.save(image, folder / "scan.nii")
        return folder / "scan.nii"

    return write


def put_nan(image: Any) -> None:
    image.get_fdata(caching="unchanged")
    np.asanyarray(image.dataobj)[3, 4, 5] = np.nan


def shear(image: Any) -> None:
    affine = AFFINE.copy()
    affine[0, 2] = 0.4
    image.set_sform(affine, code=1)
    image.set_qform(None, code=0)


def no_spacing(image: Any) -> None:
    image.set_sform(np.diag([2.0, 2.0, 0.0, 1.0]), code=1)
    image.set_qform(None, code=0)


CASES: dict[str, tuple[Callable[[Path], Path], str]] = {
    "nothing there": (not_there, r"study"),
    "empty folder": (empty, r"the folder is empty; expected DICOM, or one image file .*; got .*study"),
    "folder of documents": (documents, r"there is no image in this folder; expected .*; got 2 other files .*1 \.pdf"),
    "text file": (text_file, r"the file is not an image; expected .*; got .*notes\.txt"),
    "PDF file": (pdf_file, r"the file is not an image; expected .*; got .*letter\.pdf"),
    "truncated NIfTI": (truncated_nifti, r"scan\.nii\.gz: .*(truncated|corrupt|damaged|incomplete)"),
    "corrupt NIfTI": (corrupt_nifti, r"scan\.nii\.gz: "),
    "truncated DICOM": (truncated_dicom, r"0007\.dcm"),
    "missing slice": (missing_slice, r"misses 1 slice; .* between \(0, 0, 15\) mm .* and \(0, 0, 20\) mm"),
    "duplicates that differ": (differing_duplicate, r"different pixels; .*\(0, 0, 10\) mm"),
    "mixed spacing": (mixed_spacing, r"not evenly spaced; .* at \(0, 0, [\d.]+\) mm"),
    "NaN": (nifti(put_nan), r"not numbers \(NaN or infinite\); got 1 of 11520 voxels; remedy"),
    "zero spacing": (nifti(no_spacing), r"spacing must be positive; .*got .*0"),
    "sheared affine": (nifti(shear), r"not perpendicular \(sheared affine\); got .*; remedy"),
}


@pytest.mark.parametrize("case", CASES)
def test_bad_input(case: str, osteomet: Osteomet, tmp_path: Path) -> None:
    make, message = CASES[case]
    source = make(tmp_path / "study")
    outcome = osteomet("analyze", source, "--out", tmp_path / "results" / "out")
    assert outcome.code == 3, outcome.err
    assert outcome.err.startswith("osteomet: ")
    assert "Traceback" not in outcome.err
    assert outcome.out == ""
    assert re.search(message, outcome.err.replace("\n", " ")), outcome.err
    assert not (tmp_path / "results").exists()


def test_a_modality_that_no_model_handles(osteomet: Osteomet, tmp_path: Path) -> None:
    write_volume(tissue(with_bone=True), tmp_path / "t1.nii.gz")
    outcome = osteomet("analyze", "--sequence", f"T1={tmp_path / 't1.nii.gz'}", "--out", tmp_path / "out")
    assert outcome.code == 3
    assert "no series that the model handles; expected CT for model 'default-ct'; got T1 (MR)" in outcome.err
    assert not (tmp_path / "out").exists()


def test_no_bone_in_the_field_of_view(osteomet: Osteomet, tmp_path: Path) -> None:
    write_volume(tissue(), tmp_path / "fat.nii.gz")
    outcome = osteomet("analyze", tmp_path / "fat.nii.gz", "--out", tmp_path / "out", "--device", "cpu")
    assert outcome.code == 0, outcome.err
    assert "No bone found in the field of view" in outcome.out
    findings = from_json((tmp_path / "out" / "findings.json").read_text())
    assert [a.code for a in findings.exam.abstentions] == ["no_bone"]
    assert (findings.exam.probability, findings.exam.m_stage, findings.exam.grade) == (None, None, None)
    assert (findings.levels, findings.lesions) == ((), ())
    assert "No bone found in the field of view" in (tmp_path / "out" / "report.html").read_text()
    assert not np.asanyarray(stored(tmp_path / "out" / "bones.nii.gz").dataobj).any()


def test_an_existing_folder_is_kept_without_overwrite(osteomet: Osteomet, tmp_path: Path) -> None:
    write_volume(tissue(), tmp_path / "fat.nii.gz")
    arguments = ("analyze", tmp_path / "fat.nii.gz", "--out", tmp_path / "out", "--device", "cpu")
    assert osteomet(*arguments).code == 0
    first = (tmp_path / "out" / "run.log").stat().st_mtime_ns
    refused = osteomet(*arguments)
    assert refused.code == 2
    assert "exists already; remedy: pass --overwrite" in refused.err
    assert (tmp_path / "out" / "run.log").stat().st_mtime_ns == first
    assert osteomet(*arguments, "--overwrite").code == 0
    assert (tmp_path / "out" / "run.log").stat().st_mtime_ns > first


def test_a_killed_run_leaves_nothing_that_looks_finished(
    analysed: Analysed, osteomet: Osteomet, tmp_path: Path
) -> None:
    """SIGKILL while the networks run; `analysed` stands for the scan, a block of fat for the next run."""
    out = tmp_path / "out"
    command = [sys.executable, "-m", "osteomet.cli.main", "analyze", analysed.source, "--out", out, "--device", "cpu"]
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    with subprocess.Popen(list(map(str, command)), env=environment, stderr=subprocess.PIPE) as run:
        deadline = time.monotonic() + 60
        while not list(tmp_path.glob(".out.partial-*")) and time.monotonic() < deadline:
            time.sleep(0.02)
        run.send_signal(signal.SIGKILL)
    assert run.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".out.partial-")
    assert not (left / "findings.json").exists()
    write_volume(tissue(), tmp_path / "fat.nii.gz")
    assert osteomet("analyze", tmp_path / "fat.nii.gz", "--out", out, "--device", "cpu").code == 0
    assert sorted(p.name for p in tmp_path.iterdir()) == ["fat.nii.gz", "out"]


def test_a_model_that_is_not_there(osteomet: Osteomet, tmp_path: Path) -> None:
    write_volume(tissue(), tmp_path / "fat.nii.gz")
    outcome = osteomet("analyze", tmp_path / "fat.nii.gz", "--out", tmp_path / "out", "--model", "no-such-model")
    assert outcome.code == 4
    assert "there is no model 'no-such-model'; expected a name out of ['default-ct'" in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("file", "message"),
    [("weights/lesions-0.safetensors", "is damaged or was changed; expected SHA-256"), ("card.md", "was changed")],
)
def test_a_tampered_model(file: str, message: str, osteomet: Osteomet, tmp_path: Path) -> None:
    write_volume(tissue(), tmp_path / "fat.nii.gz")
    shutil.copytree(find_package("default-ct"), tmp_path / "model")
    data = bytearray((tmp_path / "model" / file).read_bytes())
    data[-1] ^= 1
    (tmp_path / "model" / file).write_bytes(bytes(data))
    for command in (
        ("analyze", tmp_path / "fat.nii.gz", "--out", tmp_path / "out", "--model", tmp_path / "model"),
        ("model", "show", tmp_path / "model"),
    ):
        outcome = osteomet(*command)
        assert outcome.code == 4
        assert f"{file} " in outcome.err
        assert message in outcome.err
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("analyze", "--out", "OUT"), "there is nothing to analyse; remedy"),
        (("analyze", "IN"), "--out"),
        (("analyze", "IN", "--out", "OUT", "--device", "tpu"), "tpu"),
        (("analyze", "IN", "--out", "OUT", "--sequence", "T9=IN"), "expected ROLE=PATH with a role of CT"),
        (("analyze", "--out", "OUT", "--sequence", "CT=IN", "--sequence", "CT=IN"), "a role is stated twice"),
        (("synth", "ct-spine", "--out", "OUT", "--cases", "-1"), "above 0; got --cases -1; remedy: pass --cases 1"),
        (("synth", "ct-spine", "--out", "OUT", "--cases", "1", "--seed", "-1"), "0 or more; got --seed -1; remedy"),
        (("synth", "mr-knee", "--out", "OUT", "--cases", "1"), "no such cohort; expected ct-spine or mr-spine or "),
        (("train", "no-such-recipe", "--out", "OUT"), "no such recipe; expected default-ct"),
        (("resample", "IN", "--out", "OUT"), "expected either --like IMAGE or --spacing I J K"),
        (("convert", "IN", "--out", "OUT", "--ids-from", "verse"), "ids belong to a label map; remedy: add --labels"),
        (("no-such-command",), "no-such-command"),
    ],
    ids=lambda value: " ".join(value[:2]) if isinstance(value, tuple) else None,
)
def test_usage_errors(arguments: tuple[str, ...], message: str, osteomet: Osteomet, tmp_path: Path) -> None:
    write_volume(tissue(), tmp_path / "fat.nii.gz")
    places = {"IN": tmp_path / "fat.nii.gz", "OUT": tmp_path / "out"}
    outcome = osteomet(*(places.get(a, a.replace("=IN", f"={places['IN']}")) for a in arguments))
    assert outcome.code == 2
    assert message in " ".join(outcome.err.replace("│", " ").split())
    assert not (tmp_path / "out").exists()
