"""Train every part of a model, measure it on phantoms that it has not seen, and write the package."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Literal

from osteomet.core.errors import UsageError
from osteomet.io.model_package import Tensors, read_package, write_package
from osteomet.training.fit import fit_part
from osteomet.training.recipe import Recipe
from osteomet.training.validate import validate_on_phantoms

VALIDATION_SEED = 7_2026
N_VALIDATION_CASES = 20


def train_model(
    recipe: Recipe,
    recipe_name: str,
    out: Path,
    *,
    device: Literal["auto", "cpu", "cuda"],
    resume: bool,
    cache_dir: Path,
    report: Callable[[str], None],
) -> Path:
    """Train, validate and package a model; returns the folder of the package, ``out/package``.

    Each part keeps its checkpoint and log in a folder of its own under ``out``.

    Raises
    ------
    UsageError
        If ``out`` holds a training already and ``resume`` is False.
    """
    if out.exists() and any(out.iterdir()) and not resume:
        raise UsageError(f"{out} holds a training already", remedy="go on with --resume, or name a new folder")
    chosen = _choose_device(device)
    weights: dict[str, Tensors] = {}
    parts = []
    for name, part in (("bones", recipe.bones), ("lesions", recipe.lesions)):
        mean = fit_part(
            name,
            part,
            recipe.optimiser,
            out / name,
            device=chosen,
            report=lambda line, name=name: report(_line(name, line)),
        )
        file = f"weights/{name}-0.safetensors"
        weights[file] = {
            key: value.cpu().numpy() for key, value in mean.items() if not key.endswith("num_batches_tracked")
        }
        parts.append(_describe_part(name, part, file))
    draft = out / "draft"
    shutil.rmtree(draft, ignore_errors=True)
    description = _describe(recipe, recipe_name, tuple(parts), {})
    write_package(description, weights, card="draft", folder=draft)
    report("measuring on phantoms not seen in training")
    score = validate_on_phantoms(
        read_package(draft), seed=VALIDATION_SEED, n_cases=N_VALIDATION_CASES, cache_dir=cache_dir, report=report
    )
    package = out / "package"
    shutil.rmtree(package, ignore_errors=True)
    final = _describe(recipe, recipe_name, tuple(parts), score.as_metrics())
    write_package(final, weights, card=_card(final, score), folder=package)
    shutil.rmtree(draft)
    return package
