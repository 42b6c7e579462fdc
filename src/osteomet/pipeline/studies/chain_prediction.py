"""Let the chains of a study predict bones and lesions, and lay them out as `osteomet evaluate` reads them."""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.image.resample import resample_labels, resample_volume
from osteomet.io.bone_maps import read_bones
from osteomet.io.formats import read_labels, write_labels
from osteomet.io.raw_dataset import RawCase
from osteomet.pipeline.studies.study_prediction import PartFolders, fresh_folders, lesions_of, write_lesions
from osteomet.pipeline.studies.study_run import StudyRun
from osteomet.training.chain import ChainRecipe
from osteomet.training.chain_part import ChainCase, bone_classes, chain_grid, find_bones, stack_of_chain
from osteomet.training.stacks import predict_stack

Draw = Callable[[RawCase, ChainCase, str, str, PartFolders], None]


def predict_bones(
    run: StudyRun[ChainRecipe], networks: Mapping[str, Any], cases: Sequence[ChainCase], folder: Path
) -> PartFolders:
    """Predict the structures of the first step, on the grid of the reference."""
    structures = run.recipe.data.structures

    def draw(raw: RawCase, case: ChainCase, sequence: str, name: str, folders: PartFolders) -> None:
        assert raw.bones is not None  # cases without are refused when they are prepared
        reference = bone_classes(read_bones(raw.bones), structures)
        write_labels(reference, folders.reference / f"{name}.nii.gz")
        stack = stack_of_chain(case, "bones", sequence, run.prepared, run.recipe)
        found = find_bones(networks[sequence], stack, run.recipe.prediction.largest_components, run.device)
        grid = chain_grid(reference.grid, run.recipe.preprocessing)
        predicted = resample_labels(LabelMap(found, grid, reference.labels), reference.grid, method="vote")
        write_labels(predicted, folders.prediction / f"{name}.nii.gz")

    labels = {name: code for code, name in enumerate(structures, start=1)}
    return _lay_out(run, cases, folder, labels, draw)


def predict_lesions(
    run: StudyRun[ChainRecipe], networks: Mapping[str, Any], cases: Sequence[ChainCase], folder: Path
) -> PartFolders:
    """Predict the lesions of the second step, on the grid of the reference; smaller ones than counts are dropped."""
    kept = run.recipe.prediction

    def draw(raw: RawCase, case: ChainCase, sequence: str, name: str, folders: PartFolders) -> None:
        lesions = read_labels(raw.labels)
        reference = LabelMap((lesions.array > 0).astype(np.uint8), lesions.grid, {"metastasis": 1})
        write_labels(reference, folders.reference / f"{name}.nii.gz")
        stack = stack_of_chain(case, "lesions", sequence, run.prepared, run.recipe)
        probability = 1 - predict_stack(networks[sequence], stack.read_images(), dimensions=3, device=run.device)[0]
        assert stack.mask is not None
        grid = chain_grid(lesions.grid, run.recipe.preprocessing)
        inside = Volume(probability * np.load(stack.mask), grid, Modality.MR, Unit.ARBITRARY)
        values = resample_volume(inside, lesions.grid, outside=0.0).array
        smallest = kept.smallest_ml / lesions.grid.voxel_volume_ml * (1 - 1e-9)
        write_lesions(*lesions_of(values, kept.probability, smallest), lesions.grid, folders.prediction, name)

    return _lay_out(run, cases, folder, {"metastasis": 1}, draw)


def _lay_out(
    run: StudyRun[ChainRecipe],
    cases: Sequence[ChainCase],
    folder: Path,
    labels: Mapping[str, int],
    draw: Draw,
) -> PartFolders:
    """Folders of references and predictions: each sequence of a case is a case of its own, of the same patient."""
    folders = fresh_folders(folder)
    by_name = {case.name: case for case in run.data.cases}
    names = {}
    for case in cases:
        for sequence in case.sequences:
            name = f"{case.case}_{sequence}"
            draw(by_name[case.case], case, sequence, name, folders)
            names[name] = (case.case, sequence)
    _write_table(run.data.folder / "cases.csv", names, folders.reference / "cases.csv")
    content = {"labels": {"background": 0, **labels}}
    (folders.reference / "dataset.json").write_text(json.dumps(content), encoding="utf-8")
    return folders


def _write_table(source: Path, names: Mapping[str, tuple[str, str]], target: Path) -> None:
    """Rows of the cases, once for each sequence, which stands in a column of its own."""
    with source.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.DictReader(file)
        rows = {row["case"].strip(): row for row in reader}
        columns = [*dict.fromkeys([*(reader.fieldnames or ()), "sequence"])]
    with target.open("w", encoding="utf-8", newline="") as file:
        writer = csv.DictWriter(file, fieldnames=columns)
        writer.writeheader()
        for name, (case, sequence) in names.items():
            writer.writerow(rows[case] | {"case": name, "sequence": sequence})
