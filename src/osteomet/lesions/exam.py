"""Statements about a whole exam from its lesions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from osteomet.core.calibration import ModelCalibration, PlattMap
from osteomet.core.findings import Abstention, Exam, ExamGrade, GradeProbabilities, MStage
from osteomet.core.lesion import Lesion
from osteomet.stats.platt import apply_platt, log_odds_of

MILD_MAXIMUM_LESIONS = 3
MILD_MAXIMUM_ML = 10.0
SURE_STAGE = 0.8
"""A calibrated model suggests M0 or M1b only with at least this probability."""
SURE_GRADE = 0.6
"""A calibrated model suggests a grade only with at least this probability."""
_LEAST_BURDEN = 1e-3
_MOST_LOG_ODDS = 20.0


@dataclass(frozen=True, slots=True)
class ExamEvidence:
    """What the calls on an exam amount to, as log odds that `ModelCalibration` maps to probabilities.

    ``any_lesion`` is the chance that one call or more is a metastasis, if calls erred independently. ``burden`` is the
    larger of the expected number and volume of metastases, each in parts of what still counts as mild; its log is 0
    at the limit.
    """

    any_lesion: float
    burden: float


def grade_exam(
    lesions: Sequence[Lesion],
    *,
    peak_probability: float,
    abstentions: Sequence[Abstention],
    calibration: ModelCalibration | None = None,
) -> Exam:
    """Summarise an exam.

    Parameters
    ----------
    lesions
        Lesions as reported; with ``calibration``, their confidences are calibrated already (`calibrate_lesions`).
    peak_probability
        Highest lesion probability anywhere in bone, 0–1: what is left to say when nothing is reported.
    abstentions
        What could not be said, with reasons; passed on.
    calibration
        That of the model, None where it has none.

    Notes
    -----
    With a calibration, `ExamEvidence` is mapped to the probability of metastasis; M1b is suggested from `SURE_STAGE`
    and M0 up to one less it, the grade from `SURE_GRADE`, and otherwise the exam abstains. Without one, the probability
    is the confidence of the surest lesion, or the peak probability where there is none; one reported lesion suggests
    M1b, and the grade follows `grade_of`.
    """
    if calibration is not None:
        return _calibrated(lesions, peak_probability, abstentions, calibration)
    scored = [lesion.confidence for lesion in lesions if lesion.confidence is not None]
    probability = max(scored) if scored else peak_probability
    stage = MStage.M1B if lesions else MStage.M0
    grade = grade_of(len(lesions), sum(lesion.volume_ml for lesion in lesions))
    return Exam(round(float(probability), 4), stage, grade, tuple(abstentions))


def ungraded_exam(abstentions: Sequence[Abstention]) -> Exam:
    """Exam about which nothing can be said, because it shows no bone."""
    return Exam(None, None, None, tuple(abstentions))


def grade_of(n_lesions: int, total_ml: float) -> ExamGrade:
    """Grade of an exam with so many metastases of so much volume together.

    The study behind the three grades (Wang D. et al. 2023) gives no threshold; ours: none without a lesion, mild up to
    3 lesions and 10 ml together, apparent beyond.

    Examples
    --------
    >>> grade_of(3, 10.0).value, grade_of(1, 10.1).value
    ('mild', 'apparent')
    """
    if not n_lesions:
        return ExamGrade.NONE
    mild = n_lesions <= MILD_MAXIMUM_LESIONS and total_ml <= MILD_MAXIMUM_ML
    return ExamGrade.MILD if mild else ExamGrade.APPARENT


def calibrate_confidence(confidence: float, fitted: PlattMap) -> float:
    """Chance that a call of this uncalibrated confidence is a metastasis."""
    return round(float(apply_platt(fitted, log_odds_of(confidence))), 4)


def calibrate_lesions(lesions: Sequence[Lesion], fitted: PlattMap) -> tuple[Lesion, ...]:
    """Lesions with calibrated confidences; one that nothing scored stays as it is."""
    return tuple(
        x if x.confidence is None else replace(x, confidence=calibrate_confidence(x.confidence, fitted))
        for x in lesions
    )


def exam_evidence(calls: Sequence[tuple[float, float]], peak: float) -> ExamEvidence:
    """Sum up an exam.

    Parameters
    ----------
    calls
        Calibrated confidence and volume in ml of each call.
    peak
        Calibrated highest probability anywhere in bone, which stands for the calls where there is none.

    Examples
    --------
    >>> evidence = exam_evidence([(0.5, 8.0), (0.5, 4.0)], peak=0.9)
    >>> round(evidence.any_lesion, 3), round(evidence.burden, 3)
    (1.099, -0.511)
    """
    p = np.array([confidence for confidence, _ in calls] or [peak], dtype=np.float64)
    none = -np.log1p(-np.minimum(p, 1 - 1e-9)).sum()
    any_lesion = np.log(max(np.expm1(min(none, _MOST_LOG_ODDS)), np.exp(-_MOST_LOG_ODDS)))
    expected_ml = sum(confidence * volume_ml for confidence, volume_ml in calls)
    burden = max(float(p.sum()) / MILD_MAXIMUM_LESIONS, expected_ml / MILD_MAXIMUM_ML, _LEAST_BURDEN)
    return ExamEvidence(float(any_lesion), float(np.log(burden)))


def _calibrated(
    lesions: Sequence[Lesion], peak_probability: float, abstentions: Sequence[Abstention], model: ModelCalibration
) -> Exam:
    """Exam with probabilities that were fitted on a cohort, and silence where they are not sure."""
    calls = [(x.confidence, x.volume_ml) for x in lesions if x.confidence is not None]
    evidence = exam_evidence(calls, calibrate_confidence(peak_probability, model.lesion))
    any_lesion = float(apply_platt(model.exam, evidence.any_lesion))
    apparent = any_lesion * float(apply_platt(model.apparent, evidence.burden))
    grades = GradeProbabilities(*(round(p, 4) for p in (1 - any_lesion, any_lesion - apparent, apparent)))
    stage = MStage.M1B if any_lesion >= 0.5 else MStage.M0
    likeliest = max(ExamGrade, key=lambda grade: grades.of(grade))
    said = list(abstentions)
    sure_stage, sure_grade = max(any_lesion, 1 - any_lesion) >= SURE_STAGE, grades.of(likeliest) >= SURE_GRADE
    if not sure_stage:
        what = f"the probability of metastasis is {any_lesion:.2f}, too near to even to suggest M0 or M1b"
        said.append(Abstention("stage_uncertain", what))
    if not sure_grade:
        what = f"no grade has a probability of {SURE_GRADE:.1f}; {likeliest.value} comes nearest"
        said.append(Abstention("grade_uncertain", what))
    return Exam(
        round(any_lesion, 4),
        stage if sure_stage else None,
        likeliest if sure_grade else None,
        tuple(said),
        grade_probabilities=grades,
        calibrated_on=model.fitted_on,
    )
