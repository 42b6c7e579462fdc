"""Every definition that an evaluation uses, in words and numbers, for ``metrics.json`` and the report."""

from __future__ import annotations

from typing import Any

from osteomet.evaluation.cases import CaseSettings
from osteomet.evaluation.instances import CONNECTIVITY
from osteomet.evaluation.metrics import Resampling
from osteomet.evaluation.protocols import Protocol


def lesion_definitions(protocol: Protocol, settings: CaseSettings, resampling: Resampling) -> dict[str, Any]:
    """Definitions of an evaluation of label maps."""
    words = protocol.rule.describe(by_label=protocol.by_label)
    pooled = protocol.average == "pooled voxels"
    return {
        "protocol": protocol.name,
        "matching_rule": words["matching"],
        "splits_and_merges": words["splits and merges"],
        "labels": words["labels"],
        "connectivity": CONNECTIVITY,
        "components": words["connectivity"],
        "minimum_volume_ml": protocol.rule.minimum_volume_ml,
        "minimum_volume": words["minimum volume"],
        "voxel_figures": "lesion: dice, iou, accuracy, recall and precision count the voxels of all cases together; "
        "volumetric similarity and distances are means over cases; lesion_mean: means over cases"
        if pooled
        else "lesion: means over the cases for which a figure is defined; lesion_pooled: over the voxels of all cases",
        "denominators": {
            "lesion": "voxels of all cases" if pooled else "cases for which the figure is defined",
            "detection.sensitivity": "reference lesions",
            "detection.ppv": "predicted lesions",
            "detection.fp_per_case": "all cases, those without lesions included; a case is one series",
            "detection.pq": "half the sum of reference and predicted lesions; pairs have an IoU above 0.5",
            "patient": "patients; a patient is positive when any case has a lesion",
        },
        "f_beta": _f_beta(protocol.beta),
        "nsd_tolerance_mm": settings.tolerance_mm,
        "hausdorff": "largest distance between voxel centres; hd95: 95th percentile of distances between surfaces by "
        "area, the larger direction",
        "empty_cases": "overlap figures are undefined when reference and prediction are empty, and 0 when one is; "
        "distances are undefined when either is; undefined figures take no part in a mean",
        "missing_predictions": "count as empty predictions and are listed",
        "bootstrap": _bootstrap(resampling),
        "patient_intervals": "Clopper–Pearson for proportions, Wilson beside in patient_figures.csv; DeLong on the log "
        "odds for areas",
        "comparisons": "on the same patients; p_holm by Holm over all rows of one test in a table; p of metrics is "
        "before correction",
    }


def class_definitions(resampling: Resampling) -> dict[str, Any]:
    """Definitions of an evaluation of classified cases."""
    return {
        "accuracy_of_a_class": "the class against the rest",
        "unpredicted_cases": "count as wrong and are listed",
        "bootstrap": _bootstrap(resampling),
        "class_intervals": "Clopper–Pearson and DeLong where each patient has one case, otherwise patients resampled",
    }


def _f_beta(beta: float) -> str:
    usual = "f1 weighs recall and precision alike, f2 recall twice as much (β = 2)"
    return usual if beta in (1.0, 2.0) else f"{usual}; f{beta:g} with β = {beta:g}"


def _bootstrap(resampling: Resampling) -> dict[str, Any]:
    return {
        "unit": "patient",
        "method": "BCa",
        "seed": resampling.seed,
        "draws": resampling.n_draws,
        "level": resampling.level,
    }
