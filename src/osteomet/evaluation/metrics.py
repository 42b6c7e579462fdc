"""Every metric of a set of evaluated cases, by its dotted name, from one bootstrap over patients."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteomet.evaluation.cases import EvaluatedCases
from osteomet.evaluation.detection import (
    COUNT_BINS,
    UNKNOWN,
    VOLUME_BINS,
    by_label,
    by_site,
    by_volume,
    detection_measures,
    froc_marks,
    overlap_measures,
    ppv_by_label,
    sensitivity_by,
)
from osteomet.evaluation.instances import CaseInstances
from osteomet.evaluation.matching import CaseDetections, match_case
from osteomet.evaluation.measures import Measures, join_measures, ratio_measures
from osteomet.evaluation.observers import VolumeAgreement, volume_agreement
from osteomet.evaluation.patient_figures import PatientFigures, patient_figures
from osteomet.evaluation.patients import PatientTable, SeriesLesions, patient_table
from osteomet.evaluation.protocols import Protocol
from osteomet.evaluation.segmentation import METRIC_UNITS, CaseVoxels, case_mean_measures, pooled_measures
from osteomet.stats.froc import Marks, froc_statistic, jafroc_statistic
from osteomet.stats.intervals import Estimate

CASE_GROUPS = ("centre", "scanner", "sequence")
"""Columns of ``cases.csv`` by which detection is broken down."""

FROC_RATES = (0.125, 0.25, 0.5, 1.0, 2.0, 4.0, 8.0)
"""False positives per case at which the FROC curve is read."""

_UNIT_OF = {**METRIC_UNITS, "fp_per_case": "per case", "fp_per_series": "per case"}


@dataclass(frozen=True, slots=True)
class Resampling:
    """Seed and number of draws of the bootstrap over patients, and the level of its intervals (BCa)."""

    seed: int = 20241
    n_draws: int = 10_000
    level: float = 0.95

    def rng(self) -> np.random.Generator:
        """Generator that starts from the seed."""
        return np.random.default_rng(self.seed)


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure with its interval and unit; ``sd`` is the standard deviation over cases where it is their mean."""

    estimate: Estimate
    unit: str = "1"
    sd: float | None = None

    def as_json(self) -> dict[str, float | str | None]:
        """Entry of ``metrics.json``."""
        e = self.estimate
        return {
            "value": e.value,
            "low": e.low,
            "high": e.high,
            "numerator": e.numerator,
            "denominator": e.denominator,
            "unit": self.unit,
        }


@dataclass(frozen=True, slots=True, eq=False)
class LesionEvaluation:
    """All results on label maps under one protocol.

    ``labels`` are those that reference and prediction tell apart. ``volumes`` compares the lesion volume of each case.
    ``marks`` are None unless every prediction has a confidence. ``sequences`` has the patients by sequence where there
    are several.
    """

    protocol: Protocol
    voxels: tuple[CaseVoxels, ...]
    detections: tuple[CaseDetections, ...]
    labels: tuple[str, ...]
    metrics: Mapping[str, Metric]
    volumes: VolumeAgreement
    marks: Marks | None
    patients: PatientTable
    sequences: tuple[PatientTable, ...]


