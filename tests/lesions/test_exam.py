import pytest

from osteomet.core.findings import Abstention, ExamGrade, MStage
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import LesionType
from osteomet.lesions.exam import grade_exam, ungraded_exam


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
