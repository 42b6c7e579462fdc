"""Cases of a stage as nnU-Net reads them, checked first."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from osteomet.core.errors import DatasetError
from osteomet.core.grid import check_same_grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import LabelMap, Modality
from osteomet.image.components import label_components
from osteomet.io.bone_maps import read_bones
from osteomet.io.formats import read_labels, read_volume, write_labels, write_volume
from osteomet.io.output import output_file
from osteomet.io.raw_dataset import RawCase
from osteomet.training.nnunet.recipe import NnunetRecipe, StageName, StageRecipe

DATASETS: dict[StageName, str] = {"vertebrae": "Dataset001_vertebrae", "metastases": "Dataset002_metastases"}
"""Name of the data set of each stage, as nnU-Net wants it."""


@dataclass(frozen=True, slots=True)
class StageCase:
    """What a case shows of the classes of a stage: how many components of each that it shows, and their volume."""

    case: str
    patient: str
    n_components: int
    volume_ml: float
    classes: tuple[str, ...]


def write_stage_case(case: RawCase, recipe: NnunetRecipe, stage: StageName, folder: Path) -> StageCase | None:
    """Write image and labels of a case into the data set of a stage; None where it does not belong to the stage.

    What is there from an earlier run is taken.

    Raises
    ------
    DatasetError
        If the case has no image of the channel.
    GeometryError
        If image and labels differ in geometry; the message names the case.
    FormatError
        If a file cannot be read; the message names it.
    """
    facts = folder / "facts" / f"{case.name}.json"
    if not facts.exists():
        labels = _labels(case, recipe.stage(stage), stage)
        found = None if labels is None else _facts(case, labels)
        if labels is not None:
            _write(case, labels, recipe, folder)
        facts.parent.mkdir(parents=True, exist_ok=True)
        with output_file(facts) as partial:
            partial.write_text(json.dumps(found and asdict(found)), encoding="utf-8")
    content = json.loads(facts.read_text(encoding="utf-8"))
    return None if content is None else StageCase(**content | {"classes": tuple(content["classes"])})


def check_classes(cases: Sequence[StageCase], recipe: NnunetRecipe, stage: StageName) -> None:
    """Refuse a stage without cases, or with a class that none of them shows.

    Raises
    ------
    DatasetError
        Which class it is, and what to do.
    """
    classes = recipe.stage(stage).classes
    if not cases:
        lacking = "has a map of its bones in bonesTr" if stage == "vertebrae" else "shows a metastasis in labelsTr"
        raise DatasetError(f"there is no case for the stage {stage}", expected=f"cases of which each {lacking}")
    empty = [name for name in classes if all(name not in case.classes for case in cases)]
    if empty:
        raise DatasetError(
            f"no case shows {', '.join(empty)}",
            expected=f"every class of {stage}.classes in some of the {len(cases)} cases",
            remedy=f"bring cases that show it, or copy the recipe and leave it out of {stage}.classes",
        )


def write_description(recipe: NnunetRecipe, stage: StageName, n_cases: int, folder: Path) -> None:
    """Write ``dataset.json``."""
    content = {
        "channel_names": {"0": recipe.data.channel},
        "labels": {"background": 0, **recipe.stage(stage).labels},
        "numTraining": n_cases,
        "file_ending": recipe.data.file_ending,
    }
    (folder / "dataset.json").write_text(json.dumps(content, indent=1) + "\n", encoding="utf-8")


def _labels(case: RawCase, wanted: StageRecipe, stage: StageName) -> LabelMap | None:
    """Classes of the stage in a case; None where nothing was drawn for it."""
    if stage == "vertebrae":
        if case.bones is None:
            return None
        source = read_bones(case.bones)
        codes = {name: structure.id for name, structure in STRUCTURES.items()}
    else:
        source = read_labels(case.labels)
        codes = {name: source.labels[name] for name in wanted.classes if name in source.labels}
        if not np.isin(source.array, list(codes.values())).any():
            return None
    table = np.zeros(int(source.array.max(initial=0)) + 1, dtype=np.uint8)
    for name, label in wanted.labels.items():
        for member in (name, *(other for other, target in wanted.joined.items() if target == name)):
            if member in codes and codes[member] < len(table):
                table[codes[member]] = label
    return LabelMap(table[source.array], source.grid, wanted.labels)


def _facts(case: RawCase, labels: LabelMap) -> StageCase:
    """Count what a case shows."""
    classes = tuple(labels.present())
    n_components = sum(label_components(labels.array == labels.labels[name])[1] for name in classes)
    volume_ml = round(float(np.count_nonzero(labels.array)) * labels.grid.voxel_volume_ml, 3)
    return StageCase(case.name, case.patient, n_components, volume_ml, classes)


def _write(case: RawCase, labels: LabelMap, recipe: NnunetRecipe, folder: Path) -> None:
    """Write image and labels of a case."""
    channel, end = recipe.data.channel, recipe.data.file_ending
    if channel not in case.images:
        raise DatasetError(f"case “{case.name}” has no {channel}", remedy="add the image, or move the case away")
    volume = read_volume(case.images[channel], modality=Modality.CT)
    check_same_grid(volume.grid, labels.grid, names=(f"case “{case.name}”: its image", "its label map"))
    for kind in ("imagesTr", "labelsTr"):
        (folder / kind).mkdir(parents=True, exist_ok=True)
    write_volume(volume, folder / "imagesTr" / f"{case.name}_0000{end}")
    write_labels(labels, folder / "labelsTr" / f"{case.name}{end}")
