"""Train every part of a model, measure it on phantoms that it has not seen, and write the package."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import dataclass, replace
from pathlib import Path

from osteomet import __version__
from osteomet.core.errors import ModelError, UsageError
from osteomet.core.model import ModelDescription, ModelPart
from osteomet.core.volume import Modality
from osteomet.inference.engine import Device, choose_device
from osteomet.io.model_package import ModelPackage, Tensors, read_package, write_package
from osteomet.pipeline.judging.calibrate import CALIBRATION_SEED, calibrate_model
from osteomet.pipeline.judging.model_cohort import N_CASES, CohortJob
from osteomet.pipeline.judging.validate import VALIDATION_SEED, ValidationJob, validate_model
from osteomet.training.backgrounds import Background, read_backgrounds
from osteomet.training.fit import Progress
from osteomet.training.phantom_part import fit_part
from osteomet.training.recipe import PartRecipe, Recipe

_PHANTOMS = "Simulated {} of parametric bodies (osteomet.phantom), made on the fly."
_TASKS = {
    Modality.CT: "bones, vertebra levels and lytic and sclerotic metastases",
    Modality.MR: "bones, vertebra levels and metastases that replace marrow, on any of the sequences",
}


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
    start_from: ModelPackage | None = None,
) -> Path:
    """Train, validate and package a model; returns the folder of the package, ``out/package``.

    Each part keeps its checkpoint and log in a folder of its own under ``out``. With ``start_from`` the networks go on
    from the weights of a model of the same networks; one that the recipe gives no steps is taken over as it is.

    Raises
    ------
    UsageError
        If ``out`` holds something already and ``resume`` is False, or ``backgrounds`` are given for MR.
    InputError
        If ``backgrounds`` holds no scan without lesions that can be read (`osteomet.training.backgrounds`).
    ModelError
        If the networks of ``start_from`` are not those of the recipe.
    """
    if out.exists() and any(out.iterdir()) and not resume:
        raise UsageError(f"{out} holds a training already", remedy="go on with --resume, or name a new folder")
    if backgrounds is not None and recipe.modality is Modality.MR:
        raise UsageError("lesions are put into real CTs only", remedy=f"train {recipe.name} without --backgrounds")
    scans = () if backgrounds is None else read_backgrounds(backgrounds)
    begin = {} if start_from is None else _weights_to_start_from(start_from, recipe)
    chosen = choose_device(device)
    weights: dict[str, Tensors] = {}
    parts = []
    for name, part in _parts(recipe):

        def tell(line: Progress, name: str = name) -> None:
            figures = f"loss {line.loss:.4f}, patch Dice {line.pseudo_dice:.3f}, {line.seconds:.0f} s"
            report(f"{name} step {line.step}: {figures}")

        trained = fit_part(
            name,
            part,
            recipe.optimiser,
            out / name,
            device=chosen,
            report=tell,
            backgrounds=scans,
            weights=begin.get(name),
        )
        file = f"weights/{name}-0.safetensors"
        weights[file] = trained
        parts.append(_describe_part(name, part, file))
    origin = _origin(recipe, scans, start_from)
    return _package(recipe, origin, out, tuple(parts), weights, device=device, cache_dir=cache_dir, report=report)


def _parts(recipe: Recipe) -> tuple[tuple[str, PartRecipe], ...]:
    """The networks of a model by name."""
    return ("bones", recipe.bones), ("lesions", recipe.lesions)


def _weights_to_start_from(package: ModelPackage, recipe: Recipe) -> dict[str, Tensors]:
    """Weights for each network of the recipe, if the package holds networks that see and say the same."""
    weights = {}
    for name, part in _parts(recipe):
        held = [p for p in package.description.parts if isinstance(p, ModelPart) and p.name == name]
        wanted = _describe_part(name, part, "")
        if not held or replace(held[0], weights=wanted.weights, patch=wanted.patch) != wanted:
            raise ModelError(
                f"the model {package.description.name} cannot be trained further by this recipe",
                expected=f"a network “{name}” of the recipe's shape, spacing, windows and outputs",
                got="another" if held else "none",
                remedy="name a model of the same recipe, or train from nothing without --start-from",
            )
        weights[name] = package.weights[held[0].weights[0]]
    return weights


def _origin(recipe: Recipe, scans: tuple[Background, ...], start: ModelPackage | None) -> _Origin:
    """State phantoms, real scans that lent their anatomy, and what the training went on from."""
    command = f"osteomet train {recipe.name} --out DIR"
    if start is not None:
        command += f" --start-from {start.description.name}-{start.sha256[:12]}"
    phantoms = _PHANTOMS.format(recipe.modality)
    if not scans:
        return _Origin(f"{phantoms} No scan of a patient.", command)
    names = ", ".join(scan.name for scan in scans)
    bones, lesions = (f"{part.background_share:.0%}" for _, part in _parts(recipe))
    lent = (
        f"{bones} of the patches of the bone network and {lesions} of those of the lesion network come from real CTs "
        f"without lesions, into which some were put for the latter: {names}."
    )
    return _Origin(f"{phantoms} {lent} No lesion of a patient.", f"{command} --backgrounds FOLDER")


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
    """Write a draft of the package, calibrate it, judge it on other phantoms, and write it with its figures."""
    draft, package = out / "draft", out / "package"
    for folder in (draft, package):
        shutil.rmtree(folder, ignore_errors=True)
    write_package(_describe(recipe, origin, parts), weights, card=_card(recipe, origin), folder=draft)

    def tell(what: str, done: int, total: int) -> None:
        report(f"{what} {done}/{total}")

    fit, judge = (CohortJob(N_CASES, seed, device, cache_dir) for seed in (CALIBRATION_SEED, VALIDATION_SEED))
    trained = read_package(draft)
    # Folders of these weights: a training that went further in between begins anew.
    calibration, validation = (out / f"{name}-{trained.sha256[:12]}" for name in ("calibration", "validation"))
    calibrated = calibrate_model(trained, calibration, fit, progress=tell)
    judged = validate_model(read_package(calibrated), validation, ValidationJob(judge), progress=tell)
    shutil.copytree(judged.package, package)
    shutil.rmtree(draft)
    return package


def _describe_part(name: str, part: PartRecipe, file: str) -> ModelPart:
    """What the package says about one network."""
    return ModelPart(
        name=name,
        network=part.network,
        spacing_mm=part.spacing_mm,
        patch=part.patch,
        windows=part.windows,
        near_bone_mm=part.near_bone_mm,
        outputs=part.outputs,
        weights=(file,),
        sequences=part.sequences,
    )


def _describe(recipe: Recipe, origin: _Origin, parts: tuple[ModelPart, ...]) -> ModelDescription:
    """The content of ``model.json``."""
    return ModelDescription(
        name=recipe.name,
        version=__version__,
        task=_TASKS[recipe.modality],
        modality=recipe.modality,
        parts=parts,
        training_data=origin.data,
        training_command=origin.command,
        intended_use=recipe.intended_use,
        limitations=recipe.limitations.strip(),
        licence=recipe.licence,
        metrics={},
        files={},
        seed_probability=recipe.seed_probability,
    )


def _card(recipe: Recipe, origin: _Origin) -> str:
    """The model card, Markdown, before anything is measured."""
    bones, lesions = recipe.bones, recipe.lesions
    return f"""# Model card: {recipe.name} {__version__}

Research software, not a medical device.

## What it does

Finds {_TASKS[recipe.modality]}, on {recipe.modality}. Two 3D U-Nets: bones at
{bones.spacing_mm[0]} mm, lesions at {lesions.spacing_mm[0]} mm inside the bone region only.

## Intended use

{recipe.intended_use}

## Training data

{origin.data} Made by `{origin.command}`:
{bones.n_steps} steps of {bones.batch} patches for bones and {lesions.n_steps} of {lesions.batch} for lesions, seeds
{bones.seed} and {lesions.seed}.

## Limitations

{recipe.limitations.strip()}

## Licence

{recipe.licence}
"""
