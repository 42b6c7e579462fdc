"""The graders of a study as a model package: one member for each round."""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from osteomet import __version__
from osteomet.core.grader import GraderPart
from osteomet.core.model import ModelDescription
from osteomet.core.volume import Modality
from osteomet.evaluation.metrics import Metric
from osteomet.evaluation.tables import format_metric
from osteomet.io.model_package import write_package
from osteomet.training.grading import GradingRecipe

_LIMITATIONS = (
    "Says which grade an exam is likeliest to have, as if it were one of the data that it learnt from; another scanner,"
    " another part of the spine or other sequences can change all. Needs a bone map in which vertebrae close round"
    " their canal."
)


def write_grader(
    recipe: GradingRecipe,
    name: str,
    networks: Sequence[Any],
    metrics: Mapping[str, Metric],
    *,
    data: str,
    command: str,
    folder: Path,
) -> Path:
    """Write the networks of all rounds as an ensemble; replaces what a former run left. Returns the folder.

    Parameters
    ----------
    metrics
        Figures of exams that the networks had not seen, each exam by the network of its round.
    data
        What they learnt from, in words.
    command
        How to make them again.
    """
    part = GraderPart(
        network=recipe.networks[name].network,
        sequences=recipe.data.sequences,
        steps=recipe.preprocessing,
        outputs=recipe.data.grades,
        weights=tuple(f"weights/fold_{fold}.safetensors" for fold in range(len(networks))),
    )
    description = ModelDescription(
        name=f"{recipe.name}-{name}",
        version=__version__,
        task=f"grade of an exam: {', '.join(part.outputs)}",
        modality=Modality.MR,
        parts=(),
        training_data=f"{data} Each network was trained without one fold of {recipe.split.n_folds} of the patients.",
        training_command=command,
        intended_use="Research on spine MRI. Not for decisions about patients.",
        limitations=_LIMITATIONS,
        licence="that of the data it was trained on",
        metrics={key: metric.as_json() for key, metric in metrics.items() if key.startswith("classification.")},
        files={},
        grader=part,
    )
    weights = {
        file: {key: value.cpu().numpy() for key, value in network.state_dict().items()}
        for file, network in zip(part.weights, networks, strict=True)
    }
    shutil.rmtree(folder, ignore_errors=True)
    write_package(description, weights, card=_card(description, recipe.networks[name].title, metrics), folder=folder)
    return folder


def _card(description: ModelDescription, title: str, metrics: Mapping[str, Metric]) -> str:
    """The model card, Markdown."""
    part = description.grader
    assert part is not None
    shown = [key for key in metrics if key.startswith(("classification.accuracy", "classification.recall"))]
    rows = "\n".join(f"| `{key}` | {format_metric(metrics[key])} |" for key in shown)
    steps = "\n".join(f"{n}. {step.step}" for n, step in enumerate(part.steps, start=1))
    n = len(part.weights)
    members = "one network" if n == 1 else f"{n} networks whose probabilities are averaged"
    others = "" if n == 1 else " The other networks of this package had."
    return f"""# Model card: {description.name} {description.version}

Research software, not a medical device.

## What it does

Tells the {description.task}. {title[:1].upper()}{title[1:]}: {members}. It sees the spine straightened along the canal.
Run it with `osteomet predict`.

## Images it takes

{" and ".join(part.sequences)}, in this order, and a map of the bones. What happens to them:

{steps}

## Training data

{description.training_data}

## What it was tested on

Exams of patients that the network which graded them had not seen.{others} Intervals are 95 %.

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
