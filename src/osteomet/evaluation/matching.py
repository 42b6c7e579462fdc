"""When a predicted lesion counts as a reference lesion: rules as named choices, applied to one case.

A **candidate** is a pair of lesions that meets the criterion of the rule. Where one reference lesion has several
candidates it is **split**, where one predicted lesion has several it **merges** them. The assignment says what becomes
of those.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Literal

import numpy as np
from scipy.optimize import linear_sum_assignment

from osteomet.core.errors import UsageError
from osteomet.evaluation.instances import CONNECTIVITY, CaseInstances, Instance, InstancePair
from osteomet.io.dataset import CaseFacts

Criterion = Literal["common voxels", "iou", "centroid in mask", "box iou"]
Assignment = Literal["all", "greedy", "hungarian"]

ROUNDING = 1e-6
"""Relative error that a volume may carry: the spacing of NIfTI files is stored as float32."""


@dataclass(frozen=True, slots=True)
class MatchingRule:
    """What makes a predicted lesion a hit.

    Parameters
    ----------
    criterion
        What is measured of a pair: ``common voxels``; ``iou``, of the two lesions alone; ``box iou``, of their smallest
        boxes along the array axes; ``centroid in mask``, whether the voxel at the centre of mass of the prediction
        belongs to the reference lesion.
    threshold
        A pair is a candidate when the measure is at least this: a number of voxels from 1, or an IoU above 0 and up to
        1. ``centroid in mask`` has none: 1.
    assignment
        ``all``: every candidate counts; a split lesion is found once and each prediction on it is true, a merging
        prediction finds each lesion. ``greedy`` and ``hungarian``: a lesion has at most one prediction and the reverse;
        surplus predictions are false positives, surplus references missed. ``greedy`` takes candidates in order of
        IoU, ``hungarian`` as many candidates as possible and of those choices the one with the highest sum of IoU.
    minimum_volume_ml
        Smaller predicted lesions are dropped. Smaller reference lesions are set aside: they count neither as found nor
        as missed, and a prediction that hits only such is neither true nor false.

    Raises
    ------
    UsageError
        If a choice is unknown, or a threshold or volume is out of range.
    """

    criterion: Criterion = "common voxels"
    threshold: float = 1
    assignment: Assignment = "all"
    minimum_volume_ml: float = 0.0

    def __post_init__(self) -> None:
        for value, choices in ((self.criterion, _WORDS), (self.assignment, _ASSIGNMENTS)):
            if value not in choices:
                raise UsageError("unknown part of a matching rule", expected=" or ".join(choices), got=value)
        low, high = (1, np.inf) if self.criterion == "common voxels" else (1e-9, 1)
        if not low <= self.threshold <= high:
            raise UsageError(
                f"the threshold of “{self.criterion}” is out of range",
                expected="a number of voxels from 1" if high > 1 else "above 0 and up to 1",
                got=f"{self.threshold:g}",
            )
        if not 0 <= self.minimum_volume_ml < np.inf:
            raise UsageError("a minimum volume is at least 0 ml", got=f"{self.minimum_volume_ml:g} ml")

    def describe(self, *, by_label: bool) -> dict[str, str]:
        """Put the rule in words, for the definitions of a report."""
        volume = (
            f"predicted lesions below {self.minimum_volume_ml:g} ml are dropped, reference lesions below it set aside"
            if self.minimum_volume_ml
            else "none"
        )
        return {
            "matching": _WORDS[self.criterion].format(self.threshold),
            "splits and merges": _ASSIGNMENTS[self.assignment],
            "labels": "a lesion matches only one of its own label" if by_label else "labels play no part in matching",
            "connectivity": f"{CONNECTIVITY}-connected components, of each label by itself"
            if by_label
            else f"{CONNECTIVITY}-connected components of all labels together",
            "minimum volume": volume,
        }


_WORDS: Mapping[str, str] = MappingProxyType(
    {
        "common voxels": "a predicted and a reference lesion share at least {0:g} voxels",
        "iou": "the intersection over union of a predicted and a reference lesion is at least {0:g}",
        "centroid in mask": "the centre of mass of a predicted lesion lies in a voxel of the reference lesion",
        "box iou": "the boxes of a predicted and a reference lesion have an intersection over union of at least {0:g}",
    }
)
_ASSIGNMENTS: Mapping[str, str] = MappingProxyType(
    {
        "all": "several predictions on one lesion find it once and are all true; one prediction may find several",
        "greedy": "one to one, highest overlap first; surplus predictions are false, surplus lesions missed",
        "hungarian": "one to one, as many as possible; surplus predictions are false, surplus lesions missed",
    }
)

RULES: Mapping[str, MatchingRule] = MappingProxyType(
    {
        "any_overlap": MatchingRule(),
        "liu2021": MatchingRule(minimum_volume_ml=0.2),
        "kim2024": MatchingRule(threshold=10),
        "iou_hungarian": MatchingRule("iou", 0.1, "hungarian"),
        "iou_greedy": MatchingRule("iou", 0.1, "greedy"),
        "centroid_in_mask": MatchingRule("centroid in mask"),
        "box": MatchingRule("box iou", 0.1, "hungarian"),
    }
)
"""Rules by name. Overlap above 0 with at least 0.2 cm³ is that of Liu et al. 2021
(https://doi.org/10.3389/fonc.2021.773299), ten common pixels that of Kim et al. 2024; an IoU of 0.1 is customary for
small lesions in 3D (Saha et al. 2024, https://doi.org/10.1016/S1470-2045(24)00220-1)."""


@dataclass(frozen=True, slots=True)
class ReferenceLesion:
    """A reference lesion and the ids of the predictions that hit it; ``best`` shares most with it, None without any."""

    instance: Instance
    hits: tuple[int, ...]
    best: InstancePair | None

    @property
    def found(self) -> bool:
        """Whether a prediction hits it."""
        return bool(self.hits)


@dataclass(frozen=True, slots=True)
class PredictedLesion:
    """A predicted lesion and the ids of the reference lesions that it hits."""

    instance: Instance
    hits: tuple[int, ...]

    @property
    def true(self) -> bool:
        """Whether it hits a reference lesion."""
        return bool(self.hits)


@dataclass(frozen=True, slots=True)
class CaseDetections:
    """Outcome of one case under one rule.

    Parameters
    ----------
    references, predictions
        Lesions that count, in order of id.
    n_split, n_merging
        Reference lesions with several candidates, and predictions with several, before the assignment.
    n_set_aside, n_neutral, n_dropped
        Reference lesions below the minimum volume; predictions that hit only such; predictions below it.
    panoptic_iou
        IoU of each pair above 0.5, which are one to one whatever the rule: what panoptic quality is made of.
    predicted
        False where the prediction is missing and counts as empty.
    score
        What the prediction says about the whole case (`CaseInstances`).
    """

    facts: CaseFacts
    references: tuple[ReferenceLesion, ...]
    predictions: tuple[PredictedLesion, ...]
    n_split: int
    n_merging: int
    n_set_aside: int
    n_neutral: int
    n_dropped: int
    panoptic_iou: tuple[float, ...]
    predicted: bool
    score: float | None


def match_case(case: CaseInstances, rule: MatchingRule) -> CaseDetections:
    """Apply a rule to the lesions of one case.

    Notes
    -----
    Panoptic quality has its own matching, an IoU above 0.5, which needs no assignment because no two lesions can have
    more than half of a third in common. Lesions set aside, dropped or neutral take no part in it.

    References
    ----------
    Kirillov et al. 2019, https://doi.org/10.1109/CVPR.2019.00963 (panoptic quality).
    """
    minimum = rule.minimum_volume_ml * (1 - ROUNDING)
    kept = {x.id for x in case.predictions if x.volume_ml >= minimum}
    small = {x.id for x in case.references if x.volume_ml < minimum}
    pairs = [pair for pair in case.pairs if pair.prediction in kept]
    candidates = [pair for pair in pairs if _measure(pair, rule) >= rule.threshold]
    counted = [pair for pair in candidates if pair.reference not in small]
    neutral = {pair.prediction for pair in candidates} - {pair.prediction for pair in counted}
    pairs = [pair for pair in pairs if pair.reference not in small and pair.prediction not in neutral]
    hits = _assign(counted, rule)
    return CaseDetections(
        facts=case.facts,
        references=tuple(
            ReferenceLesion(x, tuple(h.prediction for h in hits if h.reference == x.id), _best(x, pairs))
            for x in case.references
            if x.id not in small
        ),
        predictions=tuple(
            PredictedLesion(x, tuple(h.reference for h in hits if h.prediction == x.id))
            for x in case.predictions
            if x.id in kept - neutral
        ),
        n_split=_n_repeated([pair.reference for pair in counted]),
        n_merging=_n_repeated([pair.prediction for pair in counted]),
        n_set_aside=len(small),
        n_neutral=len(neutral),
        n_dropped=len(case.predictions) - len(kept),
        panoptic_iou=tuple(pair.iou for pair in pairs if pair.iou > 0.5),
        predicted=case.predicted,
        score=case.score,
    )


def _measure(pair: InstancePair, rule: MatchingRule) -> float:
    """What the criterion measures of a pair."""
    measures = {"common voxels": pair.n_voxels, "iou": pair.iou, "box iou": pair.box_iou}
    return float(measures.get(rule.criterion, pair.centroid_inside))


def _assign(candidates: Sequence[InstancePair], rule: MatchingRule) -> list[InstancePair]:
    """Candidates that count as hits, in order of the reference."""
    if rule.assignment == "all" or not candidates:
        return list(candidates)
    overlap = [pair.box_iou if rule.criterion == "box iou" else pair.iou for pair in candidates]
    if rule.assignment == "greedy":
        return _greedy([candidates[n] for n in np.argsort(-np.array(overlap), kind="stable")])
    references = sorted({pair.reference for pair in candidates})
    predictions = sorted({pair.prediction for pair in candidates})
    worth = np.zeros((len(references), len(predictions)))
    # More than all overlaps can sum to, so that one match more outweighs any overlap.
    match = 1 + min(worth.shape)
    at = {}
    for pair, share in zip(candidates, overlap, strict=True):
        place = references.index(pair.reference), predictions.index(pair.prediction)
        worth[place], at[place] = match + share, pair
    chosen = zip(*(axis.tolist() for axis in linear_sum_assignment(worth, maximize=True)), strict=True)
    return [at[place] for place in chosen if place in at]


def _greedy(ordered: Sequence[InstancePair]) -> list[InstancePair]:
    """Take each pair of which neither side has been taken before."""
    taken: list[InstancePair] = []
    references: set[int] = set()
    predictions: set[int] = set()
    for pair in ordered:
        if pair.reference not in references and pair.prediction not in predictions:
            taken.append(pair)
            references.add(pair.reference)
            predictions.add(pair.prediction)
    return sorted(taken, key=lambda pair: pair.reference)


def _best(lesion: Instance, pairs: Sequence[InstancePair]) -> InstancePair | None:
    """Pair of a reference lesion with the highest IoU among those that share a voxel."""
    mine = [pair for pair in pairs if pair.reference == lesion.id and pair.n_voxels]
    return max(mine, key=lambda pair: pair.iou, default=None)


def _n_repeated(ids: Sequence[int]) -> int:
    """How many ids stand more than once."""
    return int(np.count_nonzero(np.unique(np.array(ids, dtype=np.intp), return_counts=True)[1] > 1))
