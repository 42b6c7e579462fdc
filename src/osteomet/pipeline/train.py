"""Train every part of a model, measure it on phantoms that it has not seen, and write the package."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from osteomet import __version__
from osteomet.core.errors import UsageError
from osteomet.core.model import ModelDescription, ModelPart
from osteomet.inference.engine import Device, choose_device
from osteomet.io.model_package import Tensors, read_package, write_package
from osteomet.pipeline.validate import VALIDATION_SEED, PhantomScore, validate_on_phantoms
from osteomet.training.backgrounds import Background, read_backgrounds
from osteomet.training.fit import Progress
from osteomet.training.phantom_part import fit_part
from osteomet.training.recipe import PartRecipe, Recipe

_PHANTOMS = "Simulated CT of parametric bodies (osteomet.phantom), made on the fly."


@dataclass(frozen=True, slots=True)
class _Origin:
    """Where a model comes from: its data and the command that makes it."""

    data: str
    command: str


def train_model(
    recipe: Recipe,
    out: Path,
    *,
    device: Device,
    resume: bool,
    cache_dir: Path,
    report: Callable[[str], None],
    backgrounds: Path | None = None,
) -> Path:
    """Train, validate and package a model; returns the folder of the package, ``out/package``.

    Each part keeps its checkpoint and log in a folder of its own under ``out``.

    Raises
    ------
    UsageError
        If ``out`` holds something already and ``resume`` is False.
    InputError
        If ``backgrounds`` holds no scan without lesions that can be read (`osteomet.training.backgrounds`).
    """
    if out.exists() and any(out.iterdir()) and not resume:
        raise UsageError(f"{out} holds a training already", remedy="go on with --resume, or name a new folder")
    scans = () if backgrounds is None else read_backgrounds(backgrounds)
    chosen = choose_device(device)
    weights: dict[str, Tensors] = {}
    parts = []
    for name, part in (("bones", recipe.bones), ("lesions", recipe.lesions)):

        def tell(line: Progress, name: str = name) -> None:
            figures = f"loss {line.loss:.4f}, patch Dice {line.pseudo_dice:.3f}, {line.seconds:.0f} s"
            report(f"{name} step {line.step}: {figures}")

        trained = fit_part(name, part, recipe.optimiser, out / name, device=chosen, report=tell, backgrounds=scans)
        file = f"weights/{name}-0.safetensors"
        weights[file] = trained
        parts.append(_describe_part(name, part, file))
    origin = _origin(recipe, scans)
    return _package(recipe, origin, out, tuple(parts), weights, device=device, cache_dir=cache_dir, report=report)


def _origin(recipe: Recipe, scans: tuple[Background, ...]) -> _Origin:
    """State phantoms, and real scans that lent their anatomy."""
    command = f"osteomet train {recipe.name} --out DIR"
    if not scans:
        return _Origin(f"{_PHANTOMS} No scan of a patient.", command)
    names = ", ".join(scan.name for scan in scans)
    share = f"{recipe.lesions.background_share:.0%}"
    lent = (
        f"For {share} of the patches of the lesion network, real CTs without lesions into which some were put: {names}."
    )
    return _Origin(f"{_PHANTOMS} {lent} No lesion of a patient.", f"{command} --backgrounds FOLDER")


def _package(
    recipe: Recipe,
    origin: _Origin,
    out: Path,
    parts: tuple[ModelPart, ...],
    weights: dict[str, Tensors],
    *,
    device: Device,
    cache_dir: Path,
    report: Callable[[str], None],
) -> Path:
    """Measure a draft of the package, then write it with its figures."""
    draft, package = out / "draft", out / "package"
    for folder in (draft, package):
        shutil.rmtree(folder, ignore_errors=True)
    write_package(_describe(recipe, origin, parts, None), weights, card="draft", folder=draft)
    report("measuring on phantoms of another seed")
    score = validate_on_phantoms(read_package(draft), device=device, cache_dir=cache_dir, report=report)
    write_package(_describe(recipe, origin, parts, score), weights, card=_card(recipe, origin, score), folder=package)
    shutil.rmtree(draft)
    return package


def _describe_part(name: str, part: PartRecipe, file: str) -> ModelPart:
    """What the package says about one network."""
    return ModelPart(
        name, part.network, part.spacing_mm, part.patch, part.windows, part.near_bone_mm, part.outputs, (file,)
    )


def _describe(
    recipe: Recipe, origin: _Origin, parts: tuple[ModelPart, ...], score: PhantomScore | None
) -> ModelDescription:
    """The content of ``model.json``."""
    return ModelDescription(
        name=recipe.name,
        version=__version__,
        task="bones, vertebra levels and lytic and sclerotic metastases",
        modality=recipe.modality,
        parts=parts,
        training_data=origin.data,
        training_command=origin.command,
        intended_use=recipe.intended_use,
        limitations=recipe.limitations.strip(),
        licence=recipe.licence,
        metrics=score.as_metrics() if score else {},
        files={},
        seed_probability=recipe.seed_probability,
    )


def _card(recipe: Recipe, origin: _Origin, score: PhantomScore) -> str:
    """The model card, Markdown."""
    bones, lesions = recipe.bones, recipe.lesions
    return f"""# Model card: {recipe.name} {__version__}

Research software, not a medical device.

## What it does

Finds bones, names vertebrae, and outlines lytic and sclerotic metastases on CT. Two 3D U-Nets: bones at
{bones.spacing_mm[0]} mm, lesions at {lesions.spacing_mm[0]} mm inside the bone region only.

## Intended use

{recipe.intended_use}

## Training data

{origin.data} Made by `{origin.command}`:
{bones.n_steps} steps of {bones.batch} patches for bones and {lesions.n_steps} of {lesions.batch} for lesions, seeds
{bones.seed} and {lesions.seed}.

## What it was tested on

{score.n_cases} simulated scans of the cohort `ct-spine`, seed {VALIDATION_SEED}: other bodies and scanners than in
training. Intervals are 95 %, Wilson for proportions.

{score.as_markdown()}

These figures say nothing about accuracy on patients.

## Limitations

{recipe.limitations.strip()}

## Licence

{recipe.licence}
"""
