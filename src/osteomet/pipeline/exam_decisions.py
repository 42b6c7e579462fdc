"""What a grader says of an exam, and where on the map and in the patient that comes from."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.image.exam_map import ExamMap
from osteomet.nn.graders import grade_maps
from osteomet.nn.map_occlusion import occlusion_map


@dataclass(frozen=True, slots=True, eq=False)
class Decision:
    """The grade that a network calls.

    Parameters
    ----------
    probabilities
        Of every grade.
    grade
        Number of the likeliest.
    falls
        How far its probability falls when the surroundings of a place are covered, shape (planes, rows, columns).
    place
        Plane, row and column where it falls furthest.
    xyz_mm
        That place in the patient, LPS.
    level
        Vertebra whose canal lies nearest to it in height.
    """

    probabilities: tuple[float, ...]
    grade: int
    falls: NDArray[np.float32]
    place: tuple[int, int, int]
    xyz_mm: tuple[float, float, float]
    level: str

    @property
    def plane(self) -> int:
        """The plane that holds the place."""
        return self.place[0]


def decide(exam: ExamMap, ensemble: Any, *, window: int, device: str) -> Decision:
    """Grade an exam and find what the grade draws on.

    Parameters
    ----------
    exam
        Map of the exam.
    ensemble
        Gives probabilities of maps; in evaluation mode, on ``device``.
    window
        Side of the square that is covered, pixels.
    """
    found = grade_maps(ensemble, exam.array[None], device=device)[0]
    grade = int(found.argmax())
    falls = decision_falls(exam.array, ensemble, grade, n_planes=exam.grid.shape[0], window=window, device=device)
    plane, row, column = (int(n) for n in np.unravel_index(int(falls.argmax()), falls.shape))
    x, y, z = exam.to_xyz_mm((plane, row, column)).tolist()
    level = exam.canal.nearest_level(np.array([x, y, z]))
    return Decision(tuple(found.tolist()), grade, falls, (plane, row, column), (x, y, z), level)


def decision_falls(
    array: NDArray[np.float32], ensemble: Any, grade: int, *, n_planes: int, window: int, device: str
) -> NDArray[np.float32]:
    """How far the probability of a grade falls when a place of a map is covered (`nn.map_occlusion`)."""

    def score(maps: NDArray[np.float32]) -> NDArray[np.float64]:
        return grade_maps(ensemble, maps, device=device)[:, grade]

    return occlusion_map(score, array, n_planes=n_planes, window=window)
