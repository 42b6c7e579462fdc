"""A fitted classifier of lesions as a model package."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from osteomet import __version__
from osteomet.core.classifier import ClassifierPart
from osteomet.core.model import ModelDescription
from osteomet.core.volume import Modality
from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.tables import format_metric
from osteomet.io.model_package import ModelPackage, read_package, write_package
from osteomet.training.bags import Bagged, Cubes
from osteomet.training.classifier_recipe import ClassifierRecipe

_LIMITATIONS = (
    "Says which of its classes a lesion that somebody outlined is likelier to be, as if both were as frequent; it "
    "knows no other class. It was judged on patients of the same data set: another scanner or protocol can change all."
)


def part_of(bagged: Bagged, recipe: ClassifierRecipe) -> ClassifierPart:
    """What a package says about an ensemble."""
    return ClassifierPart(
        network=recipe.network(len(bagged.channels)),
        channels=bagged.channels,
        side=recipe.side,
        edge_mm=recipe.edge_mm,
        classes=recipe.classes,
        weights=tuple(f"weights/member-{n}.safetensors" for n in range(len(bagged.members))),
    )


def write_classifier(
    bagged: Bagged, recipe: ClassifierRecipe, cubes: Cubes, metrics: Mapping[str, Metric], folder: Path
) -> ModelPackage:
    """Write an ensemble as a package into a folder that does not exist yet, and read it back."""
    part = part_of(bagged, recipe)
    n_patients, n_positive = len(set(cubes.patients.tolist())), int(cubes.truth.sum())
    description = ModelDescription(
        name=recipe.name,
        version=__version__,
        task=f"class of a lesion: {' or '.join(recipe.classes)}",
        modality=Modality.MR,
        parts=(),
        training_data=f"{len(cubes.names)} lesions of {n_patients} patients: {n_positive} {recipe.positive}, "
        f"{len(cubes.names) - n_positive} {recipe.negative}.",
        training_command="osteomet classify fit --data DATASET --task lesion --out DIR",
        intended_use="Research on lesions that somebody outlined. Not for decisions about patients.",
        limitations=_LIMITATIONS,
        licence="that of the data it was trained on",
        metrics={name: metric.as_json() for name, metric in metrics.items()},
        files={},
        classifier=part,
    )
    weights = dict(zip(part.weights, bagged.members, strict=True))
    write_package(description, weights, card=_card(description, part, metrics), folder=folder)
    return read_package(folder)


def _card(description: ModelDescription, part: ClassifierPart, metrics: Mapping[str, Metric]) -> str:
    """The model card, Markdown."""
    rows = "\n".join(f"| `{name}` | {format_metric(metric)} |" for name, metric in metrics.items())
    channels = "\n".join(f"- {channel.name}" for channel in part.channels)
    return f"""# Model card: {description.name} {description.version}

Research software, not a medical device.

## What it does

{description.task.capitalize()}. An ensemble of 3D Inception-ResNet-v2 of width {part.network.width:g}, members:
{len(part.weights)}, each trained on a bootstrap sample of the patients, sees cubes of {part.side} voxels of
{part.edge_mm:g} mm. Run it with `osteomet classify predict`.

## Images it takes

{channels}

and a map of the lesions on their grid.

## Training data

{description.training_data}

## What it was tested on

Lesions of patients that ensembles of the same making had not seen; the networks of this package themselves were
trained on all of them. Intervals are 95 %.

| figure | value |
| --- | --- |
{rows}

## Intended use

{description.intended_use}

## Limitations

{description.limitations}

## Licence

{description.licence}
"""
