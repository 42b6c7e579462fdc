"""CT cohorts: single scans, and pairs of scans of one patient."""

from __future__ import annotations

import datetime
from dataclasses import dataclass, replace

import numpy as np

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import LabelMap
from osteomet.phantom.body import Body, draw_metastases, sample_body
from osteomet.phantom.cohorts.case import CT_LABELS, Case, Exam, Image, label_maps
from osteomet.phantom.cohorts.fields import AROUND_MM, labelled_box
from osteomet.phantom.cohorts.follow_up import Change, FollowUp, Link, draw_changes
from osteomet.phantom.cohorts.own_bones import PELVIS, SPINE, ids_of, share_of, shown
from osteomet.phantom.cohorts.patients import SEXES, Patient
from osteomet.phantom.ct.rendering import CtPhantom, render_ct
from osteomet.phantom.ct.scanner import CtScanner, sample_scanner
from osteomet.phantom.geometry.pose import random_pose
from osteomet.phantom.scene import Truth
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones
from osteomet.phantom.truth import LesionTruth, measure_truth

_N_METASTASES_ODDS = {0: 0.25, 1: 0.2, 2: 0.15, 3: 0.12, 4: 0.1, 6: 0.1, 10: 0.08}
_WHOLE_SPINE = 0.15
_CHANGE_ODDS = {
    Change.STABLE: 0.2,
    Change.GROWTH: 0.2,
    Change.SHRINKAGE: 0.15,
    Change.FLARE: 0.12,
    Change.NEW: 0.12,
    Change.RESOLVED: 0.09,
    Change.SPLIT: 0.06,
    Change.MERGED: 0.06,
}
_WIDTH_MM, _DEPTH_MM = 330.0, 250.0
_OWN = ids_of(SPINE | PELVIS)
PRIOR, CURRENT = "t0", "t1"


@dataclass(frozen=True, slots=True)
class LinkedLesions:
    """What became of the lesions of a patient between two cases."""

    patient: str
    prior_case: str
    current_case: str
    links: tuple[Link, ...]


def draw_ct_spine(
    patient: Patient,
    exam: Exam,
    rng: np.random.Generator,
    *,
    coarse: float = 1.0,
    labelled: LabelledBones | None = None,
) -> Case:
    """Draw one CT: 0 to 10 metastases, 1.0–1.5 mm in plane, slices of 1–3 mm.

    The field of view runs from the upper or middle chest to the hips, in about one case of seven from the top of the
    column; about ``labelled`` bones, where there are any, and in these the metastases lie. ``coarse`` multiplies the
    voxel edges.
    """
    n_metastases = int(rng.choice(list(_N_METASTASES_ODDS), p=list(_N_METASTASES_ODDS.values())))
    asked = 0 if labelled is not None else n_metastases
    body = sample_body(rng, n_metastases=asked, sex=SEXES[patient.sex], age_years=patient.age_years, labelled=labelled)
    if labelled is not None:
        n = share_of(body, _OWN, n_metastases)
        body = replace(body, deposits=(*body.deposits, *draw_metastases(rng, body, n=n, bones=shown(body, _OWN))))
    grid = _field_of_view(body, rng, whole_odds=_WHOLE_SPINE, coarse=coarse)
    phantom = render_ct(body, grid, _scanner(grid, rng), rng)
    return ct_case(exam.name, patient, exam, body, phantom)


