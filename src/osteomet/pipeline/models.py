"""Bring a model in and take one out: native packages, and what nnU-Net v2 trained."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from osteomet.core.errors import ModelError, UsageError
from osteomet.core.model import ModelDescription, NnunetPart
from osteomet.inference.ensemble import build_ensemble
from osteomet.io.model_package import (
    DESCRIPTION_FILE,
    ModelPackage,
    Tensors,
    find_package,
    package_names,
    read_files,
    read_package,
    write_package,
)
from osteomet.io.nnunet_folder import TrainedFolder, holds_configuration, holds_nnunet, read_trained_folder
from osteomet.io.nnunet_plans import describe_part, modality_of, previous_stage
from osteomet.io.package_files import list_files, write_zip
from osteomet.nn.checkpoint import Checkpoint, read_checkpoint

_NAME = re.compile(r"[A-Za-z0-9][A-Za-z0-9._+-]{0,99}")
_USUAL_TRAINER = "nnUNetTrainer"
_PLANNED = (
    "Network and preprocessing follow plans.json. What a trainer changes in its own code is not followed, but a network"
    " of another shape is refused."
)


def import_model(source: Path, models: Path, *, name: str | None, configuration: str | None) -> ModelPackage:
    """Make a model available by its name.

    Parameters
    ----------
    source
        A model package, or what nnU-Net v2 trained; folder or zip.
    models
        Folder of imported packages; made where it is missing.
    name
        What to call it; by default a package keeps its name, and a network of nnU-Net is called
        ``DATASET-CONFIGURATION``.
    configuration
        Which configuration of nnU-Net to take, where there are several.

    Returns
    -------
    ModelPackage
        As it now lies in ``models``, checked.

    Raises
    ------
    UsageError
        If the name is taken or cannot be one, or it is not clear which configuration is meant.
    ModelError
        If the source cannot be used; nothing is written then.

    Notes
    -----
    The networks are built and filled with their weights once, so that a model that was imported can be run.
    """
    listed = list_files(source)
    if holds_nnunet(listed) and DESCRIPTION_FILE not in listed.sizes:
        trained = read_trained_folder(source, configuration=configuration)
        draft = _from_nnunet(source, trained, name)
    else:
        given = read_package(source)
        draft = replace(given, description=replace(given.description, name=name or given.description.name))
    description = draft.description
    _check_name(description.name, models)
    for part in description.networks:
        build_ensemble(draft, part)
    folder = models / description.name
    write_package(description, draft.weights, card=draft.card, folder=folder, pictures=draft.pictures)
    return read_package(folder)


def export_model(name_or_path: str, out: Path, *, models: Path) -> ModelPackage:
    """Write a model package as one zip.

    Raises
    ------
    UsageError
        If the file exists, or its name does not end in .zip.
    ModelError
        If there is no such model, or it is damaged.
    """
    if out.suffix.lower() != ".zip":
        raise UsageError("a model is exported as a zip", expected="a name that ends in .zip", got=out.name)
    if out.exists():
        raise UsageError(f"{out} exists already", remedy="name a new file")
    path = find_package(name_or_path, imported=models)
    package = read_package(path)
    write_zip(read_files(path), out)
    return package


def _check_name(name: str, models: Path) -> None:
    """Refuse a name that is taken, or that is no plain file name."""
    if not _NAME.fullmatch(name):
        expected = "letters, digits and . _ + - (at most 100)"
        raise UsageError("a model cannot have this name", expected=expected, got=repr(name), remedy="pass --name")
    if name in package_names(models):
        raise UsageError(f"there is a model {name!r} already", remedy="pass --name to call the new one otherwise")


@dataclass(frozen=True, slots=True)
class _Trained:
    """Networks of a trained configuration, and the checkpoint of its first fold."""

    part: NnunetPart
    weights: Mapping[str, Tensors]
    checkpoint: Checkpoint


def _from_nnunet(source: Path, trained: TrainedFolder, name: str | None) -> ModelPackage:
    """Package of a trained configuration, of a cascade with its first stage; not written yet."""
    found = _networks(source, trained)
    description = _described(trained, found.part, found.checkpoint, name)
    return ModelPackage(description, found.weights, _card(description, found.part), sha256="")


def _networks(source: Path, trained: TrainedFolder) -> _Trained:
    """Networks of a trained configuration; the first stage of a cascade lies in the same source."""
    checkpoints = {fold: _checkpoint(trained, file) for fold, file in trained.checkpoints.items()}
    first = next(iter(checkpoints.values()))
    for checkpoint in checkpoints.values():
        same = checkpoint.configuration == first.configuration and checkpoint.mirror_axes == first.mirror_axes
        if not same:
            raise ModelError(
                "the folds were not trained alike",
                expected=f"{first.configuration}, mirrored along {first.mirror_axes}",
                got=f"{checkpoint.configuration}, mirrored along {checkpoint.mirror_axes}",
                remedy="keep the folds of one training in the folder",
            )
    before = _first_stage(source, previous_stage(trained.plans, first.configuration))
    part = describe_part(
        trained.plans,
        trained.dataset,
        first.configuration,
        first.mirror_axes,
        first=None if before is None else before.part,
    )
    n_stages = len(part.network.features)
    weights: dict[str, Tensors] = {
        f"weights/fold_{fold}.safetensors": checkpoint.tensors(n_stages) for fold, checkpoint in checkpoints.items()
    }
    part = replace(part, weights=tuple(weights))
    return _Trained(part, weights if before is None else {**before.weights, **weights}, first)


def _first_stage(source: Path, configuration: str) -> _Trained | None:
    """Networks of the first stage of a cascade; None where there is none, or it is not in the source."""
    if not configuration or not holds_configuration(source, configuration):
        return None
    found = _networks(source, read_trained_folder(source, configuration=configuration))
    names = {name: name.replace("weights/", f"weights/{configuration}-") for name in found.part.weights}
    part = replace(found.part, weights=tuple(names.values()))
    return replace(found, part=part, weights={names[name]: tensors for name, tensors in found.weights.items()})


def _checkpoint(trained: TrainedFolder, file: str) -> Checkpoint:
    return read_checkpoint(trained.files.read([file])[file], file)


def _described(trained: TrainedFolder, part: NnunetPart, checkpoint: Checkpoint, name: str | None) -> ModelDescription:
    """What the package says; nnU-Net states little of it."""
    dataset, data = trained.dataset, str(trained.plans.get("dataset_name", "dataset"))
    folds = ", ".join(trained.checkpoints)
    note = "" if checkpoint.trainer == _USUAL_TRAINER else f" Trained with {checkpoint.trainer}."
    return ModelDescription(
        name=name or f"{data}-{part.configuration}",
        version="1",
        task=f"segmentation: {', '.join(n for n, v in zip(part.outputs, part.values, strict=True) if v)}",
        modality=modality_of(dataset),
        parts=(),
        training_data=f"{data}: {dataset.get('numTraining', 'an unknown number of')} cases{_stated(dataset)}",
        training_command=f"nnU-Net v2, {checkpoint.trainer}, {part.configuration}, folds {folds}",
        intended_use="Not stated by nnU-Net; ask whom trained the model. Research only.",
        limitations=f"Not tested by osteomet. {_PLANNED}{note}",
        licence=str(dataset.get("licence") or dataset.get("license") or "not stated"),
        metrics={},
        files={},
        nnunet=part,
    )


def _stated(dataset: Mapping[str, Any]) -> str:
    """What dataset.json says about where the data come from."""
    said = [str(dataset[key]) for key in ("description", "reference") if dataset.get(key)]
    return "".join(f"; {text}" for text in said)


def _card(description: ModelDescription, part: NnunetPart) -> str:
    """The model card, Markdown."""
    channels = "\n".join(f"- `_{n:04d}`: {c.name}" for n, c in enumerate(part.channels))
    labels = "\n".join(f"- {value}: {name}" for name, value in zip(part.outputs, part.values, strict=True) if value)
    return f"""# Model card: {description.name}

Imported from nnU-Net v2. Research software, not a medical device.

## What it does

Outlines, with {len(part.weights)} network(s) of configuration {part.configuration}:

{labels}

Run it with `osteomet predict`.

## Images it takes

{channels}

## Training data

{description.training_data}. {description.training_command}.

## Intended use

{description.intended_use}

## Limitations

{description.limitations}

## Licence

{description.licence}
"""
