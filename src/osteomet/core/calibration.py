"""What turns the scores of a model into probabilities: fitted once, and kept in its package."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class PlattMap:
    """A probability from the log odds of a score: expit(``intercept`` + ``slope`` · log odds).

    ``n`` and ``n_positive`` count what it was fitted on. The slope is positive, so that the order of scores stays.
    """

    intercept: float
    slope: float
    n: int
    n_positive: int


@dataclass(frozen=True, slots=True)
class ModelCalibration:
    """Maps of one model.

    Parameters
    ----------
    lesion
        From the mean probability of the surest tenth of its voxels to the chance that a call is a metastasis.
    exam
        From all calls together to the chance that the exam shows a metastasis (`lesions.exam`).
    apparent
        Among exams with a metastasis, from the burden called to the chance that the grade is apparent.
    fitted_on
        Exams that the maps were fitted on, for people.
    """

    lesion: PlattMap
    exam: PlattMap
    apparent: PlattMap
    fitted_on: str
