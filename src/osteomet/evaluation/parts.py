"""The figures of label maps that one bootstrap over patients serves, each under its dotted name."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from osteomet.evaluation.detection import (
    COUNT_BINS,
    UNKNOWN,
    VOLUME_BINS,
    by_label,
    by_site,
    by_type,
    by_volume,
    detection_measures,
    overlap_measures,
    ppv_by_label,
    sensitivity_by,
)
from osteomet.evaluation.instances import CaseInstances
from osteomet.evaluation.matching import CaseDetections, match_case
from osteomet.evaluation.measures import Measures, OfCase, ratio_measures
from osteomet.evaluation.patients import SeriesLesions, lesions_of_patients
from osteomet.evaluation.protocols import Protocol
from osteomet.evaluation.segmentation import CaseVoxels, case_mean_measures, pooled_measures
from osteomet.stats.froc import Marks, froc_statistic, jafroc_statistic

CASE_GROUPS = ("centre", "scanner", "sequence")
"""Columns of ``cases.csv`` by which figures are broken down."""

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per case at which the FROC curve is read."""

POOLED = ("dice", "iou", "accuracy", "recall", "precision")
"""Figures that can be counted over the voxels of all cases together."""


def slug(name: str) -> str:
    """Make a name fit for the end of a dotted metric name.

    Examples
    --------
    >>> slug("3.0 T Achieva")
    '3_0_T_Achieva'
    """
    return "".join(c if c.isalnum() or c in "_-" else "_" for c in name)


def count_group(n_lesions: int) -> str:
    """Group of a patient by its number of reference lesions.

    Examples
    --------
    >>> count_group(0), count_group(3)
    ('no_lesion', '2_3_lesions')
    """
    return "no_lesion" if n_lesions == 0 else next(name for name, high in COUNT_BINS if n_lesions <= high)


def case_groups(cases: Sequence[OfCase], column: str) -> dict[str, str]:
    """Value of a column for each case, by case; empty where no case has one."""
    groups = {case.facts.case: case.facts.columns.get(column, UNKNOWN) for case in cases}
    return groups if set(groups.values()) - {UNKNOWN} else {}


def series_lesions(case: CaseDetections) -> SeriesLesions:
    """What one case says about its patient."""
    n_predicted = len(case.predictions) if case.predicted else None
    sequence = case.facts.columns.get("sequence", "")
    return SeriesLesions(case.facts.case, case.facts.patient, sequence, len(case.references), n_predicted, case.score)


@dataclass(frozen=True, slots=True)
class VoxelGroup:
    """Cases and a label whose voxel figures belong together, others without records; ``end`` closes their names."""

    end: str
    cases: tuple[CaseVoxels, ...]
    label: str | None

    def spread(self, metric: str) -> float | None:
        """Standard deviation of a metric over the cases, None below two."""
        records = [record for case in self.cases if (record := case.of(self.label)) is not None]
        values = [value for record in records if (value := record.value(metric)) is not None]
        return float(np.std(values, ddof=1)) if len(values) > 1 else None


def voxel_groups(voxels: Sequence[CaseVoxels], labels: Sequence[str]) -> list[VoxelGroup]:
    """All cases, for all labels together and for each; the cases of each centre, scanner and sequence.

    Labels are told apart within sequences, not within centres and scanners.
    """
    found = []
    for label in (None, *labels):
        start = "" if label is None else f".{slug(label)}"
        found.append(VoxelGroup(start, tuple(voxels), label))
        for column in CASE_GROUPS if label is None else ("sequence",):
            groups = case_groups(voxels, column)
            for value in sorted(set(groups.values())):
                cases = tuple(c if groups[c.facts.case] == value else replace(c, labels=()) for c in voxels)
                found.append(VoxelGroup(f"{start}.{column}.{slug(value)}", cases, label))
    return found


def voxel_parts(groups: Sequence[VoxelGroup], protocol: Protocol) -> list[Measures]:
    """Voxel and surface figures of each group as the protocol averages them, and overlap in the other way as well."""
    parts = []
    for group in groups:
        means, pooled = case_mean_measures(group.cases, group.label), pooled_measures(group.cases, group.label)
        rest = without(means, POOLED)
        if protocol.average == "pooled voxels":
            main, other, prefix = pooled, without(means, rest.names), "lesion_mean"
        else:
            main, other, prefix = without(means, rest.names), pooled, "lesion_pooled"
        parts += [named(main, f"lesion.{{}}{group.end}"), named(rest, f"lesion.{{}}{group.end}")]
        parts.append(named(other, f"{prefix}.{{}}{group.end}"))
    return parts


def voxel_spreads(groups: Sequence[VoxelGroup], protocol: Protocol) -> dict[str, float | None]:
    """Standard deviation over cases of each voxel figure that is a mean, by name."""
    pooled = protocol.average == "pooled voxels"
    return {
        f"{'lesion_mean' if pooled and metric in POOLED else 'lesion'}.{metric}{group.end}": group.spread(metric)
        for group in groups
        for metric in case_mean_measures(group.cases, group.label).names
    }


