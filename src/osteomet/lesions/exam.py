"""Statements about a whole exam from its lesions."""

from __future__ import annotations

from collections.abc import Sequence

from osteomet.core.findings import Abstention, Exam, ExamGrade, MStage
from osteomet.core.lesion import Lesion

MILD_MAXIMUM_LESIONS = 3
MILD_MAXIMUM_ML = 10.0


def grade_exam(lesions: Sequence[Lesion], *, peak_probability: float, abstentions: Sequence[Abstention]) -> Exam:
    """Summarise an exam.

    Parameters
    ----------
    lesions
        Lesions as reported.
    peak_probability
        Highest lesion probability anywhere in bone, 0–1: what is left to say when nothing is reported.
    abstentions
        What could not be said, with reasons; passed on.

    Notes
    -----
    The probability of metastasis is the confidence of the surest lesion, or the peak probability where there is none:
    not calibrated. One reported lesion suggests M1b. The study behind the three grades (Wang D. et al. 2023) gives no
    threshold; ours: none without a lesion, mild up to 3 lesions and 10 ml together, apparent beyond.
    """
    scored = [lesion.confidence for lesion in lesions if lesion.confidence is not None]
    probability = max(scored) if scored else peak_probability
    total_ml = sum(lesion.volume_ml for lesion in lesions)
    if not lesions:
        grade = ExamGrade.NONE
    elif len(lesions) <= MILD_MAXIMUM_LESIONS and total_ml <= MILD_MAXIMUM_ML:
        grade = ExamGrade.MILD
    else:
        grade = ExamGrade.APPARENT
    stage = MStage.M1B if lesions else MStage.M0
    return Exam(round(float(probability), 4), stage, grade, tuple(abstentions))


def ungraded_exam(abstentions: Sequence[Abstention]) -> Exam:
    """Exam about which nothing can be said, because it shows no bone."""
    return Exam(None, None, None, tuple(abstentions))
