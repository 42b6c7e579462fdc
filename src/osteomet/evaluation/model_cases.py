"""What a model said about a case whose truth is known whole: lesions, names and outlines of vertebrae, the exam."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from osteomet.core.findings import Exam
from osteomet.core.vocabulary import COLUMN, STRUCTURES, Group
from osteomet.core.volume import LabelMap
from osteomet.evaluation.cases import CaseRecord
from osteomet.evaluation.matching import CaseDetections, MatchingRule, match_case
from osteomet.evaluation.measures import Measures, ratio_measures
from osteomet.io.dataset import CaseFacts

SMALLEST_ML = 0.1
"""Reference lesions below this are set aside, as models drop candidates below it."""
RULE = MatchingRule(minimum_volume_ml=SMALLEST_ML)
"""A call finds a lesion when they share a voxel."""
SMALLEST_LEVEL_ML = 5.0
"""Vertebrae of which the scan shows less than this are not judged."""
N_BINS = 5
"""Bins of reliability: a cohort of forty has few calls or exams for each of ten."""
NUMBERING_UNCERTAIN = "numbering_uncertain"
_REGIONS = {Group.CERVICAL: "cervical", Group.THORACIC: "thoracic", Group.LUMBAR: "lumbar"}

FailureKind = Literal["missed", "false", "outline"]


@dataclass(frozen=True, slots=True)
class LevelScore:
    """One bone that the reference shows: Dice with what carries its name, and the name most of it was given."""

    name: str
    dice: float
    called: str | None


@dataclass(frozen=True, slots=True)
class Failure:
    """Something a model got wrong, with its picture.

    ``weight`` orders failures of a kind, worst highest: volume in ml of a lesion missed, confidence of a false call,
    one less the Dice of an outline.
    """

    kind: FailureKind
    weight: float
    text: str
    picture: str


@dataclass(frozen=True, slots=True)
class ModelCase:
    """All that is kept of one case: a few kilobytes, whatever the size of its images."""

    record: CaseRecord
    levels: tuple[LevelScore, ...]
    exam: Exam
    failures: tuple[Failure, ...]
    seconds: float

    @property
    def facts(self) -> CaseFacts:
        """Case and patient."""
        return self.record.voxels.facts

    @property
    def detections(self) -> CaseDetections:
        """Lesions and calls, matched by `RULE`."""
        return match_case(self.record.instances, RULE)

    @property
    def reference_burden(self) -> tuple[int, float]:
        """Number and volume in ml of the reference lesions that count."""
        references = self.detections.references
        return len(references), sum(lesion.instance.volume_ml for lesion in references)


def score_levels(reference: LabelMap, called: LabelMap, names: Sequence[str] = COLUMN) -> tuple[LevelScore, ...]:
    """Judge those of some bones of which the reference shows at least `SMALLEST_LEVEL_ML`.

    Both maps lie on one grid and name their labels. The name that a bone was given is that of most of its voxels that
    were given one; None where none was.
    """
    called_names = {label: name for name, label in called.labels.items()}
    scores = []
    for name in names:
        if name not in reference.labels:
            continue
        inside = reference.array == reference.labels[name]
        n_inside = int(np.count_nonzero(inside))
        if n_inside * reference.grid.voxel_volume_ml < SMALLEST_LEVEL_ML:
            continue
        votes = np.bincount(called.array[inside], minlength=1)
        votes[0] = 0
        label = called.labels.get(name)
        n_common = int(votes[label]) if label is not None and label < votes.size else 0
        n_called = int(np.count_nonzero(called.array == label)) if label is not None else 0
        best = called_names.get(int(votes.argmax())) if votes.any() else None
        scores.append(LevelScore(name, 2 * n_common / (n_inside + n_called), best))
    return tuple(scores)


def level_measures(cases: Sequence[ModelCase]) -> Measures:
    """Dice and names of vertebrae, over all vertebrae of all cases.

    Returns
    -------
    Measures
        ``levels.dice``: mean Dice, also by region; ``levels.named_rightly``: share with the right name, also among the
        exams in which the numbering was called certain.
    """
    names = ["levels.dice", *(f"levels.dice.{region}" for region in _REGIONS.values())]
    names += ["levels.named_rightly", "levels.named_rightly.certain"]
    tops, bottoms = np.zeros((len(cases), len(names))), np.zeros((len(cases), len(names)))
    for n, case in enumerate(cases):
        certain = all(a.code != NUMBERING_UNCERTAIN for a in case.exam.abstentions)
        for level in case.levels:
            region = _REGIONS[STRUCTURES[level.name].group]
            rightly = float(level.called == level.name)
            counts = (level.dice, *(level.dice * (region == other) for other in _REGIONS.values()), rightly)
            tops[n] += (*counts, rightly * certain)
            bottoms[n] += (1, *(region == other for other in _REGIONS.values()), 1, certain)
    return ratio_measures(cases, names, tops, bottoms)


def judged_calls(cases: Sequence[ModelCase]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
    """Confidence of every call that counts, in order of cases, and whether it finds a lesion; shape (n_calls,)."""
    calls = [call for case in cases for call in case.detections.predictions if call.instance.confidence is not None]
    confidence = np.array([call.instance.confidence for call in calls], dtype=np.float64)
    return confidence, np.array([call.true for call in calls], dtype=np.bool_)