def draw_follow_up(
    patient: Patient,
    exam: Exam,
    rng: np.random.Generator,
    *,
    coarse: float = 1.0,
    labelled: LabelledBones | None = None,
) -> tuple[tuple[Case, Case], LinkedLesions]:
    """Draw a pair of CTs, two to six months apart, by different protocols, the patient lying differently."""
    n = int(rng.integers(3, 8))
    changes = rng.choice(np.array(list(_CHANGE_ODDS), dtype=object), n, p=list(_CHANGE_ODDS.values()))
    body = sample_body(rng, n_metastases=0, sex=SEXES[patient.sex], age_years=patient.age_years, labelled=labelled)
    if labelled is not None:
        changes = changes[: share_of(body, _OWN, n)]
    pair = draw_changes(rng, body, list(changes), bones=None if labelled is None else shown(body, _OWN))
    later = replace(
        exam, name=f"{exam.name}_{CURRENT}", date=exam.date + datetime.timedelta(int(rng.integers(60, 190)))
    )
    prior = _scan(patient, replace(exam, name=f"{exam.name}_{PRIOR}"), pair.prior, rng, coarse)
    current = _scan(patient, later, pair.current, rng, coarse)
    return (prior, current), _linked(patient, prior, current, pair)


def ct_case(name: str, patient: Patient, exam: Exam, body: Body, phantom: CtPhantom) -> Case:
    """Name what a rendered phantom holds."""
    truth = phantom.truth
    semantic = LabelMap(truth.lesion_kinds, phantom.volume.grid, CT_LABELS)
    return Case(
        name=name,
        patient=patient,
        exam=exam,
        images=(Image("CT", SequenceRole.CT, phantom.volume),),
        found=true_lesions(body, truth),
        **label_maps(truth, phantom.volume),
        semantic=semantic,
    )


def true_lesions(body: Body, truth: Truth) -> tuple[LesionTruth, ...]:
    """Describe every metastasis that a grid shows."""
    return tuple(measure_truth(body, int(n)) for n in np.unique(truth.lesions) if n)


def _field_of_view(body: Body, rng: np.random.Generator, *, whole_odds: float, coarse: float) -> Grid:
    """Axial grid from the chest, or from the top of the column, to the hips; or about labelled bones."""
    vertebrae = body.column.vertebrae
    plane, step = float(rng.uniform(1.0, 1.5)) * coarse, float(rng.choice([1.0, 1.5, 2.0, 3.0])) * coarse
    low = float(rng.uniform(-90, -50))
    high = float(vertebrae[int(rng.integers(8, 16))].centre_mm[2])
    if rng.random() < whole_odds:
        high, step = body.top_mm + 20.0, max(step, 2.0)
    front = float(np.mean([v.centre_mm[1] for v in vertebrae[:8]])) - _WIDTH_MM / 2
    ends = labelled_box(body)
    if ends is not None:
        low, high = float(ends[0, 2]) - AROUND_MM, float(ends[1, 2]) + AROUND_MM
        front = max(front, float(ends[1, 1]) + 3 * AROUND_MM - _DEPTH_MM)
    shape = (round(_WIDTH_MM / plane), round(_DEPTH_MM / plane), max(round((high - low) / step), 1))
    return Grid.from_spacing(shape, (plane, plane, step), origin_mm=(-_WIDTH_MM / 2, front, low))


def _scanner(grid: Grid, rng: np.random.Generator) -> CtScanner:
    """Draw a protocol whose slices are as thick as they lie apart, or a little more."""
    return replace(sample_scanner(rng), slice_thickness_mm=grid.spacing_mm[2] * float(rng.uniform(1.0, 1.25)))


def _scan(patient: Patient, exam: Exam, body: Body, rng: np.random.Generator, coarse: float) -> Case:
    """One time point: another protocol, the patient turned and shifted on the table."""
    grid = _field_of_view(body, rng, whole_odds=0.0, coarse=coarse)
    pose = random_pose(
        rng, turn_degree=2.5, shift_mm=(8.0, 5.0, 12.0), about_mm=grid.to_xyz_mm(np.array(grid.shape) / 2)
    )
    phantom = render_ct(body, pose.in_body(grid), _scanner(grid, rng), rng)
    seen = replace(phantom, volume=replace(phantom.volume, grid=grid))
    return ct_case(exam.name, patient, exam, body, seen)


def _linked(patient: Patient, prior: Case, current: Case, pair: FollowUp) -> LinkedLesions:
    """Links of the pair."""
    return LinkedLesions(patient.name, prior.name, current.name, pair.links)
