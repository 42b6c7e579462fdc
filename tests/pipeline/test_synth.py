"""Phantom cohorts as data sets: tables equal maps, same seed same bytes, and nothing is left half done."""

import csv
import gzip
import hashlib
import json
import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from tests.conftest import LumbarPhantom
from tests.pipeline.tiny_cohort import draw_tiny

from osteomet.core.errors import InputError, OutputError, UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import LIU2021_STRUCTURES, STRUCTURES, SequenceRole
from osteomet.core.volume import LabelMap, Modality
from osteomet.evaluation.mark_files import read_readings
from osteomet.evaluation.marks import BoxMark
from osteomet.io.formats import read_labels, read_volume, write_labels
from osteomet.phantom.cohorts import draw as cohorts
from osteomet.phantom.cohorts.ct import ct_case
from osteomet.phantom.cohorts.draw import PatientCases, draw_identity
from osteomet.phantom.lesions.mimic_names import MIMICS
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones
from osteomet.pipeline import synth
from osteomet.pipeline.synth import write_cohort

EXTERNAL = next(n for n in range(50) if draw_identity("mr-spine", seed=5, number=n)[1].split == "external")
COARSE = 3.0


@cache
def coarse_patient(cohort: str, number: int) -> PatientCases:
    """One patient of each MR cohort on a coarse grid; the first of mr-spine is from the external centre."""
    number = EXTERNAL if (cohort, number) == ("mr-spine", 0) else number
    return cohorts.draw_patient(cohort, seed=5, number=number, coarse=COARSE)


def digests(folder: Path) -> dict[str, str]:
    """SHA-256 of every file, of the unpacked content for .gz."""
    found = {}
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
        found[str(path.relative_to(folder))] = hashlib.sha256(data).hexdigest()
    return found


