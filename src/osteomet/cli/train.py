"""`osteomet train`: fit the networks of a recipe."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from osteomet.cli.console import DeviceOption, Json, Verbose, cache_folder, emit, model_folder, progress_or_lines, say

_FOLD_HELP = "Which fold of the training patients watches over the training: 0 and on, or all, one after the other."


def train(
    recipe: Annotated[str, typer.Argument(help="Name of a recipe that ships with osteomet, or a TOML file.")],
    out: Annotated[Path, typer.Option("--out", help="Folder for checkpoints, logs and the package.")],
    data: Annotated[
        Path | None, typer.Option("--data", help="For a study: data set in nnU-Net's raw layout with cases.csv.")
    ] = None,
    fold: Annotated[str, typer.Option("--fold", metavar="K|all", help=_FOLD_HELP)] = "0",
    backgrounds: Annotated[
        Path | None,
        typer.Option(
            "--backgrounds", help="CTs without lesions to insert some into: NAME/image.nii.gz and bones.nii.gz."
        ),
    ] = None,
    start_from: Annotated[
        str | None, typer.Option("--start-from", metavar="MODEL", help="Go on from the weights of a model.")
    ] = None,
    device: DeviceOption = "auto",
    resume: Annotated[bool, typer.Option("--resume", help="Go on from the checkpoints in --out.")] = False,
    json: Json = False,
    verbose: Verbose = False,  # noqa: ARG001 - read by the error handler
) -> None:
    """Train the models of a study on your data, or a model on phantoms; a stopped training goes on with --resume."""
    from osteomet.core.errors import UsageError
    from osteomet.training.lesion_study import LESION_CLASSES
    from osteomet.training.recipe import task_of

    if task_of(recipe) == LESION_CLASSES:
        raise UsageError(
            f"{recipe} has no networks that are trained alone",
            remedy="run `osteomet reproduce`, or fit to your data with `osteomet classify fit`",
        )
    if task_of(recipe):
        if data is None or backgrounds is not None or start_from is not None:
            raise UsageError(
                "a study is trained from nothing on a data set",
                remedy="pass --data DIR, and neither --backgrounds nor --start-from",
            )
        _train_study(recipe, data, out, fold=fold, device=device, resume=resume)
        emit({"models": str(out / "models")}, as_json=json, text=str(out / "models"))
        return
    if data is not None or fold != "0":
        raise UsageError(f"{recipe} trains on phantoms that it draws", remedy="leave out --data and --fold")
    from osteomet.io.model_package import find_package, read_package
    from osteomet.pipeline.train import train_model
    from osteomet.training.recipe import read_recipe

    package = train_model(
        read_recipe(recipe),
        out,
        device=device,
        resume=resume,
        cache_dir=cache_folder(),
        report=say,
        backgrounds=backgrounds,
        start_from=None if start_from is None else read_package(find_package(start_from, imported=model_folder())),
    )
    emit({"package": str(package)}, as_json=json, text=str(package))


def _train_study(recipe: str, data: Path, out: Path, *, fold: str, device: DeviceOption, resume: bool) -> None:
    """Train every network of a study."""
    from osteomet.training.chain import TWO_STEPS
    from osteomet.training.grading import GRADING
    from osteomet.training.nnunet.recipe import NNUNET
    from osteomet.training.recipe import task_of

    kinds = {TWO_STEPS: _train_chain, GRADING: _train_graders, NNUNET: _train_nnunet}
    kinds.get(task_of(recipe), _train_variants)(recipe, data, out, fold=fold, device=device, resume=resume)


def _train_chain(recipe: str, data: Path, out: Path, *, fold: str, device: DeviceOption, resume: bool) -> None:
    """Train the chain of every sequence."""
    from osteomet.core.errors import UsageError
    from osteomet.pipeline.studies.chain import open_chain, prepare_chain, sequences_of, train_chain
    from osteomet.pipeline.studies.study_job import full_disk_named
    from osteomet.training.chain import read_chain

    if fold != "0":
        raise UsageError(f"{recipe} has one split and no folds", remedy="leave out --fold")
    with progress_or_lines() as tell, full_disk_named(out):
        chain = open_chain(read_chain(recipe), data, out, device=device, resume=resume, tell=tell)
        cases = prepare_chain(chain)
        for sequence in sequences_of(chain):
            train_chain(chain, cases, sequence)


def _train_graders(recipe: str, data: Path, out: Path, *, fold: str, device: DeviceOption, resume: bool) -> None:
    """Train every network without each of these folds."""
    from osteomet.pipeline.studies.grading import open_grading, prepare_grading, train_grader
    from osteomet.pipeline.studies.study_job import full_disk_named
    from osteomet.training.grading import read_grading

    study = read_grading(recipe)
    folds = _folds(fold, study.split.n_folds)
    with progress_or_lines() as tell, full_disk_named(out):
        run = open_grading(study, data, out, device=device, resume=resume, tell=tell)
        prepared = prepare_grading(run)
        for name in study.networks:
            for number in folds:
                train_grader(run, prepared, name, number)


def _train_nnunet(recipe: str, data: Path, out: Path, *, fold: str, device: DeviceOption, resume: bool) -> None:
    """Train every configuration of both stages by nnU-Net itself, watched by each of these folds."""
    from osteomet.pipeline.studies.nnunet_study import open_nnunet, prepare_nnunet, train_nnunet
    from osteomet.pipeline.studies.study_job import full_disk_named
    from osteomet.training.nnunet.recipe import read_nnunet

    study = read_nnunet(recipe)
    folds = _folds(fold, study.split.n_folds)
    with progress_or_lines() as tell, full_disk_named(out):
        run = open_nnunet(study, data, out, device=device, resume=resume, tell=tell)
        prepare_nnunet(run)
        train_nnunet(run, folds)


def _train_variants(recipe: str, data: Path, out: Path, *, fold: str, device: DeviceOption, resume: bool) -> None:
    """Train every variant of a segmentation study, watched by each of these folds."""
    from osteomet.pipeline.studies.study import open_study, prepare_study, train_study
    from osteomet.pipeline.studies.study_job import full_disk_named
    from osteomet.training.study import read_study

    study = read_study(recipe)
    folds = _folds(fold, study.split.n_folds)
    with progress_or_lines() as tell, full_disk_named(out):
        run = open_study(study, data, out, device=device, resume=resume, tell=tell)
        train_study(run, prepare_study(run), folds)


def _folds(fold: str, n_folds: int) -> list[int]:
    """Numbers of the folds that ``--fold`` names."""
    from osteomet.core.errors import UsageError

    if fold != "all" and not (fold.isdigit() and int(fold) < n_folds):
        raise UsageError("there is no such fold", expected=f"0 to {n_folds - 1}, or all", got=f"--fold {fold}")
    return list(range(n_folds)) if fold == "all" else [int(fold)]
