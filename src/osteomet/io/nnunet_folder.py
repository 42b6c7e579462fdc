"""Find what nnU-Net v2 trained: a results folder, or the zip that nnU-Net exports.

A trained configuration is a folder ``TRAINER__PLANS__CONFIGURATION`` with ``plans.json``, ``dataset.json`` and, for
each fold, a folder ``fold_X`` with a checkpoint. A zip or a folder may hold several, below the name of their data set.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any

from osteomet.core.errors import ModelError, UsageError
from osteomet.io.package_files import FETCH_AGAIN, PackageFiles, list_files

PLANS_FILE, DATASET_FILE = "plans.json", "dataset.json"
_CHECKPOINTS = ("checkpoint_final.pth", "checkpoint_best.pth")
_MARKS = {PLANS_FILE, DATASET_FILE}
_FOLD = re.compile(r"fold_(\d+|all)")


@dataclass(frozen=True, slots=True)
class TrainedFolder:
    """One trained configuration: its two JSON documents, and the path of the checkpoint of each fold."""

    files: PackageFiles
    plans: Mapping[str, Any]
    dataset: Mapping[str, Any]
    checkpoints: Mapping[str, str]


def holds_nnunet(files: PackageFiles) -> bool:
    """Whether plans of nnU-Net are among the files."""
    return any(PurePosixPath(name).name == PLANS_FILE for name in files.sizes)


def holds_configuration(source: Path, configuration: str) -> bool:
    """Whether a configuration was trained in a folder or zip, once."""
    names = [PurePosixPath(folder).name.split("__")[-1] for folder in _trained(list_files(source))]
    return names.count(configuration) == 1


def read_trained_folder(source: Path, *, configuration: str | None) -> TrainedFolder:
    """Read all but the weights of one configuration.

    Parameters
    ----------
    source
        Folder or zip.
    configuration
        Which to take where there are several: the last part of its folder's name, such as ``3d_fullres``.

    Returns
    -------
    TrainedFolder
        With the final checkpoint of each numbered fold, the best where there is no final one; with that of ``fold_all``
        where no fold is numbered. These are the folds that nnU-Net's own predictor takes.

    Raises
    ------
    UsageError
        If there are several configurations and none, or one that is not there, is chosen.
    ModelError
        If there is no trained configuration, or one of its two JSON files is damaged.
    """
    files = list_files(source)
    trained = _trained(files)
    if not trained:
        raise ModelError(
            f"{source} holds nothing that nnU-Net v2 trained",
            expected=f"{PLANS_FILE}, {DATASET_FILE} and fold_X/{_CHECKPOINTS[0]} in one folder",
            got=f"{len(files.sizes)} files",
            remedy="pass the folder TRAINER__PLANS__CONFIGURATION of nnUNet_results, or the zip that nnU-Net exports",
        )
    folder = _chosen(trained, configuration)
    documents = files.read(_path(folder, name) for name in sorted(_MARKS))
    parsed = {name: _parse(documents[_path(folder, name)], name) for name in _MARKS}
    folds = trained[folder]
    numbered = {fold: name for fold, name in folds.items() if fold != "all"}
    return TrainedFolder(files, parsed[PLANS_FILE], parsed[DATASET_FILE], numbered or folds)


def _trained(files: PackageFiles) -> dict[str, dict[str, str]]:
    """Checkpoint of each fold for each folder that holds all that a trained configuration needs."""
    found: dict[str, dict[str, str]] = {}
    for name in sorted(files.sizes):
        path = PurePosixPath(name)
        if path.name not in _MARKS:
            continue
        folder = "" if path.parent == PurePosixPath() else path.parent.as_posix()
        if folder not in found and all(_path(folder, mark) in files.sizes for mark in _MARKS):
            folds = _folds(files, folder)
            if folds:
                found[folder] = folds
    return found


def _folds(files: PackageFiles, folder: str) -> dict[str, str]:
    """Path of the checkpoint of each fold; the final one goes before the best."""
    folds: dict[str, str] = {}
    for checkpoint in reversed(_CHECKPOINTS):
        for name in files.sizes:
            path = PurePosixPath(name)
            match = _FOLD.fullmatch(path.parent.name)
            if match and path.name == checkpoint and _path(folder, f"{path.parent.name}/{checkpoint}") == name:
                folds[match[1]] = name
    return dict(sorted(folds.items()))


def _chosen(trained: Mapping[str, object], configuration: str | None) -> str:
    """Folder of the one configuration that is meant."""
    names = {folder: PurePosixPath(folder).name.split("__")[-1] for folder in trained}
    meant = [folder for folder, name in names.items() if configuration in (None, name)]
    if len(meant) == 1:
        return meant[0]
    raise UsageError(
        "nnU-Net trained several configurations here" if meant else "nnU-Net did not train that configuration here",
        expected="one of " + ", ".join(sorted(folder or "." for folder in trained)),
        got=configuration or "",
        remedy="choose one with --configuration, or pass its folder",
    )


def _path(folder: str, name: str) -> str:
    return f"{folder}/{name}" if folder else name


def _parse(data: bytes, name: str) -> dict[str, Any]:
    """One JSON object."""
    try:
        document = json.loads(data)
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{name} is not JSON", got=str(error), remedy=FETCH_AGAIN) from error
    if not isinstance(document, dict):
        raise ModelError(f"{name} is not a JSON object", got=type(document).__name__, remedy=FETCH_AGAIN)
    return document
