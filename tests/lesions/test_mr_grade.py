import pytest

from osteomet.core.mr_grade import CriterionState, MrCategory
from osteomet.core.vocabulary import SequenceRole
from osteomet.lesions.mr_grade import LesionExtent, grade_mr_lesion
from osteomet.lesions.mr_signals import Signals

T1, FO, CE, T2, ADC = (SequenceRole[name] for name in ("T1", "FO", "CE", "T2", "ADC"))
DARK = Signals(lesion=220.0, muscle=200.0, disc=190.0, marrow=400.0)
"""1.1 times muscle: the limit."""
BRIGHT = Signals(lesion=222.0, muscle=200.0, disc=190.0, marrow=400.0)
NO_FAT = Signals(lesion=50.0, muscle=None, disc=None, marrow=100.0)
SOME_FAT = Signals(lesion=51.0, muscle=None, disc=None, marrow=100.0)
ENHANCING = Signals(lesion=300.0, muscle=240.0, disc=None, marrow=200.0)
DULL = Signals(lesion=299.0, muscle=240.0, disc=None, marrow=200.0)
WHOLE = LesionExtent(outside_bone_ml=0.09, height_loss=0.19)


@pytest.mark.parametrize(
    ("signals", "extent", "category"),
    [
        ({T1: DARK, CE: ENHANCING}, WHOLE, MrCategory.PROBABLE),
        ({FO: NO_FAT, CE: ENHANCING}, WHOLE, MrCategory.PROBABLE),
        ({T1: BRIGHT, FO: NO_FAT, CE: ENHANCING}, WHOLE, MrCategory.PROBABLE),
        ({T1: DARK, CE: ENHANCING}, LesionExtent(), MrCategory.PROBABLE),
        ({T1: DARK, CE: ENHANCING}, LesionExtent(outside_bone_ml=0.1), MrCategory.DEFINITE),
        ({T1: DARK, CE: ENHANCING}, LesionExtent(height_loss=0.2), MrCategory.DEFINITE),
        ({T1: DARK, CE: DULL}, LesionExtent(0.5, 0.5), MrCategory.INDETERMINATE),
        ({T1: DARK}, LesionExtent(0.5, 0.5), MrCategory.INDETERMINATE),
        ({CE: ENHANCING}, WHOLE, MrCategory.INDETERMINATE),
        ({T1: BRIGHT, FO: SOME_FAT, CE: ENHANCING}, WHOLE, MrCategory.INDETERMINATE),
        ({T1: BRIGHT, FO: SOME_FAT, CE: DULL}, LesionExtent(0.5, 0.5), None),
        ({}, LesionExtent(0.5, 0.5), None),
    ],
)
def test_categories_at_the_limits_of_their_criteria(
    signals: dict[SequenceRole, Signals], extent: LesionExtent, category: MrCategory | None
) -> None:
    assert grade_mr_lesion(signals, extent).category is category


def test_every_criterion_lists_its_evidence() -> None:
    t2 = Signals(lesion=260.0, muscle=None, disc=None, marrow=200.0)
    adc = Signals(lesion=850.0, muscle=None, disc=None, marrow=None)
    grade = grade_mr_lesion({T1: DARK, FO: NO_FAT, CE: ENHANCING, T2: t2, ADC: adc}, LesionExtent(1.234, 0.25))
    assert [(c.name, c.state.value, c.evidence) for c in grade.criteria] == [
        (
            "dark on T1 or fat-only images",
            "met",
            "T1 1.10 of muscle, 1.16 of disc (at most 1.1 of the brighter); fat 0.50 of marrow (at most 0.5)",
        ),
        ("avid enhancement", "met", "with contrast 1.50 of marrow (at least 1.5), 1.25 of muscle"),
        ("soft tissue outside of the bone", "met", "1.23 ml outside (at least 0.1)"),
        ("pathologic fracture", "met", "vertebra 25 % lower than its neighbours (at least 20 %)"),
    ]
    assert grade.further == ("T2 1.30 of marrow", "ADC 850 µm²/s")


def test_what_is_missing_is_unknown_and_says_so() -> None:
    alone = Signals(lesion=220.0, muscle=None, disc=None, marrow=None)
    grade = grade_mr_lesion({T1: alone}, LesionExtent())
    assert grade.category is None
    assert {c.state for c in grade.criteria} == {CriterionState.UNKNOWN}
    assert [c.evidence for c in grade.criteria] == [
        "T1 without muscle or disc to hold it against; no fat-only image",
        "no image with contrast",
        "bone not outlined",
        "heights of the vertebra not measured",
    ]


def test_a_criterion_not_met_on_one_sequence_and_unknown_on_the_other_is_not_met() -> None:
    first, *_ = grade_mr_lesion({T1: BRIGHT}, LesionExtent()).criteria
    assert first.state is CriterionState.NOT_MET