def evaluate_lesions(cases: EvaluatedCases, protocol: Protocol, resampling: Resampling) -> LesionEvaluation:
    """Compute every metric of evaluated cases.

    Parameters
    ----------
    cases
        Records of the cases; those without prediction count as empty ones.
    protocol
        How lesions are matched and voxel figures averaged.
    resampling
        Seed, draws and level of the intervals.

    Notes
    -----
    All figures of lesions and voxels come from the same resamples of patients. Those of patients have binomial
    (Clopper–Pearson) and DeLong intervals, those of volumes the intervals of Bland and Altman.
    """
    voxels = tuple(record.voxels for record in cases.records)
    instances = tuple(record.instances for record in cases.records)
    detections = tuple(match_case(case, protocol.rule) for case in instances)
    labels = tuple(dict.fromkeys(r.label for case in voxels for r in case.labels if r.label is not None))
    marks = froc_marks(detections) if _all_scored(detections) else None
    parts = [
        *_voxel_parts(voxels, protocol, labels),
        *_detection_parts(detections, labels),
        *(_label_parts(instances, protocol, labels) if protocol.by_label else ()),
        *(_marked_parts(marks) if marks is not None else ()),
    ]
    estimates = join_measures(parts).estimates(rng=resampling.rng(), n_draws=resampling.n_draws, level=resampling.level)
    metrics = {name: Metric(e, _unit(name), _spread(name, voxels, protocol, labels)) for name, e in estimates.items()}
    calls = [call.call() for call in map(_series_lesions, detections)]
    patients = patient_table(calls)
    metrics |= _patient_metrics(patient_figures(patients, level=resampling.level))
    names = sorted({call.sequence for call in calls})
    sequences = tuple(patient_table(calls, sequence=name) for name in names) if len(names) > 1 else ()
    for table in sequences:
        metrics |= _patient_metrics(patient_figures(table, level=resampling.level), f".sequence.{slug(table.name)}")
    volumes = volume_agreement(*volumes_ml(voxels), level=resampling.level)
    metrics |= _volume_metrics(volumes)
    return LesionEvaluation(protocol, voxels, detections, labels, metrics, volumes, marks, patients, sequences)


