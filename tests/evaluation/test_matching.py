"""Matching rules on lesions whose pairs are given by hand."""

from typing import Any

import pytest

from osteomet.core.errors import UsageError
from osteomet.evaluation.instances import CaseInstances, Instance, InstancePair
from osteomet.evaluation.matching import RULES, CaseDetections, MatchingRule, match_case
from osteomet.io.dataset import CaseFacts


def lesion(id_: int, volume_ml: float = 1.0) -> Instance:
    return Instance(id_, None, 100, volume_ml, (0, 0, 0))


def meet(reference: int, prediction: int, iou: float, **others: Any) -> InstancePair:
    measures = {"n_voxels": 100, "dice": 0.0, "box_iou": iou, "centroid_inside": False, "surface": None} | others
    return InstancePair(reference, prediction, iou=iou, **measures)


def case(references: list[Instance], predictions: list[Instance], pairs: list[InstancePair]) -> CaseInstances:
    facts = CaseFacts("case", "patient", {})
    return CaseInstances(facts, tuple(references), tuple(predictions), tuple(pairs), False, True, None)


def hits(outcome: CaseDetections) -> tuple[dict[int, tuple[int, ...]], dict[int, tuple[int, ...]]]:
    """Hits of references and of predictions by id."""
    return {x.instance.id: x.hits for x in outcome.references}, {x.instance.id: x.hits for x in outcome.predictions}


# Reference 1 is split into predictions 1 and 2; prediction 2 merges references 1 and 2; prediction 3 hits nothing.
SPLIT_AND_MERGED = case(
    [lesion(1), lesion(2), lesion(3)],
    [lesion(1), lesion(2), lesion(3)],
    [meet(1, 1, 0.3), meet(1, 2, 0.6), meet(2, 2, 0.2)],
)


def test_every_candidate_counts() -> None:
    outcome = match_case(SPLIT_AND_MERGED, RULES["any_overlap"])
    assert hits(outcome) == ({1: (1, 2), 2: (2,), 3: ()}, {1: (1,), 2: (1, 2), 3: ()})
    assert (outcome.n_split, outcome.n_merging) == (1, 1)
    assert [x.found for x in outcome.references] == [True, True, False]
    assert [x.true for x in outcome.predictions] == [True, True, False]


def test_greedy_takes_the_highest_overlap_first() -> None:
    outcome = match_case(SPLIT_AND_MERGED, RULES["iou_greedy"])
    assert hits(outcome) == ({1: (2,), 2: (), 3: ()}, {1: (), 2: (1,), 3: ()})
    assert (outcome.n_split, outcome.n_merging) == (1, 1)


def test_hungarian_matches_as_many_as_possible() -> None:
    outcome = match_case(SPLIT_AND_MERGED, RULES["iou_hungarian"])
    assert hits(outcome) == ({1: (1,), 2: (2,), 3: ()}, {1: (1,), 2: (2,), 3: ()})


def test_one_match_more_outweighs_any_overlap() -> None:
    """Three faint matches against two perfect ones, which an overlap added to 1 would prefer."""
    faint = [meet(1, 2, 0.1), meet(2, 3, 0.1), meet(3, 1, 0.1)]
    perfect = [meet(1, 1, 1.0), meet(2, 2, 1.0)]
    lesions = [lesion(n) for n in (1, 2, 3)]
    outcome = match_case(case(lesions, lesions, faint + perfect), RULES["iou_hungarian"])
    assert hits(outcome)[0] == {1: (2,), 2: (3,), 3: (1,)}


