"""One exported case of every cohort: its DICOM is told apart, read back identically by two readers, and valid."""

import shutil
import subprocess
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
import SimpleITK
from pydicom import dcmread

from osteomet.io.dicom_series import SeriesHeader, find_series, read_series
from osteomet.io.sequence_roles import decide_role
from osteomet.phantom.cohorts import draw
from osteomet.phantom.cohorts.case import Image
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones
from osteomet.pipeline import synth

COARSE = 4.0
ROLES = {
    "ct-spine": {"CT"},
    "mr-spine": {"T1", "CE", "FO"},
    "mr-pelvis": {"DWI", "ADC", "T1-IP"},
    "ce-dynamic": {"dynamic"},
    "graded": {"T1", "T2"},
    "follow-up": {"CT"},
    "readers": {"T1", "CE"},
}


@dataclass(frozen=True, slots=True, eq=False)
class Exported:
    """A cohort of one patient: what was drawn, and the DICOM studies of it."""

    cohort: str
    patient: draw.PatientCases
    studies: tuple[Path, ...]

    def pairs(self) -> list[tuple[SeriesHeader, Image]]:
        """Every series with the image that it was written from, told by exam, role, b-value, phase and stack."""
        found = []
        for case in self.patient.cases:
            headers = find_series(next(s for s in self.studies if s.name == case.exam.name))
            for image in case.images:
                (header,) = (h for h in headers if _is_of(h, image, case.notes.get("stack", "")))
                found.append((header, image))
        return found


def _is_of(header: SeriesHeader, image: Image, stack: str) -> bool:
    tags = header.tags
    if decide_role(tags, n_slices=header.n_slices).role is not image.role:
        return False
    if stack and not tags.series_description.endswith(f"stack {stack}"):
        return False
    if image.b_s_per_mm2 is not None:
        return tags.b_value_s_per_mm2 == image.b_s_per_mm2
    return image.time_s is None or image.channel == f"phase-{tags.phase:02d}"


@pytest.fixture(scope="module", params=ROLES)
def exported(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Exported:
    """Written as `osteomet synth COHORT --cases 1 --dicom` does, on a coarse grid."""
    drawn: list[draw.PatientCases] = []

    def keep(
        cohort: str, *, seed: int, number: int, coarse: float, labelled: LabelledBones | None
    ) -> draw.PatientCases:
        drawn.append(draw.draw_patient(cohort, seed=seed, number=number, labelled=labelled, coarse=coarse))
        return drawn[-1]

    out = tmp_path_factory.mktemp("cohort") / "set"
    options = {"n_cases": 1, "seed": 8, "dicom": True, "anatomy": None, "overwrite": False, "coarse": COARSE}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(synth, "draw_patient", keep)
        synth.write_cohort(request.param, out, **options, progress=lambda _done, _total: None)  # type: ignore[arg-type]
    return Exported(request.param, drawn[0], tuple(sorted((out / "dicomTr").iterdir())))


def test_series_are_told_apart(exported: Exported) -> None:
    """As many series as images, of the roles of the cohort, in one study and one frame of reference an exam."""
    exams = {case.exam.name for case in exported.patient.cases}
    assert [study.name for study in exported.studies] == sorted(exams)
    found, uids = set(), []
    for study in exported.studies:
        headers = find_series(study)
        found |= {decide_role(h.tags, n_slices=h.n_slices).role for h in headers}
        images = [i for case in exported.patient.cases if case.exam.name == study.name for i in case.images]
        assert len(headers) == len(images)
        assert len({h.identity.study_instance_uid for h in headers}) == 1
        assert len({h.identity.frame_of_reference_uid for h in headers}) == 1
        uids += [dcmread(p, stop_before_pixels=True).SOPInstanceUID for p in study.rglob("*.dcm")]
    assert found == ROLES[exported.cohort]
    assert len(set(uids)) == len(uids)


def test_our_reader_brings_back_every_voxel_to_its_place(exported: Exported) -> None:
    for header, image in exported.pairs():
        volume, notes = read_series(header)
        assert notes == ()
        np.testing.assert_array_equal(volume.array, image.volume.array)
        assert volume.grid.same_as(image.volume.grid, tolerance_mm=1e-4)
        assert (volume.modality, volume.unit) == (image.volume.modality, image.volume.unit)


def test_simpleitk_brings_back_every_voxel_to_its_place(exported: Exported) -> None:
    for header, image in exported.pairs():
        frames = sorted(header.frames, key=lambda frame: frame.instance_number or 0)
        back = SimpleITK.ReadImage([str(frame.file.path) for frame in frames])
        grid = image.volume.grid
        np.testing.assert_array_equal(SimpleITK.GetArrayFromImage(back).T, image.volume.array)
        spacing, origin = np.array(back.GetSpacing()), np.array(back.GetOrigin())  # type: ignore[no-untyped-call]
        np.testing.assert_allclose(spacing, np.array(grid.spacing_mm), atol=1e-5)
        np.testing.assert_allclose(origin, np.array(grid.origin_mm), atol=1e-5)
        direction = np.reshape(back.GetDirection(), (3, 3))  # type: ignore[no-untyped-call]
        np.testing.assert_allclose(direction, grid.direction, atol=1e-6)


def test_validator_finds_no_error(exported: Exported) -> None:
    """The first and the last file of each series."""
    validator = shutil.which("dciodvfy")
    if validator is None:
        pytest.skip("dciodvfy of dicom3tools is not installed")
    for header, image in exported.pairs():
        for frame in (header.frames[0], header.frames[-1]):
            said = subprocess.run([validator, frame.file.path], capture_output=True, text=True, check=False).stderr
            assert f"{image.volume.modality}Image" in said
            assert "Error" not in said, said