def volumes_ml(voxels: Sequence[CaseVoxels]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Volume of all lesions of each case, ml, in the reference and in the prediction."""
    records = [record for case in voxels if (record := case.of(None)) is not None]
    return np.array([r.reference_ml for r in records]), np.array([r.prediction_ml for r in records])


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


def _voxel_parts(voxels: Sequence[CaseVoxels], protocol: Protocol, labels: Sequence[str]) -> list[Measures]:
    """Voxel and surface figures of all labels together and of each; pooled ones replace means where asked for."""
    parts = []
    for label in (None, *labels):
        pattern = "lesion.{}" if label is None else f"lesion.{{}}.{slug(label)}"
        means = case_mean_measures(voxels, label)
        if protocol.average == "pooled voxels":
            pooled = pooled_measures(voxels, label)
            means = _without(means, pooled.names)
            parts.append(_named(pooled, pattern))
        parts.append(_named(means, pattern))
    return parts


def _without(measures: Measures, names: Sequence[str]) -> Measures:
    """Figures less those of some names."""
    kept = [n for n, name in enumerate(measures.names) if name not in names]
    whole = measures.statistic
    return Measures(
        tuple(measures.names[n] for n in kept),
        replace(whole, evaluate=lambda weights: whole.evaluate(weights)[:, kept]),
        tuple(measures.numerators[n] for n in kept),
        tuple(measures.denominators[n] for n in kept),
    )


def _detection_parts(detections: Sequence[CaseDetections], labels: Sequence[str]) -> list[Measures]:
    """Figures over lesions: in total, of outlines, by volume, lesion count, label, site, and by column of the cases."""
    bins = [name for name, _, _ in VOLUME_BINS]
    parts = [
        _named(detection_measures(detections, beta=2.0), "detection.{}"),
        _named(overlap_measures(detections), "detection.outline.{}"),
        _named(sensitivity_by(detections, by_volume, order=bins), "detection.sensitivity.{}"),
        _by_case(detections, _count_groups(detections), order=["no_lesion", *(name for name, _ in COUNT_BINS)]),
    ]
    if labels:
        parts += [
            _named(sensitivity_by(detections, by_label, order=labels), "detection.sensitivity.{}"),
            _named(ppv_by_label(detections, order=labels), "detection.ppv.{}"),
        ]
    sites = sensitivity_by(detections, by_site)
    if set(sites.names) - {UNKNOWN}:
        parts.append(_named(sites, "detection.sensitivity.site.{}"))
    for column in CASE_GROUPS:
        groups = {case.facts.case: case.facts.columns.get(column, UNKNOWN) for case in detections}
        if set(groups.values()) - {UNKNOWN}:
            parts.append(_by_case(detections, groups, prefix=f"{column}."))
    return parts


def _named(measures: Measures, pattern: str) -> Measures:
    """Put names in the place of the braces; the F-beta is f2 by its β."""
    return measures.renamed(lambda name: pattern.format("f2" if name == "f_beta" else slug(name)))


def _label_parts(instances: Sequence[CaseInstances], protocol: Protocol, labels: Sequence[str]) -> list[Measures]:
    """F-beta, panoptic quality and false positives of the lesions of each label alone."""
    parts = []
    for label in labels:
        cases = [match_case(case.of_label(label), protocol.rule) for case in instances]
        measures = _without(detection_measures(cases, beta=2.0), ("sensitivity", "ppv"))
        parts.append(_named(measures, f"detection.{{}}.{slug(label)}"))
    return parts


def _count_groups(detections: Sequence[CaseDetections]) -> dict[str, str]:
    """Group of each case by the number of lesions of its patient."""
    counts: Counter[str] = Counter()
    for case in detections:
        counts[case.facts.patient] += len(case.references)
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


def _marked_parts(marks: Marks) -> list[Measures]:
    """Readings of the FROC curve and the JAFROC figures of merit."""
    rates = tuple(f"detection.sensitivity.at_{rate:g}_fp".replace("0.", "0_") for rate in FROC_RATES)
    nothing = (None,) * len(rates)
    return [
        Measures(rates, froc_statistic(marks, FROC_RATES), nothing, nothing),
        Measures(("detection.jafroc",), jafroc_statistic(marks), (None,), (None,)),
        Measures(("detection.jafroc1",), jafroc_statistic(marks, false_positives="all"), (None,), (None,)),
    ]


def _all_scored(detections: Sequence[CaseDetections]) -> bool:
    """Whether there are predicted lesions and each has a confidence."""
    confidences = [p.instance.confidence for case in detections for p in case.predictions]
    return bool(confidences) and None not in confidences


def _series_lesions(case: CaseDetections) -> SeriesLesions:
    """What one case says about its patient."""
    n_predicted = len(case.predictions) if case.predicted else None
    sequence = case.facts.columns.get("sequence", "")
    return SeriesLesions(case.facts.case, case.facts.patient, sequence, len(case.references), n_predicted, case.score)


def _patient_metrics(figures: PatientFigures, end: str = "") -> dict[str, Metric]:
    accuracy = figures.clopper_pearson
    return {
        f"patient.{name}{end}": Metric(estimate)
        for name, estimate in (
            ("sensitivity", accuracy.sensitivity),
            ("specificity", accuracy.specificity),
            ("accuracy", accuracy.accuracy),
            ("ppv", accuracy.ppv),
            ("npv", accuracy.npv),
            ("auc", figures.auc),
            ("auc_of_calls", figures.auc_of_calls),
        )
    }


def _volume_metrics(volumes: VolumeAgreement) -> dict[str, Metric]:
    agreement = volumes.bland_altman
    return {
        "volume.bias_ml": Metric(agreement.bias, "ml"),
        "volume.lower_limit_ml": Metric(agreement.lower, "ml"),
        "volume.upper_limit_ml": Metric(agreement.upper, "ml"),
        "volume.icc": Metric(volumes.icc),
    }


def _unit(name: str) -> str:
    """Unit of a metric of lesions or voxels by the part of its name that says what it is."""
    return next((_UNIT_OF[part] for part in name.split(".") if part in _UNIT_OF), "1")


def _spread(name: str, voxels: Sequence[CaseVoxels], protocol: Protocol, labels: Sequence[str]) -> float | None:
    """Standard deviation over cases of a voxel figure that is a mean; None for all else and below two cases."""
    group, _, rest = name.partition(".")
    metric, _, end = rest.partition(".")
    pooled = protocol.average == "pooled voxels" and metric in ("dice", "iou", "accuracy", "recall", "precision")
    if group != "lesion" or pooled:
        return None
    label = next((x for x in labels if slug(x) == end), None)
    values = [record.value(metric) for case in voxels if (record := case.of(label)) is not None]
    defined = [v for v in values if v is not None]
    return float(np.std(defined, ddof=1)) if len(defined) > 1 else None
