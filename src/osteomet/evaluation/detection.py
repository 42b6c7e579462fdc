"""Figures of detection from the outcomes of cases: sensitivity, PPV, F-beta, panoptic quality, FP rates, marks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError
from osteomet.evaluation.matching import ROUNDING, CaseDetections, ReferenceLesion
from osteomet.evaluation.measures import Measures, patient_numbers, patient_sums, ratio_measures
from osteomet.evaluation.surface import SurfaceScores
from osteomet.stats.bootstrap import Statistic
from osteomet.stats.froc import Marks

VOLUME_BINS = (
    ("le_0_5_ml", 0.0, 0.5),
    ("gt_0_5_le_1_ml", 0.5, 1.0),
    ("gt_1_le_2_ml", 1.0, 2.0),
    ("gt_2_ml", 2.0, np.inf),
)
"""Name, lower limit (outside) and upper limit (inside), ml, of the volume bins of Kim et al. 2024."""

COUNT_BINS = (("1_lesion", 1), ("2_3_lesions", 3), ("4_5_lesions", 5), ("gt_5_lesions", np.inf))
"""Name and upper limit of the groups by lesions a patient of Liu et al. 2021 (10.3389/fonc.2021.773299)."""

UNKNOWN = "unknown"
"""Group of what no table says."""

NOT_REVIEWED = "not reviewed"
"""Cause of a false positive that nobody gave one."""

Group = Callable[[CaseDetections, ReferenceLesion], str]
"""Names the group that a reference lesion belongs to."""


def detection_measures(cases: Sequence[CaseDetections], *, beta: float = 2.0) -> Measures:
    """Figures of detection over all lesions of all cases.

    Parameters
    ----------
    cases
        Outcomes of all cases, those without prediction included.
    beta
        How many times recall weighs as much as precision in ``f_beta``; 2 in Edelmers et al. 2024.

    Returns
    -------
    Measures
        ``sensitivity``: reference lesions found / reference lesions. ``ppv``: true predictions / predictions. ``f1``
        and ``f_beta``: weighted harmonic mean of the two, (1 + β²)·PPV·S / (β²·PPV + S), 0 where both are 0 or one is
        undefined because there is no prediction or no lesion at all on the other side. ``fp_per_case``: false
        predictions / cases, where a case is one series. ``pq`` = ``sq`` · ``rq``: panoptic quality, mean IoU of the
        pairs above 0.5, and their F1. All are undefined when there is neither lesion nor prediction, except
        ``fp_per_case``, which is then 0.

    Notes
    -----
    With an assignment of ``all``, a lesion that two predictions hit counts once in sensitivity and both predictions
    count in PPV; F-beta is the harmonic mean of the two figures as printed. One to one, it is the usual quotient.

    References
    ----------
    Kirillov et al. 2019, https://doi.org/10.1109/CVPR.2019.00963.
    """
    rows = np.array([_counts(case) for case in cases], dtype=np.float64).reshape(len(cases), 6)
    sums = patient_sums(cases, rows)
    total = sums.sum(axis=0)
    references, found, predictions, true, matched, iou = total.tolist()
    names = ("sensitivity", "ppv", "f1", "f_beta", "fp_per_case", "pq", "sq", "rq")
    half = (references + predictions) / 2
    return Measures(
        names,
        _detection_statistic(np.column_stack([sums, patient_sums(cases, np.ones((len(cases), 1)))]), beta),
        (found, true, None, None, predictions - true, iou, iou, matched),
        (references, predictions, None, None, len(cases), half, matched, half),
    )


def _counts(case: CaseDetections) -> tuple[float, ...]:
    """Reference lesions, found ones, predictions, true ones, pairs of panoptic quality and the sum of their IoU."""
    return (
        len(case.references),
        sum(lesion.found for lesion in case.references),
        len(case.predictions),
        sum(lesion.true for lesion in case.predictions),
        len(case.panoptic_iou),
        sum(case.panoptic_iou),
    )


def _detection_statistic(sums: NDArray[np.float64], beta: float) -> Statistic:
    """Figures of `detection_measures` from the counts of each patient, the number of cases last."""

    def evaluate(weights: NDArray[np.float64]) -> NDArray[np.float64]:
        references, found, predictions, true, matched, iou, cases = (weights @ sums).T
        sensitivity, ppv = _divide(found, references), _divide(true, predictions)
        half = (references + predictions) / 2
        sq, rq = _divide(iou, matched), _divide(matched, half)
        f1, f_beta = (_f_beta(sensitivity, ppv, half, b) for b in (1.0, beta))
        fp_per_case = _divide(predictions - true, cases)
        return np.stack([sensitivity, ppv, f1, f_beta, fp_per_case, _divide(iou, half), sq, rq], axis=1)

    return Statistic(len(sums), evaluate, width=20)


def _f_beta(
    sensitivity: NDArray[np.float64], ppv: NDArray[np.float64], lesions: NDArray[np.float64], beta: float
) -> NDArray[np.float64]:
    """Weighted harmonic mean; 0 where a side is 0 or undefined, NaN where there is no lesion on either side."""
    recall, precision = np.nan_to_num(sensitivity), np.nan_to_num(ppv)
    weighted = _divide((1 + beta**2) * precision * recall, beta**2 * precision + recall)
    return np.where(lesions > 0, np.nan_to_num(weighted), np.nan)


def _divide(numerator: NDArray[np.float64], denominator: NDArray[np.float64]) -> NDArray[np.float64]:
    """Quotient, NaN where the denominator is 0."""
    return np.divide(numerator, denominator, out=np.full_like(denominator, np.nan), where=denominator != 0)


def sensitivity_by(cases: Sequence[CaseDetections], group: Group, *, order: Sequence[str] = ()) -> Measures:
    """Sensitivity of each group of reference lesions, with its numerator and denominator.

    Parameters
    ----------
    cases
        Outcomes of all cases.
    group
        Names the group of a lesion: `by_volume`, `by_label`, `by_type` or `by_site`.
    order
        Groups to list first, also those without a lesion; the others follow by name.
    """
    found: list[Counter[str]] = [Counter() for _ in cases]
    lesions: list[Counter[str]] = [Counter() for _ in cases]
    for n, case in enumerate(cases):
        for lesion in case.references:
            name = group(case, lesion)
            lesions[n][name] += 1
            found[n][name] += lesion.found
    return _grouped(cases, found, lesions, order)


def by_volume(_: CaseDetections, lesion: ReferenceLesion) -> str:
    """Bin of `VOLUME_BINS`; a volume on a limit, to rounding, belongs to the bin below."""
    volume_ml = lesion.instance.volume_ml * (1 - ROUNDING)
    return next(name for name, _, high in VOLUME_BINS if volume_ml <= high)


def by_label(_: CaseDetections, lesion: ReferenceLesion) -> str:
    """Label, or type, of the reference lesion."""
    return lesion.instance.label or UNKNOWN


def by_type(_: CaseDetections, lesion: ReferenceLesion) -> str:
    """Type that a table gives the reference lesion, else its label."""
    return lesion.instance.type or lesion.instance.label or UNKNOWN


def by_site(_: CaseDetections, lesion: ReferenceLesion) -> str:
    """Bone that the reference lesion sits in."""
    return lesion.instance.site or UNKNOWN


def ppv_by_label(cases: Sequence[CaseDetections], *, order: Sequence[str] = ()) -> Measures:
    """PPV of the predictions of each label."""
    true: list[Counter[str]] = [Counter() for _ in cases]
    every: list[Counter[str]] = [Counter() for _ in cases]
    for n, case in enumerate(cases):
        for lesion in case.predictions:
            name = lesion.instance.label or UNKNOWN
            every[n][name] += 1
            true[n][name] += lesion.true
    return _grouped(cases, true, every, order)


def _grouped(
    cases: Sequence[CaseDetections], top: Sequence[Counter[str]], bottom: Sequence[Counter[str]], order: Sequence[str]
) -> Measures:
    """Quotients of counts by group, the groups in ``order`` first."""
    names = (*order, *sorted({name for counter in bottom for name in counter} - set(order)))
    tables = (
        np.array([[counter[name] for name in names] for counter in counters], dtype=np.float64).reshape(len(cases), -1)
        for counters in (top, bottom)
    )
    return ratio_measures(cases, names, *tables)


def overlap_measures(cases: Sequence[CaseDetections]) -> Measures:
    """How well found lesions are outlined: means over reference lesions that are found and share a voxel.

    Returns
    -------
    Measures
        ``dice``, ``iou``, ``hausdorff_mm``, ``hd95_mm``, ``assd_mm``, ``nsd`` of the lesion and the one prediction that
        overlaps it most. The denominator is the number of those lesions; a lesion whose most overlapping prediction
        was dropped for its size has no distances.
    """
    names = ("dice", "iou", "hausdorff_mm", "hd95_mm", "assd_mm", "nsd")
    sums = np.zeros((len(cases), len(names)))
    counts = np.zeros_like(sums)
    for n, case in enumerate(cases):
        for lesion in case.references:
            if lesion.found and lesion.best is not None:
                surface = lesion.best.surface or SurfaceScores(None, None, None, None)
                distances = (surface.hausdorff_mm, surface.hd95_mm, surface.assd_mm, surface.nsd)
                values = np.array([lesion.best.dice, lesion.best.iou, *distances], dtype=np.float64)
                sums[n] += np.nan_to_num(values)
                counts[n] += ~np.isnan(values)
    return ratio_measures(cases, names, sums, counts)


def froc_marks(cases: Sequence[CaseDetections]) -> Marks:
    """Marks of the predictions for FROC, AFROC and JAFROC; a prediction that hits several lesions marks each.

    Raises
    ------
    DatasetError
        If a prediction has no confidence; the message names the case.

    Notes
    -----
    Matching does not depend on the threshold: it is made once with all predictions, and a threshold then drops those
    below it. A case without prediction has lesions and no marks.
    """
    rows: list[tuple[int, int, float]] = []
    for n, case in enumerate(cases):
        number = {lesion.instance.id: position for position, lesion in enumerate(case.references)}
        for prediction in case.predictions:
            if prediction.instance.confidence is None:
                raise DatasetError(
                    f"case “{case.facts.case}”: predicted lesion {prediction.instance.id} has no confidence",
                    expected="CASE.confidence.csv or CASE_probability.nii.gz beside each prediction",
                )
            marked = [number[hit] for hit in prediction.hits] or [-1]
            rows += [(n, lesion, prediction.instance.confidence) for lesion in marked]
    table = np.array(rows, dtype=np.float64).reshape(-1, 3)
    return Marks(
        table[:, 0].astype(np.intp),
        table[:, 1].astype(np.intp),
        table[:, 2],
        np.array([len(case.references) for case in cases], dtype=np.intp),
        patient_numbers(cases),
    )


def false_positive_causes(cases: Sequence[CaseDetections]) -> dict[str, int]:
    """Number of false positives by reviewed cause, most frequent first, those without a cause last."""
    counts = Counter(x.instance.cause or NOT_REVIEWED for case in cases for x in case.predictions if not x.true)
    rest = {NOT_REVIEWED: counts.pop(NOT_REVIEWED)} if NOT_REVIEWED in counts else {}
    return dict(sorted(counts.items(), key=lambda item: (-item[1], item[0]))) | rest
