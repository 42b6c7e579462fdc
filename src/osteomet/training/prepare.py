"""Stacks as the networks of a study see them, made once and kept beside the training."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError
from osteomet.core.grid import Grid, check_same_grid
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.image.dynamic import strongest_enhancement
from osteomet.image.intensity import clahe, to_0_255
from osteomet.image.register import overlap_share, register_rigid
from osteomet.image.resample import resample_labels, resample_volume
from osteomet.image.stack import stack_grid
from osteomet.io.formats import read_labels, read_volume
from osteomet.io.raw_dataset import RawCase
from osteomet.training.split import lesion_load
from osteomet.training.stacks import Stack
from osteomet.training.study import PreprocessingRecipe, StudyRecipe

_F = TypeVar("_F")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A stack on disk: ``CASE.npy``, uint8 (sequences, i, j, k), and ``CASE.labels.npy``, uint8 (i, j, k).

    The ``n_slices`` slices lie along the last axis. ``sequences`` are those that the case has, in the order of the
    array, ``slices`` those that show a lesion. ``left_out`` says why a case is not used, and is empty for one that is.
    """

    case: str
    patient: str
    split: str
    sequences: tuple[str, ...]
    n_lesions: int
    lesion_area_mm2: float
    moved_mm: Mapping[str, float]
    n_slices: int = 0
    slices: tuple[int, ...] = ()
    left_out: str = ""


def prepare_case(case: RawCase, recipe: StudyRecipe, folder: Path) -> Prepared:
    """Register, resample and scale one case into ``folder``; what is there from an earlier run is taken.

    Raises
    ------
    DatasetError
        If the case lacks the sequence that lesions are drawn on; the message names the case.
    GeometryError
        If image and label map differ in geometry, or a sequence cannot be registered.
    FormatError
        If a file cannot be read; the message names it.
    """
    facts = folder / f"{case.name}.json"
    if facts.exists():
        return load_facts(facts, Prepared)
    volumes = read_sequences(case, recipe)
    first = next(iter(volumes))
    lesions = read_labels(case.labels)
    check_same_grid(volumes[first].grid, lesions.grid, names=(f"case “{case.name}”: {first}", "its label map"))
    aligned, moved, reason = align(volumes, lesions, recipe.preprocessing)
    n_lesions, area_mm2 = lesion_load(lesions)
    found = Prepared(
        case.name, case.patient, case.split, tuple(volumes), n_lesions, area_mm2, moved_mm=moved, left_out=reason
    )
    if not reason:
        images, labels = to_stack(aligned, lesions, recipe.preprocessing)
        np.save(folder / f"{case.name}.npy", np.asfortranarray(images))
        np.save(folder / f"{case.name}.labels.npy", np.asfortranarray(labels))
        found = replace(found, n_slices=labels.shape[2], slices=shown_slices(labels))
    save_facts(found, facts)
    return found


def read_sequences(case: RawCase, recipe: StudyRecipe) -> dict[str, Volume]:
    """Sequences of a study that a case has, the one that lesions are drawn on first; raises as `prepare_case`."""
    if recipe.data.dynamic:
        phases = [read_volume(path, modality=Modality.MR) for path in case.images.values()]
        return {recipe.data.sequences[0]: strongest_enhancement(phases, name=f"case “{case.name}”")}
    wanted = [name for name in recipe.data.sequences if name in case.images]
    if recipe.data.sequences[0] not in wanted:
        raise DatasetError(
            f"case “{case.name}” lacks {recipe.data.sequences[0]}, which lesions are drawn on",
            got=", ".join(case.images),
            remedy="add the image, or move the case away",
        )
    return {name: read_volume(case.images[name], modality=Modality.MR) for name in wanted}


