import pytest

from osteomet.core.calibration import ModelCalibration, PlattMap
from osteomet.core.findings import Abstention, ExamGrade, MStage
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import LesionType
from osteomet.lesions.exam import calibrate_lesions, grade_exam, ungraded_exam


def lesion(number: int, volume_ml: float, confidence: float | None) -> Lesion:
    ends = ((0.0, 0.0, 0.0), (10.0, 0.0, 0.0))
    return Lesion(
        number, LesionType.LYTIC, "L3", "body", (0.0, 0.0, 0.0), 10.0, 8.0, ends, volume_ml, 40.0, confidence, "2.25.1"
    )


def test_no_lesion_is_m0_with_the_peak_that_was_left_unreported() -> None:
    exam = grade_exam([], peak_probability=0.31, abstentions=[])
    assert (exam.probability, exam.m_stage, exam.grade) == (0.31, MStage.M0, ExamGrade.NONE)


def test_probability_is_that_of_the_surest_lesion() -> None:
    exam = grade_exam([lesion(1, 1.0, 0.6), lesion(2, 1.0, 0.9)], peak_probability=1.0, abstentions=[])
    assert (exam.probability, exam.m_stage) == (0.9, MStage.M1B)


@pytest.mark.parametrize(
    ("volumes_ml", "grade"),
    [
        ([1.0], ExamGrade.MILD),
        ([3.0, 3.0, 4.0], ExamGrade.MILD),
        ([3.0, 3.0, 4.1], ExamGrade.APPARENT),
        ([0.1] * 4, ExamGrade.APPARENT),
        ([10.1], ExamGrade.APPARENT),
    ],
)
def test_grades_at_their_edges(volumes_ml: list[float], grade: ExamGrade) -> None:
    lesions = [lesion(n, v, 0.8) for n, v in enumerate(volumes_ml, start=1)]
    assert grade_exam(lesions, peak_probability=0.9, abstentions=[]).grade is grade


def test_no_bone_says_nothing_but_why() -> None:
    reasons = [Abstention("no_bone", "no bone found in the field of view")]
    exam = ungraded_exam(reasons)
    assert exam.probability is None
    assert exam.m_stage is None
    assert exam.grade is None
    assert list(exam.abstentions) == reasons


AS_IT_IS = PlattMap(0.0, 1.0, 10, 5)
CALIBRATION = ModelCalibration(lesion=AS_IT_IS, exam=AS_IT_IS, apparent=AS_IT_IS, fitted_on="ten phantoms")


def test_calibrated_exam_of_two_calls() -> None:
    exam = grade_exam(
        [lesion(1, 1.0, 0.6), lesion(2, 2.0, 0.75)], peak_probability=1.0, abstentions=[], calibration=CALIBRATION
    )
    # One call at least is true with 1 - 0.4 · 0.25 = 0.9. Of 1.35 expected lesions and 2.1 ml, the first is the larger
    # part of what is mild (3 and 10 ml): 0.45, so that apparent has 0.45 / 1.45 of the 0.9.
    assert exam.probability == pytest.approx(0.9, abs=1e-4)
    assert exam.grade_probabilities is not None
    assert exam.grade_probabilities.apparent == pytest.approx(0.9 * 0.45 / 1.45, abs=1e-4)
    assert exam.grade_probabilities.mild == pytest.approx(0.9 - 0.9 * 0.45 / 1.45, abs=1e-4)
    assert exam.grade_probabilities.none == pytest.approx(0.1, abs=1e-4)
    assert (exam.m_stage, exam.grade) == (MStage.M1B, ExamGrade.MILD)
    assert (exam.calibrated_on, exam.abstentions) == ("ten phantoms", ())


def test_calibrated_exam_abstains_near_even() -> None:
    exam = grade_exam([lesion(1, 1.0, 0.55)], peak_probability=1.0, abstentions=[], calibration=CALIBRATION)
    assert (exam.m_stage, exam.grade) == (None, None)
    assert [a.code for a in exam.abstentions] == ["stage_uncertain", "grade_uncertain"]
    assert "0.55" in exam.abstentions[0].reason


def test_calibrated_exam_without_calls_uses_the_peak() -> None:
    exam = grade_exam([], peak_probability=0.1, abstentions=[], calibration=CALIBRATION)
    assert exam.probability == pytest.approx(0.1, abs=1e-4)
    assert (exam.m_stage, exam.grade) == (MStage.M0, ExamGrade.NONE)


def test_many_calls_do_not_overflow() -> None:
    lesions = [lesion(n, 100.0, 1.0) for n in range(1, 60)]
    exam = grade_exam(lesions, peak_probability=1.0, abstentions=[], calibration=CALIBRATION)
    assert exam.probability == pytest.approx(1.0)
    assert exam.grade is ExamGrade.APPARENT


def test_lesions_are_calibrated_and_keep_their_order() -> None:
    halved = PlattMap(0.0, 0.5, 10, 5)
    first, second, third = calibrate_lesions([lesion(1, 1.0, 0.9), lesion(2, 1.0, 0.2), lesion(3, 1.0, None)], halved)
    # Odds of 9 and 1/4 become 3 and 1/2.
    assert first.confidence == 0.75
    assert second.confidence == pytest.approx(1 / 3, abs=1e-4)
    assert third.confidence is None
