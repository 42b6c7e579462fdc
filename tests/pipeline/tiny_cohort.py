"""Patients whose one CT is a block of noise, for tests of how a cohort is written and not of what is drawn."""

import numpy as np

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.phantom.cohorts.case import Case, Image, label_maps
from osteomet.phantom.cohorts.draw import PatientCases, draw_identity
from osteomet.phantom.scene import Truth
from osteomet.phantom.skeleton.labelled_anatomy import LabelledBones
from osteomet.phantom.truth import LesionTruth


def draw_tiny(
    cohort: str,
    *,
    seed: int,
    number: int,
    coarse: float = 1.0,  # noqa: ARG001
    labelled: LabelledBones | None = None,  # noqa: ARG001
) -> PatientCases:
    """Stand in for `osteomet.phantom.cohorts.draw.draw_patient`."""
    patient, exam = draw_identity(cohort, seed=seed, number=number)
    grid = Grid.from_spacing((20, 18, 12), (1.5, 1.25, 2.0), origin_mm=(-12.5, 20.0, 40.25))
    bones, cube = (np.zeros(grid.shape, dtype=np.uint8) for _ in range(2))
    bones[4:16, 4:14, 2:10] = STRUCTURES["L3"].id
    cube[8:12, 8:11, 5:7] = 1
    values = np.random.default_rng([seed, number]).integers(-1000, 1000, grid.shape).astype(np.int16)
    volume = Volume(values, grid, Modality.CT, Unit.HU)
    case = Case(
        name=exam.name,
        patient=patient,
        exam=exam,
        images=(Image("CT", SequenceRole.CT, volume),),
        semantic=LabelMap(cube, grid, {"lytic": 1}),
        found=(LesionTruth(1, LesionType.LYTIC, False, "L3", None, 0.09, None),),
        **label_maps(Truth(bones, 0 * bones, cube, cube, 0 * cube), volume),
    )
    return PatientCases((case,))
