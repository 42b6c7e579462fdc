"""Stacks of a study in two steps, and the networks that learn from them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from torch import nn

from osteomet.core.errors import DatasetError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.vocabulary import LIU2021_STRUCTURES, STRUCTURES
from osteomet.core.volume import LabelMap, Modality
from osteomet.image.components import largest_components
from osteomet.image.intensity import z_score
from osteomet.image.resample import resample_labels, resample_volume
from osteomet.image.stack import stack_grid
from osteomet.io.bone_maps import read_bones
from osteomet.io.formats import read_labels, read_volume
from osteomet.io.raw_dataset import RawCase
from osteomet.training.chain import ChainPreprocessing, ChainRecipe, StepName
from osteomet.training.prepare import load_facts, save_facts, shown_slices
from osteomet.training.split import lesion_load
from osteomet.training.stacks import Stack, predict_stack


@dataclass(frozen=True, slots=True)
class ChainCase:
    """A prepared case: ``CASE.SEQUENCE.npy``, ``CASE.bones.npy`` and ``CASE.lesions.npy``, all on one stack."""

    case: str
    patient: str
    split: str
    sequences: tuple[str, ...]
    n_lesions: int
    lesion_area_mm2: float
    lesion_ml: float
    bone_slices: tuple[int, ...]
    lesion_slices: tuple[int, ...]


def prepare_chain_case(case: RawCase, recipe: ChainRecipe, folder: Path) -> ChainCase:
    """Resample and scale the sequences of one case; what is there from an earlier run is taken.

    Raises
    ------
    DatasetError
        If the case has none of the sequences, or no map of its bones; the message names the case.
    GeometryError
        If bones and lesions differ in geometry.
    FormatError
        If a file cannot be read; the message names it.
    """
    facts = folder / f"{case.name}.json"
    if facts.exists():
        return load_facts(facts, ChainCase)
    sequences = tuple(name for name in recipe.data.sequences if name in case.images)
    if not sequences or case.bones is None:
        lacking = "a map of its bones" if sequences else " and ".join(recipe.data.sequences)
        raise DatasetError(f"case “{case.name}” lacks {lacking}", remedy="add the file, or move the case away")
    lesions, bones = read_labels(case.labels), bone_classes(read_bones(case.bones), recipe.data.structures)
    check_same_grid(lesions.grid, bones.grid, names=(f"case “{case.name}”: its label map", "its bones"))
    target = chain_grid(lesions.grid, recipe.preprocessing)
    for name in sequences:
        volume = read_volume(case.images[name], modality=Modality.MR)
        scaled = z_score(resample_volume(volume, target, outside=0.0).array)
        np.save(folder / f"{case.name}.{name}.npy", scaled[None].astype(np.float16))
    any_lesion = LabelMap((lesions.array > 0).astype(np.uint8), lesions.grid, {"lesion": 1})
    slices = []
    for step, labels in (("bones", bones), ("lesions", any_lesion)):
        array = resample_labels(labels, target, method="vote").array.astype(np.uint8)
        np.save(folder / f"{case.name}.{step}.npy", array)
        slices.append(shown_slices(array))
    n_lesions, area_mm2 = lesion_load(lesions)
    lesion_ml = round(int(np.count_nonzero(any_lesion.array)) * lesions.grid.voxel_volume_ml, 4)
    found = ChainCase(
        case.name, case.patient, case.split, sequences, n_lesions, area_mm2, lesion_ml, slices[0], slices[1]
    )
    save_facts(found, facts)
    return found


def chain_grid(reference: Grid, recipe: ChainPreprocessing) -> Grid:
    """Grid of the stack that the networks see of a case."""
    return stack_grid(reference, (recipe.side, recipe.side, recipe.n_slices))


def bone_classes(bones: LabelMap, structures: Sequence[str]) -> LabelMap:
    """Bones of the vocabulary as classes, in the order of these structures, from 1; left and right are one."""
    table = np.zeros(256, dtype=np.uint8)
    for code, name in enumerate(structures, start=1):
        for part in LIU2021_STRUCTURES[name]:
            table[STRUCTURES[part].id] = code
    return LabelMap(table[bones.array], bones.grid, {name: code for code, name in enumerate(structures, start=1)})


def stack_of_chain(case: ChainCase, step: StepName, sequence: str, folder: Path, recipe: ChainRecipe) -> Stack:
    """What a step sees of one sequence of a case: lesions are looked for where the first step found bones alone."""
    return Stack(
        f"{case.case}, {sequence}",
        folder / f"{case.case}.{sequence}.npy",
        (0,),
        folder / f"{case.case}.{step}.npy",
        recipe.preprocessing.n_slices,
        case.bone_slices if step == "bones" else case.lesion_slices,
        mask_file(case, sequence, folder) if step == "lesions" else None,
    )


def mask_file(case: ChainCase, sequence: str, folder: Path) -> Path:
    """Where the bones that the first step found in a sequence are kept."""
    return folder / f"{case.case}.{sequence}.mask.npy"


def find_bones(network: nn.Module, stack: Stack, n_components: int, device: str) -> NDArray[np.uint8]:
    """Class of every voxel, of each structure its largest components alone."""
    probability = predict_stack(network, stack.read_images(), dimensions=3, device=device)
    classes = probability.argmax(axis=0)
    kept = np.zeros(classes.shape, dtype=np.uint8)
    for code in range(1, len(probability)):
        kept[largest_components(classes == code, n_components)] = code
    return kept