@pytest.mark.parametrize(
    ("rule", "pair", "expected"),
    [
        ("any_overlap", meet(1, 1, 0.01, n_voxels=1), True),
        ("any_overlap", meet(1, 1, 0.0, n_voxels=0, box_iou=0.9), False),
        ("kim2024", meet(1, 1, 0.01, n_voxels=10), True),
        ("kim2024", meet(1, 1, 0.9, n_voxels=9), False),
        ("iou_hungarian", meet(1, 1, 0.1), True),
        ("iou_greedy", meet(1, 1, 0.0999), False),
        ("centroid_in_mask", meet(1, 1, 0.0, n_voxels=0, centroid_inside=True), True),
        ("centroid_in_mask", meet(1, 1, 0.9), False),
        ("box", meet(1, 1, 0.0, n_voxels=0, box_iou=0.1), True),
        ("box", meet(1, 1, 0.9, box_iou=0.05), False),
    ],
)
def test_criteria_at_their_thresholds(rule: str, pair: InstancePair, expected: bool) -> None:
    outcome = match_case(case([lesion(1)], [lesion(1)], [pair]), RULES[rule])
    assert outcome.references[0].found is outcome.predictions[0].true is expected


def test_small_lesions_are_set_aside_and_their_predictions_neutral() -> None:
    """0.2 ml is the limit: reference 2 and prediction 4 lie below it; prediction 2 hits only reference 2."""
    outcome = match_case(
        case(
            [lesion(1, 0.2), lesion(2, 0.19), lesion(3, 5)],
            [lesion(1), lesion(2), lesion(3), lesion(4, 0.1)],
            [meet(1, 1, 0.6), meet(2, 1, 0.1), meet(2, 2, 0.9), meet(3, 4, 0.02)],
        ),
        RULES["liu2021"],
    )
    assert hits(outcome) == ({1: (1,), 3: ()}, {1: (1,), 3: ()})
    assert (outcome.n_set_aside, outcome.n_neutral, outcome.n_dropped) == (1, 1, 1)
    assert outcome.panoptic_iou == (0.6,)
    assert (outcome.n_split, outcome.n_merging) == (0, 0)


def test_a_volume_on_the_limit_survives_float32_spacing() -> None:
    outcome = match_case(case([], [lesion(1, 0.2 * (1 - 1e-7))], []), RULES["liu2021"])
    assert len(outcome.predictions) == 1


def test_panoptic_quality_has_its_own_matching() -> None:
    pairs = [meet(1, 1, 0.5), meet(2, 2, 0.51)]
    lesions = [lesion(1), lesion(2)]
    for rule in RULES.values():
        assert match_case(case(lesions, lesions, pairs), rule).panoptic_iou == (0.51,)


def test_best_overlap_is_told_whatever_the_rule() -> None:
    outcome = match_case(SPLIT_AND_MERGED, RULES["centroid_in_mask"])
    best = [x.best for x in outcome.references]
    assert [b.iou if b else None for b in best] == [0.6, 0.2, None]


@pytest.mark.parametrize("rule", RULES.values(), ids=list(RULES))
def test_the_quartet(rule: MatchingRule) -> None:
    perfect = meet(1, 1, 1.0, centroid_inside=True)
    for references, predictions, pairs in (([], [], []), ([1], [], []), ([], [1], []), ([1], [1], [perfect])):
        outcome = match_case(case([lesion(n) for n in references], [lesion(n) for n in predictions], pairs), rule)
        assert [x.found for x in outcome.references] == [bool(pairs)] * len(references)
        assert [x.true for x in outcome.predictions] == [bool(pairs)] * len(predictions)


def test_a_rule_describes_itself() -> None:
    words = RULES["liu2021"].describe(by_label=False)
    assert words["matching"] == "a predicted and a reference lesion share at least 1 voxels"
    assert words["connectivity"] == "26-connected components of all labels together"
    assert words["minimum volume"].startswith("predicted lesions below 0.2 ml are dropped")
    assert RULES["box"].describe(by_label=True)["minimum volume"] == "none"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"criterion": "overlap"}, r"unknown part of a matching rule; expected common voxels or .* got overlap"),
        ({"assignment": "best"}, r"expected all or greedy or hungarian; got best"),
        ({"threshold": 0}, r"threshold of “common voxels” is out of range; expected a number of voxels from 1; got 0"),
        ({"criterion": "iou", "threshold": 1.5}, r"expected above 0 and up to 1; got 1.5"),
        ({"minimum_volume_ml": -1}, r"a minimum volume is at least 0 ml; got -1 ml"),
    ],
)
def test_rules_that_cannot_be_meant(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        MatchingRule(**settings)
