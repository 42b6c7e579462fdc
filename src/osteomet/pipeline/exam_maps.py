"""Maps of exams from their files."""

from __future__ import annotations

from collections.abc import Sequence

from osteomet.core.errors import OsteometError
from osteomet.core.exam_map import MapStep
from osteomet.core.volume import Modality
from osteomet.image.exam_map import ExamMap, make_exam_map
from osteomet.io.bone_maps import read_bones
from osteomet.io.exam_cases import ExamCase
from osteomet.io.formats import read_volume


def map_of_exam(case: ExamCase, steps: Sequence[MapStep]) -> ExamMap:
    """Read an exam and make its map; errors name the case and are otherwise those of `make_exam_map`."""
    try:
        volumes = [read_volume(path, modality=Modality.MR) for path in case.images]
        return make_exam_map(volumes, read_bones(case.bones), steps)
    except OsteometError as error:
        what = f"case “{case.name}”: {error.what}"
        raise type(error)(what, expected=error.expected, got=error.got, remedy=error.remedy) from error
