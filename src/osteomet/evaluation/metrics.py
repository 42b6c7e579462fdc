"""Every metric of a set of evaluated cases, by its dotted name, from one bootstrap over patients."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from osteomet.evaluation.cases import EvaluatedCases
from osteomet.evaluation.detection import froc_marks
from osteomet.evaluation.matching import CaseDetections, match_case
from osteomet.evaluation.measures import join_measures
from osteomet.evaluation.observers import VolumeAgreement, volume_agreement
from osteomet.evaluation.parts import (
    case_groups,
    detection_parts,
    label_parts,
    marked_parts,
    series_lesions,
    slug,
    voxel_groups,
    voxel_parts,
    voxel_spreads,
)
from osteomet.evaluation.patient_figures import PatientFigures, patient_figures, subgroup_figures
from osteomet.evaluation.patients import ANY_SEQUENCE, PatientTable, patient_table
from osteomet.evaluation.protocols import Protocol
from osteomet.evaluation.segmentation import METRIC_UNITS, CaseVoxels
from osteomet.stats.froc import Marks
from osteomet.stats.intervals import Estimate

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

    ``labels`` are those that reference and prediction tell apart. ``marks`` are None unless every prediction has a
    confidence. ``figures`` are those of all patients, then of each sequence (where there are several), centre and
    scanner.
    """

    protocol: Protocol
    voxels: tuple[CaseVoxels, ...]
    detections: tuple[CaseDetections, ...]
    labels: tuple[str, ...]
    metrics: Mapping[str, Metric]
    marks: Marks | None
    patients: PatientTable
    figures: tuple[PatientFigures, ...]


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
    groups = voxel_groups(voxels, labels)
    parts = [
        *voxel_parts(groups, protocol),
        *detection_parts(detections, labels, beta=protocol.beta),
        *(label_parts(instances, protocol, labels) if protocol.by_label else ()),
        *(marked_parts(marks) if marks is not None else ()),
    ]
    estimates = join_measures(parts).estimates(rng=resampling.rng(), n_draws=resampling.n_draws, level=resampling.level)
    spreads = voxel_spreads(groups, protocol)
    metrics = {name: Metric(e, _unit(name), spreads.get(name)) for name, e in estimates.items()}
    patients, figures = _patients(detections, resampling.level)
    metrics |= {name: metric for one in figures for name, metric in _patient_metrics(one).items()}
    metrics |= _volume_metrics(volume_agreement(*volumes_ml(voxels), level=resampling.level))
    for group in groups:
        if group.label is None and group.end.startswith(".sequence."):
            metrics |= _volume_metrics(volume_agreement(*volumes_ml(group.cases), level=resampling.level), group.end)
    return LesionEvaluation(protocol, voxels, detections, labels, metrics, marks, patients, figures)


def volumes_ml(voxels: Sequence[CaseVoxels]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Volume of all lesions of each case, ml, in the reference and in the prediction."""
    records = [record for case in voxels if (record := case.of(None)) is not None]
    return np.array([r.reference_ml for r in records]), np.array([r.prediction_ml for r in records])


def _all_scored(detections: Sequence[CaseDetections]) -> bool:
    """Whether there are predicted lesions and each has a confidence."""
    confidences = [p.instance.confidence for case in detections for p in case.predictions]
    return bool(confidences) and None not in confidences


def _patients(detections: Sequence[CaseDetections], level: float) -> tuple[PatientTable, tuple[PatientFigures, ...]]:
    """All patients; and their figures over all sequences, of each sequence, and of each centre and scanner."""
    calls = [series_lesions(case).call() for case in detections]
    patients = patient_table(calls)
    figures = [patient_figures(patients, level=level)]
    names = sorted({call.sequence for call in calls})
    if len(names) > 1:
        tables = [patient_table(calls, sequence=name) for name in names]
        figures += [replace(patient_figures(t, level=level), name=f"sequence.{slug(t.name)}") for t in tables]
    for column in ("centre", "scanner"):
        groups = case_groups(detections, column)
        of_patient: dict[str, str] = {}
        for case in detections if groups else ():
            value = groups[case.facts.case]
            of_patient[case.facts.patient] = value if of_patient.get(case.facts.patient, value) == value else "several"
        figures += [
            replace(group.figures, name=f"{column}.{slug(group.value)}")
            for group in subgroup_figures(patients, of_patient, level=level)
            if of_patient
        ]
    return patients, tuple(figures)


def _patient_metrics(figures: PatientFigures) -> dict[str, Metric]:
    """Metrics of all patients, or of a group with its name at the end."""
    accuracy = figures.clopper_pearson
    end = "" if figures.name == ANY_SEQUENCE else f".{figures.name}"
    return {
        f"patient.{name}{end}": Metric(estimate)
        for name, estimate in (
            ("sensitivity", accuracy.sensitivity),
            ("specificity", accuracy.specificity),
            ("accuracy", accuracy.accuracy),
            ("ppv", accuracy.ppv),
            ("npv", accuracy.npv),
            ("kappa", figures.kappa),
            ("auc", figures.auc),
            ("auc_of_calls", figures.auc_of_calls),
            ("ece", Estimate(figures.calibration.ece if figures.calibration else None)),
            ("brier", Estimate(figures.calibration.brier if figures.calibration else None)),
        )
    }


def _volume_metrics(volumes: VolumeAgreement, end: str = "") -> dict[str, Metric]:
    agreement = volumes.bland_altman
    return {
        f"volume.bias_ml{end}": Metric(agreement.bias, "ml"),
        f"volume.lower_limit_ml{end}": Metric(agreement.lower, "ml"),
        f"volume.upper_limit_ml{end}": Metric(agreement.upper, "ml"),
        f"volume.icc{end}": Metric(volumes.icc),
    }


def _unit(name: str) -> str:
    """Unit of a metric of lesions or voxels by the part of its name that says what it is."""
    return next((_UNIT_OF[part] for part in name.split(".") if part in _UNIT_OF), "1")
