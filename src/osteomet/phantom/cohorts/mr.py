"""MR cohorts: spine in stacks, pelvis, dynamic series of one vertebra, graded exams."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from osteomet.core.vocabulary import STRUCTURES, Group, LesionType, SequenceRole
from osteomet.core.volume import LabelMap
from osteomet.phantom.body import Body, draw_metastases, sample_body
from osteomet.phantom.cohorts.case import Case, Exam, Image, label_maps
from osteomet.phantom.cohorts.ct import true_lesions
from osteomet.phantom.cohorts.fields import Box, pelvic_box, spine_boxes
from osteomet.phantom.cohorts.own_bones import PELVIS, SPINE, TRUNK, ids_of, share_of, shown
from osteomet.phantom.cohorts.patients import SEXES, Patient
from osteomet.phantom.cohorts.presets import EXTERNAL, METASTASIS, PRIMARY, Preset
from osteomet.phantom.cohorts.resizing import ROUGH, scaled_to
from osteomet.phantom.lesions.deposits import Deposit
from osteomet.phantom.mr.acquisition import MrImages, acquire
from osteomet.phantom.mr.geometry import Stack, acquisition_grid
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.saturation import sample_band
from osteomet.phantom.mr.scanner import MrScanner, sample_mr_scanner
from osteomet.phantom.mr.scene import Marrow, compose, in_slices, sample_marrow
from osteomet.phantom.mr.sequences import Sequence, b_name, phase_name
from osteomet.phantom.mr.tissues import Tissue
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones
from osteomet.phantom.skeleton.parts import structure_table

MR_LABELS = {"metastasis": 1}
DYNAMIC_LABELS = {"metastasis": 1, "primary_tumour": 2}

_N = TypeVar("_N", int, float)
Limits = tuple[float, float]

_SPINE, _PELVIS, _TRUNK = ids_of(SPINE), ids_of(PELVIS | {Group.FEMUR}), ids_of(TRUNK)

_KIM_VOLUMES_ML = {(0.1, 0.5): 0.205, (0.5, 1.0): 0.387, (1.0, 2.0): 0.271, (2.0, 8.0): 0.136}
_KIM_EXTERNAL_VOLUMES_ML = {(0.1, 0.5): 0.137, (0.5, 1.0): 0.200, (1.0, 2.0): 0.194, (2.0, 10.0): 0.469}
_LIU_VOLUMES_ML = {(0.36, 1.0): 0.45, (1.0, 3.0): 0.35, (3.0, 12.0): 0.2}
_LIU_COUNTS = {(1, 1): 30, (2, 3): 36, (4, 5): 24, (6, 14): 44}
_LIU_EXTERNAL_COUNTS = {(1, 1): 5, (2, 3): 6, (4, 5): 8, (6, 9): 12}
_MOST_METASTASES = 60
_N_PLACES = 6
_BAND_ODDS = 0.7
"""How often a sagittal exam of the spine has a saturation band in front of the column."""


@dataclass(frozen=True, slots=True, eq=False)
class MrSession:
    """A patient on a scanner: what all stacks of one exam share."""

    patient: Patient
    exam: Exam
    body: Body
    marrow: Marrow
    scanner: MrScanner
    protocols: tuple[Sequence, ...]
    tumour: Tissue = Tissue.METASTASIS


def draw_mr_spine(
    plan: Preset,
    patient: Patient,
    exam: Exam,
    rng: np.random.Generator,
    *,
    coarse: float = 1.0,
    labelled: LabelledBones | None = None,
) -> tuple[Case, ...]:
    """Draw the stacks of a whole-spine exam, from the top down; a lesion keeps its number through all of them.

    The number of metastases is log-normal with the mean and standard deviation of kim2024, at least one.
    """
    is_external = exam.split == EXTERNAL
    mean, spread = (8.75, 5.5) if is_external else (12.5, 20.7)
    n = int(np.clip(round(_log_normal(rng, mean, spread)), 1, _MOST_METASTASES))
    body = _body(patient, rng, labelled)
    volumes = _KIM_EXTERNAL_VOLUMES_ML if is_external else _KIM_VOLUMES_ML
    body = _planted(body, rng, shown(body, _SPINE), share_of(body, _SPINE, n), volumes)
    session = _session(plan, patient, exam, body, rng)
    has_band = bool(rng.random() < _BAND_ODDS)
    n_stacks = int(rng.integers(2, 4))
    boxes = spine_boxes(body, n_stacks, half_width_mm=float(rng.uniform(28, 40)))
    return tuple(
        _imaged(
            _banded(session, box, rng) if has_band else session, _planned(plan, box, rng, coarse), rng,
            name=f"{exam.name}_stack{n}", stack_name=str(n),
        )
        for n, box in enumerate(boxes, start=1)
    )  # fmt: skip


def draw_mr_pelvis(
    plan: Preset,
    patient: Patient,
    exam: Exam,
    rng: np.random.Generator,
    *,
    coarse: float = 1.0,
    labelled: LabelledBones | None = None,
) -> Case:
    """Draw one pelvic exam: 1, 2–3, 4–5 or more metastases with the odds of liu2021, or none.

    The bones are the eight structures of that study.
    """
    n = 0
    if patient.diagnosis == METASTASIS:
        low, high = _draw_limits(rng, _LIU_EXTERNAL_COUNTS if exam.split == EXTERNAL else _LIU_COUNTS)
        n = int(rng.integers(low, high + 1))
    body = _body(patient, rng, labelled)
    body = _planted(body, rng, shown(body, _PELVIS), share_of(body, _PELVIS, n), _LIU_VOLUMES_ML)
    session = _session(plan, patient, exam, body, rng)
    return _imaged(session, _planned(plan, pelvic_box(body), rng, coarse), rng, name=exam.name, structures=True)


def draw_ce_dynamic(
    plan: Preset,
    patient: Patient,
    exam: Exam,
    rng: np.random.Generator,
    *,
    coarse: float = 1.0,
    labelled: LabelledBones | None = None,
) -> Case:
    """Draw a dynamic series of one vertebra: a metastasis, or a larger primary tumour that breaks out of it."""
    is_primary = patient.diagnosis == PRIMARY
    body = _body(patient, rng, labelled)
    volumes = {(6.0, 25.0): 1.0} if is_primary else {(1.5, 8.0): 1.0}
    body = _planted(body, rng, shown(body, _TRUNK), 1, volumes)
    lesion = body.deposits[-1]
    lytic = replace(
        lesion, types=(LesionType.LYTIC,) * len(lesion.types), treated=False, breach=is_primary or lesion.breach
    )
    body = replace(body, deposits=(*body.deposits[:-1], lytic))
    session = _session(plan, patient, exam, body, rng, Tissue.PRIMARY_TUMOUR if is_primary else Tissue.METASTASIS)
    centre = _vertebra_centre(body, lesion.owner) + [0.0, 15.0, 0.0]
    half = np.array([110.0, 85.0, 30.0])
    return _imaged(session, _planned(plan, np.array([centre - half, centre + half]), rng, coarse), rng, name=exam.name)


def draw_graded(
    plan: Preset,
    patient: Patient,
    exam: Exam,
    rng: np.random.Generator,
    *,
    coarse: float = 1.0,
    labelled: LabelledBones | None = None,
) -> Case:
    """Draw a lumbar or thoracic exam: no lesion, one or two small ones, or several of which some are large."""
    middle = str(rng.choice(["L3", "L2", "T9", "T6"]))
    body = _body(patient, rng, labelled)
    centre = _vertebra_centre(body, min(shown(body, _TRUNK), key=lambda id_: abs(id_ - STRUCTURES[middle].id)))
    near = [STRUCTURES[v.name].id for v in body.column.vertebrae if abs(float(v.centre_mm[2] - centre[2])) < 95]
    near = shown(body, near)
    n, volumes = {
        "none": (0, {(0.1, 0.2): 1.0}),
        "mild": (int(rng.integers(1, 3)), {(0.25, 1.2): 1.0}),
        "apparent": (int(rng.integers(3, 10)), {(1.0, 2.5): 0.5, (2.5, 12.0): 0.5}),
    }[patient.grade]
    body = _planted(body, rng, near, n, volumes)
    session = _session(plan, patient, exam, body, rng)
    box = np.array([centre - [35, 75, 125], centre + [35, 95, 125]])
    if rng.random() < _BAND_ODDS:
        session = _banded(session, box, rng)
    return _imaged(session, _planned(plan, box, rng, coarse), rng, name=exam.name)


def _body(patient: Patient, rng: np.random.Generator, labelled: LabelledBones | None) -> Body:
    """Body without metastases of the sex and age of a patient, around labelled bones where there are any."""
    return sample_body(rng, n_metastases=0, sex=SEXES[patient.sex], age_years=patient.age_years, labelled=labelled)


def _session(
    plan: Preset,
    patient: Patient,
    exam: Exam,
    body: Body,
    rng: np.random.Generator,
    tumour: Tissue = Tissue.METASTASIS,
) -> MrSession:
    """Put a patient on a scanner, whose protocols hold for all stacks."""
    field_t = exam.field_strength_t
    assert field_t is not None
    protocols = []
    for role in plan.roles_at(exam.centre):
        if role is SequenceRole.ADC:
            continue
        protocol = preset(role, field_t, rng)
        if role is SequenceRole.DWI:
            protocol = replace(protocol, b_s_per_mm2=(0.0, 1000.0 if "GE" in exam.scanner else 800.0))
        protocols.append(protocol)
    scanner = sample_mr_scanner(rng, field_t)
    return MrSession(patient, exam, body, sample_marrow(rng, patient.age_years), scanner, tuple(protocols), tumour)


def _banded(session: MrSession, box: Box, rng: np.random.Generator) -> MrSession:
    """Saturate what lies in front of the column within the box of a stack."""
    band = sample_band(rng, session.body.column, float(box[0, 2]), float(box[1, 2]))
    return replace(session, scanner=replace(session.scanner, band=band))


def _planned(plan: Preset, box: Box, rng: np.random.Generator, coarse: float) -> Stack:
    """Plan the slices of one stack."""
    assert plan.plan is not None
    slices = plan.plan
    slice_mm = float(rng.choice(slices.slice_mm)) * coarse
    gap_mm = slice_mm * float(rng.uniform(*slices.gap_share))
    stack = acquisition_grid(
        box, slices.orientation, slice_mm, gap_mm, float(rng.uniform(*slices.in_plane_mm)) * coarse, rng
    )
    return stack if coarse == 1.0 else replace(stack, n_layers=1)


def _imaged(
    session: MrSession,
    stack: Stack,
    rng: np.random.Generator,
    *,
    name: str,
    stack_name: str = "",
    structures: bool = False,
) -> Case:
    """Image one stack with every protocol; the first is where the truth lies, others are displaced by motion.

    With ``structures`` hip bones and femora are labelled by `structure_table`.
    """
    scene = compose(session.body, stack.fine, session.marrow, tumour=session.tumour)
    images: list[Image] = []
    moved = []
    for number, protocol in enumerate(session.protocols):
        scanner = session.scanner if number else replace(session.scanner, shift_mm=0.0)
        acquired = acquire(scene.composition, protocol, scanner, rng, stack)
        images += _named(acquired, protocol, stack)
        moved.append(float(np.linalg.norm(acquired.displacement_mm)))
    fine = scene.truth
    if structures:
        fine = replace(fine, bones=structure_table()[fine.bones, fine.parts])
    truth = in_slices(fine, stack)
    is_dynamic = session.protocols[0].role is SequenceRole.DYNAMIC
    code = DYNAMIC_LABELS["primary_tumour" if session.tumour is Tissue.PRIMARY_TUMOUR else "metastasis"]
    semantic = LabelMap(
        ((truth.lesions > 0) * code).astype(np.uint8), stack.grid, DYNAMIC_LABELS if is_dynamic else MR_LABELS
    )
    found = [replace(lesion, type=LesionType.MARROW) for lesion in true_lesions(session.body, truth)]
    return Case(
        name=name,
        patient=session.patient,
        exam=session.exam,
        images=tuple(images),
        found=tuple(found),
        semantic=semantic,
        notes={"stack": stack_name, "displacement_mm": " ".join(f"{m:.2f}" for m in moved)},
        **label_maps(truth, images[0].volume),
    )


def _named(acquired: MrImages, protocol: Sequence, stack: Stack) -> list[Image]:
    """Images of one acquisition that a cohort keeps; an unweighted diffusion image is for the DICOM study alone."""

    def image(name: str, role: SequenceRole, channel: str, **facts: float) -> Image:
        return Image(channel, role, acquired.images[name], protocol, stack.slice_mm, **facts)

    if protocol.role is SequenceRole.DYNAMIC:
        names = [phase_name(n) for n in range(1, len(protocol.times_s) + 1)]
        start = protocol.times_s[0]
        return [
            image(name, protocol.role, name, time_s=time - start)
            for name, time in zip(names, protocol.times_s, strict=True)
        ]
    if protocol.role is SequenceRole.DWI:
        low, high = protocol.b_s_per_mm2
        return [
            image(protocol.role.value, protocol.role, "DWI", b_s_per_mm2=high),
            image(SequenceRole.ADC.value, SequenceRole.ADC, "ADC"),
            image(b_name(low), protocol.role, "", b_s_per_mm2=low),
        ]
    return [image(protocol.role.value, protocol.role, protocol.role.value)]


def _planted(
    body: Body, rng: np.random.Generator, bones: Collection[int], n: int, volumes_ml: Mapping[Limits, float]
) -> Body:
    """Add metastases in some bones, of volumes drawn from bins.

    One that its bone cannot hold is drawn again elsewhere; where no place of `_N_PLACES` holds it, the first keeps its
    size.
    """
    found = []
    for deposit in draw_metastases(rng, body, n=n, bones=bones):
        low, high = _draw_limits(rng, volumes_ml)
        wanted_ml = float(np.exp(rng.uniform(np.log(low), np.log(high))))
        found.append(_sized(body, rng, deposit, bones, wanted_ml))
    return replace(body, deposits=(*body.deposits, *found))


def _sized(body: Body, rng: np.random.Generator, first: Deposit, bones: Collection[int], wanted_ml: float) -> Deposit:
    """A metastasis of the volume that is wanted, in the place of the first one if that holds it."""
    deposit = first
    for _ in range(_N_PLACES):
        sized = scaled_to(body, deposit, wanted_ml, precision=ROUGH)
        if sized is not None:
            return sized
        deposit = draw_metastases(rng, body, n=1, bones=bones)[0]
    return first


def _draw_limits(rng: np.random.Generator, odds: Mapping[tuple[_N, _N], float]) -> tuple[_N, _N]:
    """Draw one of several ranges."""
    shares = np.array(list(odds.values()), dtype=np.float64)
    return list(odds)[int(rng.choice(len(shares), p=shares / shares.sum()))]


def _log_normal(rng: np.random.Generator, mean: float, spread: float) -> float:
    """Draw from the log-normal law with this mean and standard deviation."""
    sigma2 = float(np.log1p((spread / mean) ** 2))
    return float(rng.lognormal(np.log(mean) - sigma2 / 2, np.sqrt(sigma2)))


def _vertebra_centre(body: Body, owner: int) -> NDArray[np.float64]:
    """Centre of a vertebral body, of the nearest named one where this patient lacks the level."""
    by_id = {STRUCTURES[v.name].id: v.centre_mm for v in body.column.vertebrae}
    return np.asarray(by_id[min(by_id, key=lambda id_: abs(id_ - owner))])