def without(measures: Measures, names: Collection[str]) -> Measures:
    """Figures less those of some names."""
    kept = [n for n, name in enumerate(measures.names) if name not in names]
    whole = measures.statistic
    return Measures(
        tuple(measures.names[n] for n in kept),
        replace(whole, evaluate=lambda weights: whole.evaluate(weights)[:, kept]),
        tuple(measures.numerators[n] for n in kept),
        tuple(measures.denominators[n] for n in kept),
    )


def named(measures: Measures, pattern: str, *, beta: float = 2.0) -> Measures:
    """Put names in the place of the braces; the F-beta is called by its β, such as f2 or f0_5."""
    f_beta = slug(f"f{beta:g}")
    return measures.renamed(lambda name: pattern.format(f_beta if name == "f_beta" else slug(name)))


def detection_parts(
    detections: Sequence[CaseDetections], labels: Sequence[str], *, beta: float = 2.0
) -> list[Measures]:
    """Figures over lesions: in total, of outlines, by volume, lesion count, label, type, site, and column of the cases.

    F-beta is given with β = 2 always, and with ``beta`` where that is another number than 1 or 2.
    """
    bins = [name for name, _, _ in VOLUME_BINS]
    parts = [
        named(detection_measures(detections), "detection.{}"),
        *_other_beta(detections, beta, "detection.{}"),
        named(overlap_measures(detections), "detection.outline.{}"),
        named(sensitivity_by(detections, by_volume, order=bins), "detection.sensitivity.{}"),
        _by_case(detections, _count_groups(detections), order=["no_lesion", *(name for name, _ in COUNT_BINS)]),
    ]
    if labels:
        parts += [
            named(sensitivity_by(detections, by_label, order=labels), "detection.sensitivity.{}"),
            named(ppv_by_label(detections, order=labels), "detection.ppv.{}"),
        ]
    for name, group in (("type", by_type), ("site", by_site)):
        measures = sensitivity_by(detections, group)
        if set(measures.names) - {UNKNOWN, *labels}:
            parts.append(named(measures, f"detection.sensitivity.{name}.{{}}"))
    for column in CASE_GROUPS:
        if groups := case_groups(detections, column):
            parts.append(_by_case(detections, groups, prefix=f"{column}."))
    return parts


def label_parts(instances: Sequence[CaseInstances], protocol: Protocol, labels: Sequence[str]) -> list[Measures]:
    """F-beta, panoptic quality and false positives of the lesions of each label alone."""
    parts = []
    for label in labels:
        cases = [match_case(case.of_label(label), protocol.rule) for case in instances]
        pattern = f"detection.{{}}.{slug(label)}"
        parts.append(named(without(detection_measures(cases), ("sensitivity", "ppv")), pattern))
        parts += _other_beta(cases, protocol.beta, pattern)
    return parts


def marked_parts(marks: Marks) -> list[Measures]:
    """Readings of the FROC curve and the JAFROC figures of merit."""
    rates = tuple(f"detection.sensitivity.at_{rate:g}_fp".replace("0.", "0_") for rate in FROC_RATES)
    nothing = (None,) * len(rates)
    return [
        Measures(rates, froc_statistic(marks, FROC_RATES), nothing, nothing),
        Measures(("detection.jafroc",), jafroc_statistic(marks), (None,), (None,)),
        Measures(("detection.jafroc1",), jafroc_statistic(marks, false_positives="all"), (None,), (None,)),
    ]


def _other_beta(detections: Sequence[CaseDetections], beta: float, pattern: str) -> list[Measures]:
    """F-beta alone, where its β is not one that is given anyway."""
    if beta in (1.0, 2.0):
        return []
    measures = detection_measures(detections, beta=beta)
    return [named(without(measures, set(measures.names) - {"f_beta"}), pattern, beta=beta)]


def _count_groups(detections: Sequence[CaseDetections]) -> dict[str, str]:
    """Group of each case by the number of lesions of its patient."""
    counts = lesions_of_patients([series_lesions(case) for case in detections])
    return {case.facts.case: count_group(counts[case.facts.patient]) for case in detections}


def _by_case(
    detections: Sequence[CaseDetections], groups: Mapping[str, str], *, order: Sequence[str] = (), prefix: str = ""
) -> Measures:
    """Sensitivity, PPV and false positives per case of groups of cases."""
    names = tuple(dict.fromkeys((*order, *sorted(groups.values()))))
    tops = np.zeros((len(detections), 3, len(names)))
    bottoms = np.zeros_like(tops)
    for n, case in enumerate(detections):
        column = names.index(groups[case.facts.case])
        true = sum(p.true for p in case.predictions)
        tops[n, :, column] = sum(r.found for r in case.references), true, len(case.predictions) - true
        bottoms[n, :, column] = len(case.references), len(case.predictions), 1
    figures = [f"detection.{f}.{prefix}{slug(name)}" for f in ("sensitivity", "ppv", "fp_per_case") for name in names]
    return ratio_measures(detections, figures, tops.reshape(len(detections), -1), bottoms.reshape(len(detections), -1))