def align(
    volumes: Mapping[str, Volume], lesions: LabelMap, recipe: PreprocessingRecipe
) -> tuple[dict[str, Volume], dict[str, float], str]:
    """Put every sequence in the place of the first.

    Returns
    -------
    The sequences; how far each moved, mm; and why the case must be left out, or ``""``: fields of view, or the lesions
    where they lie in both sequences, that overlap by less than ``least_overlap``.
    """
    first, *others = volumes
    aligned, moved = {first: volumes[first]}, {first: 0.0}
    for name in others:
        share = overlap_share(volumes[first].grid, volumes[name].grid)
        if share < recipe.least_overlap:
            return aligned, moved, f"the fields of view of {first} and {name} overlap by {share:.0%} only"
        aligned[name], moved[name] = volumes[name], 0.0
        if recipe.registration == "rigid":
            found = register_rigid(volumes[first], volumes[name])
            aligned[name], moved[name] = found.volume, round(found.shift_mm, 3)
            share = lesion_overlap(lesions, volumes[name].grid, found.volume.grid)
            if share < recipe.least_overlap:
                return aligned, moved, f"the lesions on {first} and on {name} overlap by {share:.0%} only"
    return aligned, moved, ""


def lesion_overlap(lesions: LabelMap, scanned: Grid, registered: Grid) -> float:
    """Share of the lesions that is still lesion where another sequence shows them; 1 where there is none.

    Parameters
    ----------
    lesions
        As drawn on the first sequence.
    scanned, registered
        Grid of the other sequence as the scanner gave it, and as it lies once registered to the first.
    """
    if not lesions.array.any():
        return 1.0
    elsewhere = replace(resample_labels(lesions, registered, method="nearest"), grid=scanned)
    shown = resample_labels(elsewhere, lesions.grid, method="nearest").array > 0
    inside = lesions.array > 0
    return float(np.count_nonzero(shown & inside) / np.count_nonzero(inside))


def to_stack(
    volumes: Mapping[str, Volume], lesions: LabelMap, recipe: PreprocessingRecipe
) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Scale the sequences as the study did: in-plane, to 0 … 255, to the final size, equalised.

    Returns
    -------
    Images, uint8 (sequences, i, j, k), and lesions, uint8 (i, j, k), 1 for any label, on `target_grid`.
    """
    reference = next(iter(volumes.values())).grid
    target = target_grid(reference, recipe)
    first_side = recipe.first_side or recipe.side
    first = stack_grid(reference, (first_side, first_side, None if recipe.first_side else recipe.n_slices))
    images = []
    for volume in volumes.values():
        scaled = to_0_255(resample_volume(volume, first, outside=0.0).array)
        if recipe.first_side:
            sized = resample_volume(replace(volume, array=scaled.astype(np.float32), grid=first), target, outside=0.0)
            scaled = np.clip(np.rint(sized.array), 0, 255).astype(np.uint8)
        if recipe.clahe:
            scaled = clahe(scaled, n_tiles=recipe.clahe.n_tiles, clip_limit=recipe.clahe.clip_limit)
        images.append(scaled)
    any_lesion = LabelMap((lesions.array > 0).astype(np.uint8), lesions.grid, {"lesion": 1})
    return np.stack(images), resample_labels(any_lesion, target, method="vote").array.astype(np.uint8)


def target_grid(reference: Grid, recipe: PreprocessingRecipe) -> Grid:
    """Grid of the stack that a network sees of an image on a grid."""
    return stack_grid(reference, (recipe.side, recipe.side, recipe.n_slices))


def stack_of(case: Prepared, folder: Path, inputs: tuple[str, ...]) -> Stack:
    """What a variant sees of a prepared case."""
    rows = tuple(case.sequences.index(name) for name in inputs)
    labels = folder / f"{case.case}.labels.npy"
    return Stack(case.case, folder / f"{case.case}.npy", rows, labels, case.n_slices, case.slices)


def shown_slices(labels: NDArray[Any]) -> tuple[int, ...]:
    """Slices of a stack that show any class."""
    return tuple(int(k) for k in np.flatnonzero(labels.any(axis=(0, 1))))


def save_facts(found: Any, path: Path) -> None:
    """Write what is known of a prepared case, last of its files: where it is there, the case is whole."""
    partial = path.with_suffix(".partial")
    partial.write_text(json.dumps(asdict(found), indent=1), encoding="utf-8")
    partial.replace(path)


def load_facts(path: Path, kind: type[_F]) -> _F:
    """Read what `save_facts` wrote."""
    content = json.loads(path.read_text(encoding="utf-8"))
    return kind(**{key: tuple(value) if isinstance(value, list) else value for key, value in content.items()})
