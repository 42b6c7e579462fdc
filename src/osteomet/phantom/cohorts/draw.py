"""Cohorts: which patients are drawn, and how each one is imaged. A seed and a number give the same patient, always."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from osteomet.core.errors import UsageError
from osteomet.phantom.cohorts.case import Case, Exam
from osteomet.phantom.cohorts.ct import LinkedLesions, draw_ct_spine, draw_follow_up
from osteomet.phantom.cohorts.mr import draw_ce_dynamic, draw_graded, draw_mr_pelvis, draw_mr_spine
from osteomet.phantom.cohorts.own_bones import check_bones
from osteomet.phantom.cohorts.patients import Patient, draw_one
from osteomet.phantom.cohorts.presets import COHORTS, EXTERNAL, GRADES, METASTASIS, NO_METASTASIS, Preset, preset_of
from osteomet.phantom.cohorts.reading import CaseMarks, read_cases
from osteomet.phantom.cohorts.strata import Stratum, stratum_of
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones

__all__ = ["COHORTS", "PatientCases", "draw_case", "draw_identity", "draw_patient"]

_PATIENT_STREAM, _READER_STREAM = 3, 4
_FIRST_DAY, _N_DAYS = datetime.date(2021, 1, 4), 1400


@dataclass(frozen=True, slots=True, eq=False)
class PatientCases:
    """Everything about one patient: cases in order, links between time points, marks of readers."""

    cases: tuple[Case, ...]
    links: LinkedLesions | None = None
    marks: tuple[CaseMarks, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class _Draw:
    """A patient about to be imaged."""

    preset: Preset
    patient: Patient
    exam: Exam
    rng: np.random.Generator
    coarse: float
    labelled: LabelledBones | None


def draw_patient(
    cohort: str, *, seed: int, number: int, coarse: float = 1.0, labelled: LabelledBones | None = None
) -> PatientCases:
    """Draw patient ``number`` of a cohort with all cases.

    Parameters
    ----------
    cohort
        Name in `COHORTS`.
    seed, number
        Not negative. Patients are independent of each other and of how many are drawn.
    coarse
        Factor on voxel edges, for quick looks.
    labelled
        Bones to build the patient around.

    Raises
    ------
    UsageError
        If there is no such cohort, seed or number are negative, or ``coarse`` is not positive.
    InputError
        If the labelled bones lack what the cohort images.
    """
    if not coarse > 0:
        raise UsageError(
            "voxel edges are multiplied by a positive factor",
            expected="a factor above 0",
            got=f"coarse {coarse:g}",
            remedy="pass 1 for the resolution of the cohort",
        )
    patient, exam = draw_identity(cohort, seed=seed, number=number)
    if labelled is not None:
        check_bones(cohort, {bone.owner for bone in labelled.bones})
    draw = _Draw(preset_of(cohort), patient, exam, np.random.default_rng([seed, number]), coarse, labelled)
    drawn = _DRAW[cohort](draw)
    if cohort == "readers" or (cohort == "mr-spine" and exam.split == EXTERNAL):
        marks = read_cases(drawn.cases, np.random.default_rng([seed, number, _READER_STREAM]))
        return replace(drawn, marks=marks)
    return drawn


def draw_identity(cohort: str, *, seed: int, number: int) -> tuple[Patient, Exam]:
    """Draw who a patient is, and when and on what the patient is scanned; raises as `draw_patient`."""
    preset = preset_of(cohort)
    if seed < 0 or number < 0:
        raise UsageError(
            "a seed and a case number are not negative",
            expected="0 or more",
            got=f"seed {seed}, case {number}",
            remedy="count seeds and cases from 0",
        )
    rng = np.random.default_rng([seed, number, _PATIENT_STREAM])
    stratum = stratum_of(preset.strata, number)
    return _patient(preset, stratum, number, rng), _exam(preset, stratum, number, rng)


def draw_case(cohort: str, *, seed: int, number: int, labelled: LabelledBones | None = None) -> Case:
    """Draw patient ``number`` of a cohort that has one case a patient; otherwise the first case."""
    return draw_patient(cohort, seed=seed, number=number, labelled=labelled).cases[0]


def _patient(preset: Preset, stratum: Stratum, number: int, rng: np.random.Generator) -> Patient:
    """Draw who the patient is."""
    grade = stratum.group if stratum.group in GRADES else ""
    diagnosis = (NO_METASTASIS if grade == GRADES[0] else METASTASIS) if grade else stratum.group
    sex = draw_one(rng, preset.sexes)
    age = (preset.ages.get(stratum.split) or preset.ages[""]).draw(rng)
    site = draw_one(rng, _sites_of(preset, sex)) if diagnosis == METASTASIS or preset.psa else ""
    psa = None if preset.psa is None else preset.psa.draw(rng)
    free = None if psa is None or preset.free_share is None else psa * min(preset.free_share.draw(rng), 1.0)
    return Patient(f"patient_{number:04d}", sex, age, diagnosis, site, grade, psa, free)


def _sites_of(preset: Preset, sex: str) -> dict[str, float]:
    """Primary sites that this sex can have; breast cancer of men, about 1 % of all, is left out."""
    without = {"F": "prostate", "M": "breast"}[sex]
    return {site: odds for site, odds in preset.primary_sites.items() if site != without}


def _exam(preset: Preset, stratum: Stratum, number: int, rng: np.random.Generator) -> Exam:
    """Draw when and on what the patient is scanned."""
    scanners = preset.scanners[stratum.centre]
    odds = np.array(list(scanners.values()), dtype=np.float64)
    scanner = list(scanners)[int(rng.choice(len(odds), p=odds / odds.sum()))]
    date = _FIRST_DAY + datetime.timedelta(int(rng.integers(_N_DAYS)))
    field_t = scanner.field_strength_t or None
    return Exam(f"case_{number:04d}", date, stratum.centre, scanner.name, stratum.split, field_t)


def _ct_spine(d: _Draw) -> PatientCases:
    case = draw_ct_spine(d.patient, d.exam, d.rng, coarse=d.coarse, labelled=d.labelled)
    if case.found:
        return PatientCases((case,))
    return PatientCases((replace(case, patient=replace(d.patient, diagnosis=NO_METASTASIS, primary_site="")),))


def _follow_up(d: _Draw) -> PatientCases:
    cases, links = draw_follow_up(d.patient, d.exam, d.rng, coarse=d.coarse, labelled=d.labelled)
    return PatientCases(cases, links)


def _mr_spine(d: _Draw) -> PatientCases:
    return PatientCases(draw_mr_spine(d.preset, d.patient, d.exam, d.rng, coarse=d.coarse, labelled=d.labelled))


def _one(draw: Callable[..., Case]) -> Callable[[_Draw], PatientCases]:
    """Cohorts with one MR case a patient."""
    return lambda d: PatientCases((draw(d.preset, d.patient, d.exam, d.rng, coarse=d.coarse, labelled=d.labelled),))


_DRAW: dict[str, Callable[[_Draw], PatientCases]] = {
    "ct-spine": _ct_spine,
    "mr-spine": _mr_spine,
    "mr-pelvis": _one(draw_mr_pelvis),
    "ce-dynamic": _one(draw_ce_dynamic),
    "graded": _one(draw_graded),
    "follow-up": _follow_up,
    "readers": _mr_spine,
}
