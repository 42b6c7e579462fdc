"""One metastasis, described so that a reader can find and measure it again."""

from __future__ import annotations

import math
from dataclasses import dataclass

from osteomet.core.classification import Classification
from osteomet.core.errors import InputError
from osteomet.core.mr_grade import MrGrade
from osteomet.core.vocabulary import STRUCTURES, SUBSITES, LesionType, SequenceRole

PointMm = tuple[float, float, float]
"""A point in LPS millimetres."""


@dataclass(frozen=True, slots=True)
class Lesion:
    """A lesion in world coordinates.

    Parameters
    ----------
    id
        Value of its voxels in ``lesions.nii.gz``, at least 1.
    type
        Lytic, sclerotic, mixed (CT) or marrow-replacing (MR).
    site
        Name of the bone that holds most of it, from the vocabulary.
    subsite
        Part of a vertebra, or None for other bones and where it is not known.
    centroid_xyz_mm
        Centre of mass, LPS mm.
    long_axis_mm, short_axis_mm
        Longest diameter in an axial plane and the longest one perpendicular to it in the same plane, as RECIST 1.1
        measures (https://doi.org/10.1016/j.ejca.2008.10.026).
    long_axis_ends_xyz_mm
        Both ends of the long axis, LPS mm.
    volume_ml
        Number of voxels times voxel volume, ml.
    mean_intensity
        Mean image value inside, in the unit of the image (HU on CT).
    confidence
        Probability between 0 and 1 that it is a metastasis, None where nothing scored it.
    tracking_uid
        DICOM UID that follows this lesion through time points.
    sequences
        Roles of the MR sequences that were used and show its place; none on CT.
    mr_grade
        Indeterminate, probable or definite, with the evidence; None where it was not graded, as on CT.
    classifications
        Which class packages say it is, such as metastasis or primary tumour, one for each package.

    Raises
    ------
    InputError
        If a size is not positive, the short axis exceeds the long one, a number is not finite, the confidence lies
        outside 0–1, or a name is not in the vocabulary.
    """

    id: int
    type: LesionType
    site: str
    subsite: str | None
    centroid_xyz_mm: PointMm
    long_axis_mm: float
    short_axis_mm: float
    long_axis_ends_xyz_mm: tuple[PointMm, PointMm]
    volume_ml: float
    mean_intensity: float
    confidence: float | None
    tracking_uid: str
    sequences: tuple[SequenceRole, ...] = ()
    mr_grade: MrGrade | None = None
    classifications: tuple[Classification, ...] = ()

    def __post_init__(self) -> None:
        if self.id < 1:
            raise InputError("a lesion id starts at 1", got=str(self.id))
        if self.site not in STRUCTURES:
            raise InputError("the site of a lesion is not in the vocabulary", got=repr(self.site))
        if self.subsite is not None and self.subsite not in SUBSITES:
            raise InputError("the sub-site of a lesion is not in the vocabulary", got=repr(self.subsite))
        if not (self.volume_ml > 0 and self.long_axis_mm >= self.short_axis_mm > 0):
            raise InputError(
                "a lesion has positive sizes and a long axis that is not the shorter one",
                got=f"volume {self.volume_ml} ml, axes {self.long_axis_mm} × {self.short_axis_mm} mm",
            )
        if self.confidence is not None and not 0 <= self.confidence <= 1:
            raise InputError("confidence is a probability between 0 and 1, or None", got=str(self.confidence))
        places = (self.centroid_xyz_mm, *self.long_axis_ends_xyz_mm)
        numbers = (self.mean_intensity, self.volume_ml, self.long_axis_mm, *(v for place in places for v in place))
        if not all(math.isfinite(v) for v in numbers):
            raise InputError("a lesion lies at a finite place and has a finite size and intensity", got=str(self))