def rows(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


Write = Callable[..., list[tuple[int, int]]]


def _write(
    out: Path, *, cohort: str = "ct-spine", n_cases: int = 2, dicom: bool = False, anatomy: Path | None = None
) -> list[tuple[int, int]]:
    seen: list[tuple[int, int]] = []
    write_cohort(
        cohort,
        out,
        n_cases=n_cases,
        seed=5,
        dicom=dicom,
        anatomy=anatomy,
        overwrite=False,
        progress=lambda done, total: seen.append((done, total)),
    )
    return seen


@pytest.fixture
def write(lumbar: LumbarPhantom, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write a cohort of small cases: for ct-spine the shared phantom, whose second case has no metastasis."""

    def draw(
        name: str, *, seed: int, number: int, coarse: float, labelled: LabelledBones | None = None
    ) -> PatientCases:
        assert (seed, coarse) == (5, 1.0)
        assert labelled is None
        if name != "ct-spine":
            return coarse_patient(name, number)
        patient, exam = draw_identity(name, seed=seed, number=number)
        body = replace(lumbar.body, deposits=lumbar.body.deposits if number == 0 else ())
        phantom = LumbarPhantom(body, lumbar.low_mm, lumbar.high_mm)
        return PatientCases((ct_case(exam.name, patient, exam, body, phantom.render(phantom.grid())),))

    monkeypatch.setattr(synth, "draw_patient", draw)
    return _write


def test_the_table_equals_the_label_maps(write: Write, tmp_path: Path) -> None:
    assert write(tmp_path / "set") == [(1, 2), (2, 2)]
    lesions = rows(tmp_path / "set" / "lesions.csv")
    assert lesions
    assert {row["case"] for row in lesions} == {"case_0000"}
    assert [row["case"] for row in rows(tmp_path / "set" / "cases.csv")] == ["case_0000", "case_0001"]
    instances = read_labels(tmp_path / "set" / "instancesTr" / "case_0000.nii.gz")
    kinds = read_labels(tmp_path / "set" / "labelsTr" / "case_0000.nii.gz")
    assert {int(row["lesion"]) for row in lesions} == {int(v) for v in np.unique(instances.array) if v}
    for row in lesions:
        inside = instances.array == int(row["lesion"])
        assert float(row["volume_ml"]) == pytest.approx(inside.sum() * instances.grid.voxel_volume_ml, abs=1e-4)
        assert float(row["true_volume_ml"]) == pytest.approx(float(row["volume_ml"]), rel=0.05)
        centre = instances.grid.to_xyz_mm(np.argwhere(inside)).mean(axis=0)
        np.testing.assert_allclose([float(row[f"{axis}_mm"]) for axis in "xyz"], centre, atol=0.0051)
        assert set(np.unique(kinds.array[inside])) == {2}
        assert (row["treated"], row["subsite"]) == ("no", "body")
    np.testing.assert_array_equal(kinds.array > 0, instances.array > 0)
    assert not read_labels(tmp_path / "set" / "labelsTr" / "case_0001.nii.gz").array.any()
    assert (
        json.loads((tmp_path / "set" / "mimics.json").read_text())["schmorl_node"] == MIMICS.index("schmorl_node") + 1
    )


def test_a_second_run_gives_the_same_bytes_whatever_the_number_of_cases(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "a", n_cases=1, dicom=True)
    write(tmp_path / "b", n_cases=2, dicom=True)
    one, two = digests(tmp_path / "a"), digests(tmp_path / "b")
    of_first = [name for name in one if "case_0000" in name]
    assert {name: one[name] for name in of_first} == {name: two[name] for name in two if "case_0000" in name}
    n_slices = read_labels(tmp_path / "a" / "labelsTr" / "case_0000.nii.gz").grid.shape[2]
    assert len(list((tmp_path / "a" / "dicomTr" / "case_0000" / "01-CT").iterdir())) == n_slices
    name = "imagesTr/case_0000_0000.nii.gz"
    assert (tmp_path / "a" / name).read_bytes() == (tmp_path / "b" / name).read_bytes()


def test_patients_are_independent_draws() -> None:
    first = cohorts.draw_patient("mr-pelvis", seed=5, number=0, coarse=4.0)
    again = cohorts.draw_patient("mr-pelvis", seed=5, number=0, coarse=4.0)
    other = cohorts.draw_patient("mr-pelvis", seed=6, number=0, coarse=4.0)
    np.testing.assert_array_equal(first.cases[0].volume.array, again.cases[0].volume.array)
    assert first.cases[0].patient == again.cases[0].patient
    assert first.cases[0].patient != other.cases[0].patient


def test_stacks_of_a_patient_of_the_external_centre(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "set", cohort="mr-spine", n_cases=1)
    cases = rows(tmp_path / "set" / "cases.csv")
    assert len(cases) in (2, 3)
    assert {row["patient"] for row in cases} == {f"patient_{EXTERNAL:04d}"}
    assert {(row["split"], row["centre"], row["sequences"]) for row in cases} == {("external", "centre_4", "T1 CE")}
    names = sorted(p.name for p in (tmp_path / "set" / "imagesTs").iterdir())
    assert names == [f"{row['case']}_000{channel}.nii.gz" for row in cases for channel in (0, 1)]
    assert not list((tmp_path / "set" / "imagesTr").iterdir())
    dataset = (tmp_path / "set" / "dataset.json").read_text(encoding="utf-8")
    assert '"2": "FO"' in dataset
    assert '"numTraining": 0' in dataset
    volumes: dict[str, set[str]] = {}
    for row in rows(tmp_path / "set" / "lesions.csv"):
        volumes.setdefault(row["lesion"], set()).add(f"{row['site']} {row['true_volume_ml']} {row['type']}")
    assert volumes
    assert all(len(seen) == 1 and "marrow" in min(seen) for seen in volumes.values())


def test_pelvis_exams_name_the_structures_of_their_study() -> None:
    """The eight structures of liu2021 on both sides and the femora below their necks, but no whole hip bone."""
    (case,) = coarse_patient("mr-pelvis", 0).cases
    present = set(case.bones.present())
    halves = {f"{stem}_{side}" for stem in ("ilium", "ischium", "pubis", "femoral_head") for side in ("left", "right")}
    assert halves <= present
    assert not {"hip_left", "hip_right"} & present
    assert present <= {name for names in LIU2021_STRUCTURES.values() for name in names} | {"femur_left", "femur_right"}


def test_pelvis_exams_hold_a_high_b_value_and_psa() -> None:
    (case,) = coarse_patient("mr-pelvis", 0).cases
    b_values = {image.channel: image.b_s_per_mm2 for image in case.images if image.role is SequenceRole.DWI}
    assert b_values[""] == 0.0
    assert b_values["DWI"] == (1000.0 if "GE" in case.exam.scanner else 800.0)
    assert case.exam.field_strength_t == 3.0
    assert (case.patient.psa_ng_ml or 0) > 0


@pytest.mark.parametrize(("number", "label"), [(0, 1), (1, 2)])
def test_dynamic_series_rise_in_lesions_after_the_bolus(number: int, label: int) -> None:
    (case,) = coarse_patient("ce-dynamic", number).cases
    assert case.patient.diagnosis == ("metastasis" if label == 1 else "primary bone tumour")
    assert [image.channel for image in case.images] == [f"phase-{n:02d}" for n in range(1, 13)]
    times = np.array([image.time_s for image in case.images])
    assert 10 <= np.diff(times).min() <= np.diff(times).max() <= 14
    assert set(np.unique(case.semantic.array)) == {0, label}
    inside = case.semantic.array == label
    means = [float(image.volume.array[inside].mean()) for image in case.images]
    assert means[-1] > 1.15 * means[0]


def test_grades_hold_the_lesions_that_they_name() -> None:
    by_grade = {case.patient.grade: case for n in range(3) for case in coarse_patient("graded", n).cases}
    assert set(by_grade) == {"none", "mild", "apparent"}
    assert by_grade["none"].found == ()
    assert by_grade["none"].patient.diagnosis == "no metastasis"
    assert len(by_grade["mild"].found) <= 2
    assert max(lesion.volume_ml for lesion in by_grade["apparent"].found) > 1.0


def test_marks_are_read_by_the_evaluation(write: Write, tmp_path: Path) -> None:
    write(tmp_path / "set", cohort="readers", n_cases=1)
    readings = read_readings(tmp_path / "set" / "marks.csv")
    cases = {row["case"] for row in rows(tmp_path / "set" / "cases.csv")}
    assert {(r.reader, r.case) for r in readings} == {(f"reader_{n}", case) for n in range(1, 6) for case in cases}
    written = [mark for read in coarse_patient("readers", 0).marks for mark in read.marks]
    assert sum(len(r.marks) for r in readings) == len(written) > 0
    for reading in readings:
        image = read_volume(tmp_path / "set" / "imagesTs" / f"{reading.case}_0000.nii.gz", modality=Modality.MR)
        for mark in reading.marks:
            assert isinstance(mark, BoxMark)
            index = image.grid.to_ijk(mark.centre_xyz_mm)
            assert (index > -2).all()
            assert (index < np.array(image.grid.shape) + 1).all()


@contextmanager
def files_up_to(n_bytes: int) -> Iterator[None]:
    """No file of this process may grow beyond a size: to write on fails as on a disk that is full."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (n_bytes, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))


@pytest.mark.parametrize("writer", ["write_volume", "write_labels", "write_studies", "_write_tables"])
def test_a_full_disk_leaves_nothing(writer: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The system refuses to write on in the middle of the second case, or after both."""
    real = getattr(synth, writer)

    def write_until_full(*arguments: Any, **options: Any) -> None:
        is_second = list(tmp_path.glob(".set.partial-*/mimicsTr/case_0000.nii.gz"))
        with files_up_to(50) if is_second else nullcontext():
            real(*arguments, **options)

    monkeypatch.setattr(synth, "draw_patient", draw_tiny)
    monkeypatch.setattr(synth, writer, write_until_full)
    with pytest.raises(
        OutputError, match=r"set could not be written; expected .*; got File too large; remedy: free space.*--out;"
    ):
        _write(tmp_path / "set", dicom=True)
    assert list(tmp_path.iterdir()) == []


KILLED = """
import os, signal, sys
from pathlib import Path
from osteomet.pipeline import synth
from tests.pipeline.tiny_cohort import draw_tiny

synth.draw_patient = draw_tiny
writer, n_calls, place = sys.argv[1], int(sys.argv[2]), sys.argv[3]
real = getattr(synth, writer)

def kill_at_last(*arguments, **options):
    global n_calls
    n_calls -= 1
    if n_calls == 0:
        os.kill(os.getpid(), signal.SIGKILL)
    return real(*arguments, **options)

setattr(synth, writer, kill_at_last)
options = {"n_cases": 2, "seed": 5, "anatomy": None, "overwrite": False, "progress": lambda done, total: None}
synth.write_cohort("ct-spine", Path(place), dicom=True, **options)
"""


@pytest.mark.parametrize(("writer", "n_calls"), [("write_labels", 6), ("write_studies", 2)])
def test_a_run_killed_within_a_case_leaves_whole_cases_alone_and_no_output(
    writer: str, n_calls: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SIGKILL within the second of two cases, of four label maps each, or between its maps and its DICOM."""
    command = [sys.executable, "-c", KILLED, writer, str(n_calls), str(tmp_path / "set")]
    run = subprocess.run(command, env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}, check=False)
    assert run.returncode == -signal.SIGKILL
    (left,) = tmp_path.iterdir()
    assert left.name.startswith(".set.partial-")
    assert not (left / "dataset.json").exists()
    whole = ["case_0000"] if writer == "write_labels" else ["case_0000", "case_0001"]
    for name in ("labels", "instances", "bones", "mimics"):
        assert sorted(p.name for p in (left / f"{name}Tr").iterdir()) == [f"{case}.nii.gz" for case in whole]
    assert sorted(p.name for p in (left / "imagesTr").iterdir()) == [f"{case}_0000.nii.gz" for case in whole]
    monkeypatch.setattr(synth, "draw_patient", draw_tiny)
    _write(tmp_path / "set", n_cases=1)
    assert [p.name for p in tmp_path.iterdir()] == ["set"]


@pytest.mark.parametrize("n_cases", [0, -3])
def test_a_cohort_without_cases_is_refused(n_cases: int, tmp_path: Path) -> None:
    with pytest.raises(
        UsageError, match=rf"a cohort has at least one case; expected .*; got --cases {n_cases}; remedy: pass --cases 1"
    ):
        _write(tmp_path / "set", n_cases=n_cases)
    assert not (tmp_path / "set").exists()


def write_bone(folder: Path, name: str) -> None:
    """A cube of 12 mm that its file calls a bone."""
    grid = Grid.from_spacing((12, 12, 12), (2.0, 2.0, 2.0))
    array = np.zeros(grid.shape, dtype=np.uint8)
    array[3:9, 3:9, 3:9] = 1
    folder.mkdir(parents=True, exist_ok=True)
    write_labels(LabelMap(array, grid, {"bone": 1}), folder / f"{name}.nii.gz")


def test_subjects_of_an_anatomy_folder_take_turns(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    around: list[list[int]] = []

    def draw(name: str, *, seed: int, number: int, coarse: float, labelled: LabelledBones) -> PatientCases:
        around.append([bone.owner for bone in labelled.bones])
        return draw_tiny(name, seed=seed, number=number, coarse=coarse)

    for subject, bone in (("a", "vertebrae_L1"), ("b", "vertebrae_L5")):
        write_bone(tmp_path / "bones" / subject, bone)
    monkeypatch.setattr(synth, "draw_patient", draw)
    _write(tmp_path / "set", n_cases=3, anatomy=tmp_path / "bones")
    assert around == [[STRUCTURES["L1"].id], [STRUCTURES["L5"].id], [STRUCTURES["L1"].id]]


def test_an_anatomy_folder_without_bones_leaves_nothing(tmp_path: Path) -> None:
    (tmp_path / "bones").mkdir()
    with pytest.raises(InputError, match=r"holds no bones; expected label maps.*an empty folder; remedy: name maps"):
        _write(tmp_path / "set", anatomy=tmp_path / "bones")
    assert not (tmp_path / "set").exists()


def test_a_subject_without_the_bones_of_a_cohort_is_refused_before_any_patient(tmp_path: Path) -> None:
    write_bone(tmp_path / "bones" / "a", "hip_left")
    write_bone(tmp_path / "bones" / "b", "vertebrae_L3")
    with pytest.raises(
        InputError,
        match=r"the bones of b lack what the cohort mr-pelvis images; expected the sacrum or a hip bone at least; "
        r"got L3; remedy: label such a bone as well, or make a cohort of these: ct-spine, mr-spine, ce-dynamic, graded",
    ):
        _write(tmp_path / "set", cohort="mr-pelvis", n_cases=2, anatomy=tmp_path / "bones")
    assert [p.name for p in tmp_path.iterdir()] == ["bones"]
