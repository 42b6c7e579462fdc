"""Phantom cases as DICOM studies: one study an exam, one series a sequence, named as scanners name them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np

from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality
from osteomet.io.dicom_instances import DicomStudy, SeriesTitle, new_uid
from osteomet.io.dicom_mr_writer import MrAcquisition, MrRepeat, write_mr_series
from osteomet.io.dicom_writer import write_ct_series
from osteomet.phantom.cohorts.case import Case, Image
from osteomet.phantom.mr.sequences import Method
from osteomet.phantom.mr.signals import LARMOR_MHZ_PER_T

_AGENT = "Gadobutrol"
_ECHO_SPACING_MS = 8.0
_WORDS = {
    Method.FAST_SPIN_ECHO: ("SE",),
    Method.INVERSION_RECOVERY: ("SE", "IR"),
    Method.GRADIENT_ECHO: ("GR",),
    Method.DIXON: ("GR",),
    Method.DIFFUSION: ("SE", "EP"),
}
_VARIANTS = {Method.GRADIENT_ECHO: ("SP",), Method.DIXON: ("SP",), Method.DIFFUSION: ("SK",)}
_SEGMENTED = ("SK",)
_TITLES = {
    SequenceRole.T1: "T1 TSE",
    SequenceRole.T2: "T2 TSE",
    SequenceRole.STIR: "STIR",
    SequenceRole.CE: "T1 FS CE",
    SequenceRole.FO: "T1 Dixon fat",
    SequenceRole.T1_IP: "T1 Dixon in",
    SequenceRole.DWI: "DWI",
    SequenceRole.ADC: "ADC",
    SequenceRole.DYNAMIC: "T1 dynamic",
}
_IMAGE_TYPES = {
    SequenceRole.FO: ("DERIVED", "PRIMARY", "DIXON", "FAT"),
    SequenceRole.T1_IP: ("ORIGINAL", "PRIMARY", "DIXON", "IN_PHASE"),
    SequenceRole.DWI: ("ORIGINAL", "PRIMARY", "DIFFUSION", "TRACEW"),
    SequenceRole.ADC: ("DERIVED", "PRIMARY", "DIFFUSION", "ADC"),
}
_PLANES = ("Sag", "Cor", "Ax")


def write_studies(cases: Sequence[Case], folder: Path, rng: np.random.Generator) -> list[Path]:
    """Write the exams of one patient, each as ``folder / EXAM / NN-TITLE / 0001.dcm`` and so on.

    Cases of one exam (the stacks of a spine) are series of one study in one frame of reference. All UIDs come from
    ``rng``, so that they are the same for the same patient whatever else is written.

    Returns
    -------
    list of Path
        Folders of the studies.
    """
    exams = dict.fromkeys(case.exam.name for case in cases)
    for name in exams:
        stacks = [case for case in cases if case.exam.name == name]
        _write_study(stacks, folder / name, rng)
    return [folder / name for name in exams]


def _write_study(cases: Sequence[Case], folder: Path, rng: np.random.Generator) -> None:
    """Write all series of one exam."""
    first = cases[0]
    patient, exam = first.patient, first.exam
    study = DicomStudy(
        new_uid(rng), new_uid(rng), patient.name, patient.sex, patient.age_years, exam.date, f"phantom {exam.name}"
    )
    number = 0
    for case in cases:
        for images in _series_of(case):
            number += 1
            title = SeriesTitle(number, _description(images[0], case))
            place = folder / f"{number:02d}-{title.description.replace(' ', '-')}"
            if images[0].volume.modality is Modality.CT:
                write_ct_series(images[0].volume, place, rng=rng, study=study, title=title)
                continue
            repeats = [MrRepeat(i.volume, i.b_s_per_mm2, i.time_s) for i in images]
            write_mr_series(repeats, place, _acquisition(images[0], case), rng=rng, study=study, title=title)


def _series_of(case: Case) -> Iterator[list[Image]]:
    """Images that share a series: b-values, ascending, and dynamic phases."""
    for role in dict.fromkeys(image.role for image in case.images):
        images = [image for image in case.images if image.role is role]
        yield sorted(images, key=lambda image: (image.b_s_per_mm2 or 0.0, image.time_s or 0.0))


def _description(image: Image, case: Case) -> str:
    """SeriesDescription: plane, sequence, and which stack."""
    if image.volume.modality is Modality.CT:
        return "CT"
    normal = np.abs(image.volume.grid.direction[:, 2])
    stack = case.notes.get("stack", "")
    return " ".join([_PLANES[int(normal.argmax())], _TITLES[image.role], *([f"stack {stack}"] if stack else [])])


def _acquisition(image: Image, case: Case) -> MrAcquisition:
    """What the headers of a series say."""
    sequence, field_t = image.sequence, case.exam.field_strength_t
    assert sequence is not None
    assert field_t is not None
    is_gradient = sequence.method in (Method.GRADIENT_ECHO, Method.DIXON)
    return MrAcquisition(
        field_strength_t=field_t,
        frequency_mhz=LARMOR_MHZ_PER_T * field_t,
        tr_ms=sequence.tr_ms,
        te_ms=sequence.te_ms,
        ti_ms=sequence.ti_ms or None,
        flip_degree=sequence.flip_degree,
        echo_train=max(1, round(sequence.train_ms / _ECHO_SPACING_MS)),
        scanning_sequence=_WORDS[sequence.method],
        sequence_variant=_VARIANTS.get(sequence.method, _SEGMENTED),
        scan_options=("FS",) if sequence.fat_left < 1 else (),
        image_type=_IMAGE_TYPES.get(image.role, ("ORIGINAL", "PRIMARY", "OTHER")),
        is_3d=is_gradient and sequence.tr_ms < 20,
        slice_mm=image.slice_mm,
        contrast_agent=_AGENT if sequence.times_s else "",
    )
