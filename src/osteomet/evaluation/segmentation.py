"""Voxel and surface metrics of one case, as a small record for each label.

Every metric states when it is undefined. Undefined is None with a reason, never 0 or 1: a mean over cases leaves it out
and says how many it is a mean of.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np
from numpy.typing import NDArray

from osteomet.evaluation.measures import Measures, mean_measures, ratio_measures
from osteomet.evaluation.surface import SurfaceScores, surface_scores
from osteomet.evaluation.voxels import Labelling, VoxelPair
from osteomet.io.dataset import CaseFacts

METRIC_UNITS = MappingProxyType(
    {
        "dice": "1",
        "iou": "1",
        "accuracy": "1",
        "recall": "1",
        "precision": "1",
        "volumetric_similarity": "1",
        "hausdorff_mm": "mm",
        "hd95_mm": "mm",
        "assd_mm": "mm",
        "nsd": "1",
    }
)
"""Unit of each metric of a case and label, in the order of reports."""


@dataclass(frozen=True, slots=True)
class LabelVoxels:
    """Counts of voxels of one label in one case, and what follows from them.

    Parameters
    ----------
    label
        Name of the label; None for all labels together, labelled against background.
    tp, fp, fn, tn
        Voxels with the label in both maps, in the prediction only, in the reference only, in neither.
    voxel_volume_ml
        Volume of one voxel, ml.
    surface
        Distances between the two surfaces.

    Notes
    -----
    With reference R and prediction P:

    ===================== ============================ =============================== =======================
    metric                definition                   undefined when                  one side empty
    ===================== ============================ =============================== =======================
    dice                  2·tp / (2·tp + fp + fn)      both empty                      0
    iou                   tp / (tp + fp + fn)          both empty                      0
    accuracy              (tp + tn) / all voxels       never                           as it comes
    recall                tp / (tp + fn)               reference empty                 0 (prediction empty)
    precision             tp / (tp + fp)               prediction empty                0 (reference empty)
    volumetric_similarity 1 − abs(fn − fp)             both empty                      0
                          / (2·tp + fp + fn)
    hausdorff_mm, hd95_mm see `surface_scores`         either empty (infinite)         None
    assd_mm               see `surface_scores`         either empty (infinite)         None
    nsd                   see `surface_scores`         both empty                      0
    ===================== ============================ =============================== =======================

    References
    ----------
    Taha, Hanbury 2015, https://doi.org/10.1186/s12880-015-0068-x (overlap metrics, volumetric similarity).

    Examples
    --------
    >>> voxels = LabelVoxels("lytic", 6, 2, 4, 88, 0.001, SurfaceScores(None, None, None, None))
    >>> voxels.dice, voxels.recall, voxels.precision, voxels.accuracy
    (0.6666666666666666, 0.6, 0.75, 0.94)
    """

    label: str | None
    tp: int
    fp: int
    fn: int
    tn: int
    voxel_volume_ml: float
    surface: SurfaceScores

    @property
    def reference_ml(self) -> float:
        """Volume in the reference, ml."""
        return (self.tp + self.fn) * self.voxel_volume_ml

    @property
    def prediction_ml(self) -> float:
        """Volume in the prediction, ml."""
        return (self.tp + self.fp) * self.voxel_volume_ml

    @property
    def dice(self) -> float | None:
        """Dice similarity coefficient."""
        return _quotient(2 * self.tp, 2 * self.tp + self.fp + self.fn)

    @property
    def iou(self) -> float | None:
        """Intersection over union (Jaccard index)."""
        return _quotient(self.tp, self.tp + self.fp + self.fn)

    @property
    def accuracy(self) -> float | None:
        """Pixel accuracy: share of all voxels of the image on which both maps agree."""
        return _quotient(self.tp + self.tn, self.tp + self.tn + self.fp + self.fn)

    @property
    def recall(self) -> float | None:
        """Share of the reference that was found."""
        return _quotient(self.tp, self.tp + self.fn)

    @property
    def precision(self) -> float | None:
        """Share of the prediction that is right."""
        return _quotient(self.tp, self.tp + self.fp)

    @property
    def volumetric_similarity(self) -> float | None:
        """Agreement of the two volumes, wherever they lie."""
        both = 2 * self.tp + self.fp + self.fn
        return _quotient(both - abs(self.fn - self.fp), both)

    def value(self, metric: str) -> float | None:
        """Value of a metric of `METRIC_UNITS`; raises AttributeError for another name."""
        value: float | None = getattr(self.surface if hasattr(self.surface, metric) else self, metric)
        return value

    def reason(self, metric: str) -> str:
        """Why a metric is None; empty where it is not."""
        if self.value(metric) is not None:
            return ""
        empty = [name for name, n in (("reference", self.tp + self.fn), ("prediction", self.tp + self.fp)) if n == 0]
        return f"{' and '.join(empty)} empty"


@dataclass(frozen=True, slots=True)
class CaseVoxels:
    """Voxel metrics of one case.

    ``labels`` has all labels together first, then each label where there are several or the one has a name;
    ``predicted`` is False where the prediction is missing and counts as empty.
    """

    facts: CaseFacts
    labels: tuple[LabelVoxels, ...]
    predicted: bool

    def of(self, label: str | None) -> LabelVoxels | None:
        """Record of a label, None where the case does not tell it apart."""
        return next((record for record in self.labels if record.label == label), None)


def score_voxels(pair: VoxelPair, labelling: Labelling, *, tolerance_mm: float) -> tuple[LabelVoxels, ...]:
    """Compare two label maps, for all labels together and for each label.

    Parameters
    ----------
    pair, labelling
        Labelled voxels of both maps, and their labels.
    tolerance_mm
        Tolerance of NSD, mm.
    """
    records = [_score(None, pair, labelling.reference > 0, labelling.prediction > 0, tolerance_mm)]
    for number, name in enumerate(labelling.names, start=1):
        if len(labelling.names) == 1:
            whole = records[0]
            counts = (whole.tp, whole.fp, whole.fn, whole.tn)
            records.append(LabelVoxels(name, *counts, whole.voxel_volume_ml, whole.surface))
        else:
            masks = labelling.reference == number, labelling.prediction == number
            records.append(_score(name, pair, *masks, tolerance_mm))
    return tuple(records)


def _score(
    label: str | None,
    pair: VoxelPair,
    reference: NDArray[np.bool_],
    prediction: NDArray[np.bool_],
    tolerance_mm: float,
) -> LabelVoxels:
    """Compare two masks over the listed voxels."""
    tp = int(np.count_nonzero(reference & prediction))
    fp, fn = (int(np.count_nonzero(mask)) - tp for mask in (prediction, reference))
    surface = surface_scores(
        pair.ijk[reference], pair.ijk[prediction], spacing_mm=pair.grid.spacing_mm, tolerance_mm=tolerance_mm
    )
    tn = int(np.prod(pair.grid.shape)) - tp - fp - fn
    return LabelVoxels(label, tp, fp, fn, tn, pair.grid.voxel_volume_ml, surface)


def _quotient(numerator: float, denominator: float) -> float | None:
    """Quotient, None where nothing is there to divide by."""
    return numerator / denominator if denominator else None


def pooled_measures(cases: Sequence[CaseVoxels], label: str | None = None) -> Measures:
    """Overlap metrics of the voxels of all cases together.

    Parameters
    ----------
    cases
        Records of all cases; those that do not tell the label apart are passed over.
    label
        Which label, None for all together.

    Returns
    -------
    Measures
        ``dice``, ``iou``, ``accuracy``, ``recall`` and ``precision``; large lesions weigh more than small ones.
    """
    names = ("dice", "iou", "accuracy", "recall", "precision")
    tops, bottoms = [], []
    for case in cases:
        record = case.of(label)
        tp, fp, fn, tn = (record.tp, record.fp, record.fn, record.tn) if record else (0, 0, 0, 0)
        tops.append((2 * tp, tp, tp + tn, tp, tp))
        bottoms.append((2 * tp + fp + fn, tp + fp + fn, tp + fp + fn + tn, tp + fn, tp + fp))
    return ratio_measures(cases, names, np.array(tops, dtype=np.float64), np.array(bottoms, dtype=np.float64))


def case_mean_measures(cases: Sequence[CaseVoxels], label: str | None = None) -> Measures:
    """Mean of every metric of `METRIC_UNITS` over the cases for which it is defined; their number is the denominator.

    Parameters
    ----------
    cases
        Records of all cases; those that do not tell the label apart have nothing defined.
    label
        Which label, None for all together.
    """
    records = [case.of(label) for case in cases]
    values = [[record.value(metric) if record else None for metric in METRIC_UNITS] for record in records]
    return mean_measures(cases, tuple(METRIC_UNITS), np.array(values, dtype=np.float64))
