"""Rad-scores of new lesions by a fitted signature, and which features drive each."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from osteomet import __version__
from osteomet.core.errors import ModelError, UsageError
from osteomet.core.findings import DISCLAIMER
from osteomet.core.signature import Signature, SignatureTerm
from osteomet.io.feature_table import FeatureTable, check_columns, read_features
from osteomet.io.output import output_file
from osteomet.io.signature_file import SignaturePackage, read_signature


@dataclass(frozen=True, slots=True)
class Driver:
    """What one feature adds to the Rad-score of a lesion: coefficient times standardised value."""

    feature: str
    value: float
    standardised: float
    coefficient: float
    contribution: float


@dataclass(frozen=True, slots=True)
class LesionPrediction:
    """Prediction for one lesion.

    ``drivers`` come in falling order of the size of their contributions, which sum up to ``rad_score``. Where a feature
    is missing there is no prediction, and ``note`` says which.
    """

    case: str
    lesion: str
    rad_score: float | None
    probability: float | None
    prediction: str | None
    drivers: tuple[Driver, ...]
    note: str = ""


def predict_from_table(model: Path, features: Path, out: Path) -> dict[str, Any]:
    """Predict every lesion of a table of features.

    Parameters
    ----------
    model
        Signature, or the folder of one.
    features
        Table of features, extracted with the settings of the training.
    out
        Table to write; a JSON file of the same name beside it has values, standardised values and contributions.

    Returns
    -------
    dict
        Content of the JSON file.

    Raises
    ------
    UsageError
        If a file is there already.
    ModelError
        If the signature cannot be used, or was fitted to features of other settings.
    InputError
        If the table cannot be used or lacks a feature.
    """
    beside = out.with_suffix(".json")
    for path in (out, beside):
        if path.exists():
            raise UsageError(f"{path} exists already", remedy="name a new file")
    package = read_signature(model)
    table = read_features(features)
    checked = _check_settings(package.signature, table)
    check_columns(table, [term.feature for term in package.signature.terms])
    predictions = [
        predict_lesion(package.signature, key[:2], dict(zip(table.names, values, strict=True)))
        for key, values in zip(table.lesions, table.values.tolist(), strict=True)
    ]
    document = _document(package, predictions, features, settings_checked=checked)
    with output_file(beside) as sidecar, output_file(out) as target:
        _write_csv(package.signature, predictions, target)
        text = json.dumps(document, indent=2, ensure_ascii=False, allow_nan=False)
        sidecar.write_text(text + "\n", encoding="utf-8")
    return document


def predict_lesion(signature: Signature, key: tuple[str, str], values: Mapping[str, float]) -> LesionPrediction:
    """Predict one lesion.

    Parameters
    ----------
    key
        Case and number of the lesion.
    values
        Features by name; NaN where one could not be computed.
    """
    missing = [term.feature for term in signature.terms if math.isnan(values[term.feature])]
    if missing:
        return LesionPrediction(*key, None, None, None, (), f"not computed: {', '.join(missing)}")
    drivers = sorted(
        (_driver(term, values[term.feature]) for term in signature.terms), key=lambda d: -abs(d.contribution)
    )
    score = math.fsum(driver.contribution for driver in drivers)
    probability = signature.probability(score)
    label = signature.classes[0 if probability >= 0.5 else 1]
    return LesionPrediction(*key, score, probability, label, tuple(drivers))


def _driver(term: SignatureTerm, value: float) -> Driver:
    """Contribution of a feature."""
    standardised = (value - term.centre) / term.scale
    return Driver(term.feature, value, standardised, term.coefficient, term.contribution(value))


def _check_settings(signature: Signature, table: FeatureTable) -> bool:
    """Whether the settings of the extraction could be compared; refuses features of other settings."""
    if signature.extraction is None or table.settings is None:
        return False
    trained, given = dict(signature.extraction), dict(table.settings)
    differing = sorted(key for key in {*trained, *given} if trained.get(key) != given.get(key))
    if differing:
        raise ModelError(
            f"the signature “{signature.name}” was fitted to features of other settings",
            expected=", ".join(f"{key} = {trained.get(key)}" for key in differing),
            got=", ".join(f"{key} = {given.get(key)}" for key in differing),
            remedy="extract the features again with the settings of the training",
        )
    return True


def _document(
    package: SignaturePackage, predictions: Sequence[LesionPrediction], features: Path, *, settings_checked: bool
) -> dict[str, Any]:
    """Content of the JSON file."""
    signature = package.signature
    return {
        "software": f"osteomet {__version__}",
        "disclaimer": DISCLAIMER,
        "signature": {"name": signature.name, "sha256": package.sha256},
        "features": features.name,
        "settings_checked": settings_checked,
        "lesions": [
            {
                "case": one.case,
                "lesion": one.lesion,
                "rad_score": one.rad_score,
                "probabilities": _probabilities(signature, one),
                "prediction": one.prediction,
                "drivers": [asdict(driver) for driver in one.drivers],
                "note": one.note,
            }
            for one in predictions
        ],
    }


def _probabilities(signature: Signature, one: LesionPrediction) -> dict[str, float | None]:
    """Probability of each class."""
    p = one.probability
    return dict(zip(signature.classes, (p, None if p is None else 1 - p), strict=True))


def _write_csv(signature: Signature, predictions: Sequence[LesionPrediction], path: Path) -> None:
    """Write one row a lesion; contributions in the order of the signature."""
    names = [term.feature for term in signature.terms]
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow(
            ("case", "lesion", "rad_score", *(f"probability_{label}" for label in signature.classes), "prediction")
            + (*(f"contribution_{name}" for name in names), "note")
        )
        for one in predictions:
            added = {driver.feature: driver.contribution for driver in one.drivers}
            probabilities = _probabilities(signature, one).values()
            contributions = (added.get(name) for name in names)
            writer.writerow(
                (one.case, one.lesion, one.rad_score, *probabilities, one.prediction, *contributions, one.note)
            )
