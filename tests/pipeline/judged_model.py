"""Cases and analyses drawn by hand, small enough to judge in the head."""

import datetime
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tests.io.test_model_package import DESCRIPTION, WEIGHTS

from osteomet.core.findings import Exam, ExamGrade, Findings, MStage, Provenance, StudyFacts
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import STRUCTURES, LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.model_package import ModelPackage, read_package, write_package
from osteomet.phantom.cohorts.case import BONE_LABELS, CT_LABELS, MIMIC_LABELS, Case, Image
from osteomet.phantom.cohorts.case import Exam as ExamFacts
from osteomet.phantom.cohorts.patients import Patient
from osteomet.phantom.truth import LesionTruth
from osteomet.pipeline.analyze import Analysis

GRID = Grid.from_spacing((24, 24, 24), (2.5, 2.5, 2.5), origin_mm=(-30.0, -30.0, 100.0))
"""64 voxels are 1 ml."""
Place = tuple[int, int, int, int, int, int]
"""First index and number of voxels along each axis."""


@dataclass(frozen=True)
class Drawn:
    """One lesion, true or called."""

    place: Place
    type: LesionType
    confidence: float = 0.0


@dataclass(frozen=True)
class Script:
    """A case and what the model says about it; ``level`` is the name that the model gives L3, empty without one."""

    true: tuple[Drawn, ...]
    called: tuple[Drawn, ...]
    exam: Exam
    level: str = ""


LEFT, RIGHT, FAR = (2, 2, 2, 4, 4, 4), (12, 2, 2, 4, 4, 4), (12, 12, 12, 4, 4, 4)
SCRIPTS = (
    Script(
        (Drawn(LEFT, LesionType.LYTIC), Drawn(RIGHT, LesionType.SCLEROTIC)),
        (Drawn(LEFT, LesionType.LYTIC, 0.9), Drawn(FAR, LesionType.SCLEROTIC, 0.6)),
        Exam(0.9, MStage.M1B, ExamGrade.MILD),
        level="L3",
    ),
    Script((), (), Exam(0.1, MStage.M0, ExamGrade.NONE)),
    Script(
        (Drawn(LEFT, LesionType.MIXED),),
        (Drawn((2, 2, 2, 4, 4, 2), LesionType.MIXED, 0.8),),
        Exam(0.8, MStage.M1B, ExamGrade.APPARENT),
        level="L2",
    ),
    Script((), (Drawn(FAR, LesionType.SCLEROTIC, 0.3),), Exam(0.3, None, None)),
)
"""Two of three lesions found, two false calls in four scans."""


def block(place: Place) -> tuple[slice, slice, slice]:
    i, j, k, a, b, c = place
    return slice(i, i + a), slice(j, j + b), slice(k, k + c)


def lesion_map(drawn: Sequence[Drawn]) -> LabelMap:
    array = np.zeros(GRID.shape, np.uint16)
    for number, one in enumerate(drawn, start=1):
        array[block(one.place)] = number
    return LabelMap(array, GRID, {f"lesion_{n}": n for n in range(1, len(drawn) + 1)})


def vertebra(name: str) -> LabelMap:
    """8 ml of one vertebra, or none."""
    array: NDArray[np.uint8] = np.zeros(GRID.shape, np.uint8)
    if name:
        array[16:24, 0:8, 16:24] = STRUCTURES[name].id
    return LabelMap(array, GRID, dict(BONE_LABELS))


def drawn_case(number: int) -> Case:
    """Case of a script."""
    script = SCRIPTS[number]
    found = tuple(LesionTruth(n, x.type, False, "L3", "body", 1.0, None) for n, x in enumerate(script.true, start=1))
    empty = np.zeros(GRID.shape, np.uint8)
    volume = Volume(np.zeros(GRID.shape, np.int16), GRID, Modality.CT, Unit.HU)
    return Case(
        name=f"case_{number:04d}",
        patient=Patient(f"patient_{number:04d}", "F", 60, "metastasis"),
        exam=ExamFacts(f"case_{number:04d}", datetime.date(2021, 1, 4), "phantom", "CT", "train"),
        images=(Image("CT", SequenceRole.CT, volume),),
        semantic=LabelMap(empty, GRID, CT_LABELS),
        lesions=lesion_map(script.true),
        bones=vertebra("L3" if script.level else ""),
        mimics=LabelMap(empty, GRID, MIMIC_LABELS),
        found=found,
    )


def analysis_of(script: Script, volume: Volume) -> Analysis:
    """What the model of a script says."""
    lesions = []
    for n, x in enumerate(script.called, start=1):
        centre = volume.grid.to_xyz_mm(np.array(x.place[:3]) + (np.array(x.place[3:]) - 1) / 2)
        place = (float(centre[0]), float(centre[1]), float(centre[2]))
        n_voxels = int(np.prod(x.place[3:]))
        lesions.append(
            Lesion(n, x.type, "L3", None, place, 10.0, 10.0, (place, place), n_voxels / 64, 0.0, x.confidence, "2.25.1")
        )
    findings = Findings(
        study=StudyFacts(None, None, ()),
        exam=script.exam,
        levels=(),
        lesions=tuple(lesions),
        provenance=Provenance("osteomet", "0", "toy", "0" * 64, "none", {}, (), "2026-01-01T00:00:00Z"),
    )
    return Analysis(findings, volume, vertebra(script.level), lesion_map(script.called), ())


def toy_package(folder: Path) -> ModelPackage:
    """A package that is never run."""
    card = (
        "# Model card: toy\n\n## What it does\n\nNothing.\n\n## Limitations\n\nMany. Confidence is not calibrated. \n"
    )
    write_package(DESCRIPTION, WEIGHTS, card=card, folder=folder)
    return read_package(folder)
