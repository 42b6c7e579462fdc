from collections.abc import Callable

import numpy as np
import pytest

from osteomet.core.findings import Exam, ExamGrade, Findings, GradeProbabilities, MStage
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.vocabulary import LesionType
from osteomet.core.volume import LabelMap, Volume
from osteomet.report.wording import (
    flatten,
    geometry,
    millilitres,
    not_assessed,
    place_name,
    sins_table,
    statement,
    suggestions,
)

Phantom = tuple[Findings, Volume, LabelMap, LabelMap]
Kinds = list[tuple[LesionType, str]]

LYTIC, SCLEROTIC, MIXED, MARROW = LesionType


def test_nothing_found_is_told_apart_from_nothing_to_search() -> None:
    assert statement((), has_bone=True) == "No lesion found"
    assert statement((), has_bone=False) == "No bone found in the field of view"


@pytest.mark.parametrize(
    ("kinds", "expected"),
    [
        ([(LYTIC, "L3")], "1 lesion suspicious for bone metastasis found: lytic, in L3"),
        (
            [(LYTIC, "L3"), (SCLEROTIC, "hip_left"), (LYTIC, "T12")],
            "3 lesions suspicious for bone metastasis found: 2 lytic, 1 sclerotic, in T12, L3 and left hip bone",
        ),
        (
            [(MARROW, "vertebra"), (MARROW, "vertebra")],
            "2 lesions suspicious for bone metastasis found: 2 marrow-replacing, in vertebra (level not determined)",
        ),
        (
            [(MIXED, name) for name in ("T13", "L1", "T12", "T4", "T5", "T6", "T7", "T8", "T9", "T10")],
            "10 lesions suspicious for bone metastasis found: 10 mixed, "
            "in T4, T5, T6, T7, T8, T9, T10, T12 and 2 other sites",
        ),
    ],
)
def test_statement_counts_types_and_names_sites_from_head_to_foot(
    make_lesions: Callable[[Kinds], tuple[Lesion, ...]], kinds: Kinds, expected: str
) -> None:
    assert statement(make_lesions(kinds), has_bone=True) == expected


def test_places_read_as_words() -> None:
    assert place_name("T5", "transverse_process_right") == "T5 right transverse process"
    assert place_name("T5", "posterior_left") == "T5 left posterior elements"
    assert place_name("L1", "spinous_process") == "L1 spinous process"
    assert place_name("sacrum", "body") == "sacrum body"
    assert place_name("vertebra", None) == "vertebra (level not determined)"
    assert place_name("rib", None) == "rib (number not determined)"


def test_stage_and_grade_are_suggestions_or_openly_missing() -> None:
    assert suggestions(Exam(0.934, MStage.M1B, ExamGrade.APPARENT)) == (
        "Suggestion: M1b (distant spread to bone).",
        "Suggestion: exam grade apparent (none, mild or apparent).",
        "Model's probability of bone metastasis: 0.93 (not calibrated).",
    )
    shares = GradeProbabilities(0.07, 0.2, 0.73)
    calibrated = Exam(0.93, MStage.M1B, ExamGrade.APPARENT, grade_probabilities=shares, calibrated_on="40 phantoms")
    assert suggestions(calibrated)[2:] == (
        "Model's probability of bone metastasis: 0.93 (calibrated on 40 phantoms).",
        "Probability of each grade: none 0.07, mild 0.20, apparent 0.73.",
    )
    assert suggestions(Exam(None, None, None)) == (
        "No M category is suggested.",
        "No exam grade is suggested.",
        "Probability of bone metastasis not scored.",
    )


def test_what_was_not_assessed_names_missing_regions_and_cut_levels(column: Phantom) -> None:
    sentences = not_assessed(column[0], ["L3", "L2", "L1", "T12"])
    assert sentences[0] == (
        "Not in the field of view, or not recognised: cervical spine, sacrum, hip bones, proximal femora "
        "and ribs and sternum."
    )
    assert sentences[1] == "Cut off by the field of view, so only partly searched: T12."
    everything = ["C1", "T1", "L1", "sacrum", "hip_left", "femur_left", "rib"]
    assert not any("not recognised" in sentence for sentence in not_assessed(column[0], everything))


def test_scores_stand_side_by_side(column: Phantom) -> None:
    table = sins_table(column[0].levels)
    assert table is not None
    assert table.parts == ("location", "pain")
    assert [(name, score.low, score.high) for name, score, _ in table.rows] == [("L3", 2, 5), ("L1", 2, 5)]
    assert sins_table(()) is None


def test_numbers_and_geometry() -> None:
    assert (millilitres(0.123), millilitres(12.34)) == ("0.12", "12.3")
    turn = np.array([[np.cos(0.2), -np.sin(0.2), 0], [np.sin(0.2), np.cos(0.2), 0], [0, 0, -1]])
    assert geometry(Grid.from_spacing((512, 512, 40), (0.7, 0.7, 3.0), direction=turn)) == (
        "512 × 512 × 40 voxels of 0.70 × 0.70 × 3.00 mm; array axes run to the left, posterior and feet, "
        "up to 11° oblique"
    )
    assert flatten({"a": {"b": {"c": 1.23456}}, "d": None}) == [("a.b.c", "1.235"), ("d", "None")]
    undefined: dict[str, float | None] = {"value": None, "low": None, "high": None}
    figures = {"f": {"value": 0.5, "low": None, "high": None, "numerator": 1, "denominator": 2}, "g": undefined}
    assert flatten(figures) == [("f", "0.500"), ("g", "undefined")]
