"""What a cohort is made of: patients, their studies, and images on one grid with the truth about them."""

from __future__ import annotations

import datetime
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypedDict

import numpy as np

from osteomet.core.vocabulary import STRUCTURES, LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Volume
from osteomet.phantom.cohorts.patients import Patient
from osteomet.phantom.lesions.mimic_names import MIMICS
from osteomet.phantom.mr.sequences import Sequence
from osteomet.phantom.scene import Truth
from osteomet.phantom.truth import LesionTruth

BONE_LABELS: Mapping[str, int] = {s.name: s.id for s in STRUCTURES.values()}
MIMIC_LABELS: Mapping[str, int] = {name: n for n, name in enumerate(MIMICS, start=1)}
CT_LABELS: Mapping[str, int] = {"lytic": 1, "sclerotic": 2}


@dataclass(frozen=True, slots=True, eq=False)
class Image:
    """One image of a case.

    ``channel`` is its name among the channels of the data set, empty for one that only the DICOM study has. The rest
    is None for CT and where it has no meaning; ``time_s`` counts from the first image of a dynamic series.
    """

    channel: str
    role: SequenceRole
    volume: Volume
    sequence: Sequence | None = None
    slice_mm: float | None = None
    b_s_per_mm2: float | None = None
    time_s: float | None = None


@dataclass(frozen=True, slots=True)
class Exam:
    """When, where and on what a patient was scanned; ``name`` is shared by the stacks of one exam.

    ``field_strength_t`` is None for CT.
    """

    name: str
    date: datetime.date
    centre: str
    scanner: str
    split: str
    field_strength_t: float | None = None


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """Images on one grid with their truth.

    ``semantic`` names voxels by kind of lesion, ``lesions`` names each instance ``lesion_N``, ``found`` describes each.
    Lesions outside of the field of view are not part of the case. ``notes`` are further columns of its row in the
    table of cases.
    """

    name: str
    patient: Patient
    exam: Exam
    images: tuple[Image, ...]
    semantic: LabelMap
    lesions: LabelMap
    bones: LabelMap
    mimics: LabelMap
    found: tuple[LesionTruth, ...]
    notes: Mapping[str, str] = field(default_factory=dict)

    @property
    def volume(self) -> Volume:
        """The first image."""
        return self.images[0].volume

    @property
    def types(self) -> dict[int, LesionType]:
        """Type of each lesion by instance number."""
        return {lesion.number: lesion.type for lesion in self.found}

    @property
    def sites(self) -> dict[int, str]:
        """Bone of each lesion by instance number."""
        return {lesion.number: lesion.site for lesion in self.found}


class TruthMaps(TypedDict):
    """The label maps of a `Case` that need no choice of what to learn."""

    lesions: LabelMap
    bones: LabelMap
    mimics: LabelMap


def label_maps(truth: Truth, volume: Volume) -> TruthMaps:
    """Name what the truth arrays hold: label maps of a `Case` by field."""
    present = [int(n) for n in np.unique(truth.lesions) if n]
    return {
        "lesions": LabelMap(truth.lesions, volume.grid, {f"lesion_{n}": n for n in present}),
        "bones": LabelMap(truth.bones, volume.grid, BONE_LABELS),
        "mimics": LabelMap(truth.mimics, volume.grid, MIMIC_LABELS),
    }
