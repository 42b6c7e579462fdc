"""From a scan to bones on its grid and lesion probabilities near bone: coarse network first, then the fine one."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import partial
from itertools import product
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import ModelError
from osteomet.core.findings import Abstention
from osteomet.core.grid import Grid
from osteomet.core.model import ModelPart
from osteomet.core.vocabulary import SEARCHED_IDS, STRUCTURES, Group, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.image.components import bounding_box
from osteomet.image.distance import distance_to_mm
from osteomet.image.intensity import signal_gain
from osteomet.image.resample import axis_aligned_grid, resample_labels, resample_volume
from osteomet.inference.bones import Bones, Vertebra, find_bones
from osteomet.inference.engine import Device, load_engine
from osteomet.inference.sliding_window import Field, Reduce, predict_blended
from osteomet.io.model_package import ModelPackage
from osteomet.nn.inputs import OUTSIDE, SequenceImage, fill_inputs, network_inputs, sequence_inputs

OUTSIDE_HU = -1024.0
"""What lies beyond the scan: air."""
METAL_HU = 2500.0
METAL_ML = 1.0
"""More than this volume above this density is metal, which hides and imitates lesions."""

Progress = Callable[[str, int, int], None]
"""Called with the stage (``bones``, ``lesions``), the number of windows done and of all."""


@dataclass(frozen=True, slots=True, eq=False)
class LesionEvidence:
    """What the lesion network says about the bones, on a fine grid along the patient axes that holds all bone.

    ``probability`` is float16, shape (len(types), i, j, k), 0 where no window ran; ``bones`` and ``parts`` lie on the
    same grid.
    """

    types: tuple[str, ...]
    probability: NDArray[np.float16]
    bones: LabelMap
    parts: LabelMap

    @property
    def grid(self) -> Grid:
        """The fine grid."""
        return self.bones.grid


@dataclass(frozen=True, slots=True, eq=False)
class CascadeResult:
    """Everything that two networks found in one scan.

    Parameters
    ----------
    bones
        On exactly the grid of the scan. Without any label when there is no bone in the field of view.
    vertebrae
        Head to foot.
    lesions
        None when there is no bone in the field of view.
    abstentions
        Reasons for caution: names not certain, bodies cut by the field of view, metal.
    engine
        What ran the networks.
    seconds
        Wall time by stage.
    """

    bones: LabelMap
    vertebrae: tuple[Vertebra, ...]
    lesions: LesionEvidence | None
    abstentions: tuple[Abstention, ...]
    engine: str
    seconds: Mapping[str, float]


def run_cascade(
    package: ModelPackage,
    volume: Volume,
    *,
    device: Device,
    cache_dir: Path,
    sequences: Mapping[SequenceRole, Volume] = MappingProxyType({}),
    progress: Progress | None = None,
) -> CascadeResult:
    """Find bones on a coarse grid, then lesions on a fine grid, only where bone is.

    Parameters
    ----------
    package
        A model with the parts ``bones`` and ``lesions``.
    volume
        The scan, on any grid; the results lie on it.
    device, cache_dir
        As for `osteomet.inference.engine.load_engine`.
    sequences
        On MR every sequence of the study by its role, in place on one another, ``volume`` among them.
    progress
        Told about windows done.

    Raises
    ------
    ModelError
        If the model is made for another modality, lacks one of the parts, or knows none of the sequences.

    Notes
    -----
    Both grids lie along the patient axes on a world lattice, so that the networks see the same anatomy in the same
    orientation whatever the acquisition, and two scans of one patient sample the same points.
    """
    parts = _parts(package, volume.modality)
    run = _Run(package, device, cache_dir, progress, _with_gains(sequences))
    coarse = axis_aligned_grid(volume.grid, parts["bones"].spacing_mm)
    classes = run.predict(parts["bones"], volume, coarse, reduce=_most_probable)
    with run.clock("naming bones"):
        found = find_bones(classes, parts["bones"].outputs, coarse, field_of_view=volume.grid)
    lesions = None if found.is_empty else _lesions(run, parts["lesions"], volume, found)
    with run.clock("bones on the grid of the scan"):
        bones = resample_labels(found.structures, volume.grid, method="vote")
    said = (*found.abstentions, *_thorax_abstention(found.structures), *_metal_abstention(volume))
    return CascadeResult(
        bones=bones,
        vertebrae=found.vertebrae,
        lesions=lesions,
        abstentions=said,
        engine=run.engine,
        seconds=dict(run.seconds),
    )


def instance_on_grid(
    mask: NDArray[np.bool_], grid: Grid, target: Grid
) -> tuple[tuple[slice, slice, slice], NDArray[np.bool_]]:
    """Bring one lesion onto another grid, touching no more than its own box.

    Parameters
    ----------
    mask
        Voxels of the lesion on ``grid``, not empty.
    grid, target
        From where to where.

    Returns
    -------
    The block of the target grid that holds it, and its voxels in that block: the fullest ones, as many as make up the
    volume that the block holds of it, voxels filled alike going together. A lesion too small for that on a coarse
    target keeps one voxel, the one nearest to its centre.

    Notes
    -----
    A fixed level of one half would shrink every lesion: interpolation blurs the mask, and the half level of a blurred
    convex shape lies inside its surface. For 1.5 mm voxels turned against each other that takes 1.5 % off a sphere of
    18 mm, and more off a smaller one, so that the volume would depend on how the scan lies.
    """
    box = bounding_box(mask)
    assert box is not None
    source = grid.crop([s.start for s in box], [s.stop - s.start for s in box])
    block = _reach(source, target)
    part = target.crop([s.start for s in block], [s.stop - s.start for s in block])
    padded = source.crop((-2, -2, -2), [n + 4 for n in source.shape])
    occupancy = Volume(np.pad(mask[box], 2).astype(np.float32), padded, Modality.CT, Unit.ONE)
    found = _fullest(resample_volume(occupancy, part, outside=0.0).array)
    if not found.any():
        centre = part.to_ijk(grid.to_xyz_mm(np.argwhere(mask)).mean(axis=0))
        found[tuple(np.clip(np.rint(centre).astype(int), 0, np.array(part.shape) - 1))] = True
    return block, found


def _fullest(occupancy: NDArray[np.float32]) -> NDArray[np.bool_]:
    """Voxels above the level that keeps the total volume best."""
    levels, counts = np.unique(np.round(occupancy[occupancy > 0], 3), return_counts=True)
    above = np.cumsum(counts[::-1])[::-1]
    best = np.abs(np.append(above, 0) - occupancy.sum(dtype=np.float64)).argmin()
    level = np.append(levels, np.inf)[best]
    return np.asarray(np.round(occupancy, 3) >= level)


def _reach(source: Grid, target: Grid) -> tuple[slice, slice, slice]:
    """Block of the target that the box of the source reaches, at least one voxel."""
    edges = np.array(list(product(*((-0.5, n - 0.5) for n in source.shape))))
    ijk = target.to_ijk(source.to_xyz_mm(edges))
    last = np.array(target.shape) - 1
    low = np.clip(np.floor(ijk.min(axis=0)).astype(int), 0, last)
    high = np.clip(np.ceil(ijk.max(axis=0)).astype(int), 0, last)
    i, j, k = (slice(int(a), int(b) + 1) for a, b in zip(low, high, strict=True))
    return i, j, k


@dataclass(frozen=True, slots=True)
class _Run:
    """What both networks share, and the clock."""

    package: ModelPackage
    device: Device
    cache_dir: Path
    progress: Progress | None
    sequences: Mapping[SequenceRole, tuple[Volume, float]]
    seconds: dict[str, float] = field(default_factory=dict)
    engines: list[str] = field(default_factory=list)

    @property
    def engine(self) -> str:
        return " and ".join(dict.fromkeys(self.engines))

    @contextmanager
    def clock(self, stage: str) -> Iterator[None]:
        start = time.monotonic()
        yield
        self.seconds[stage] = round(time.monotonic() - start, 3)

    def inputs(
        self, part: ModelPart, volume: Volume, grid: Grid, bones: NDArray[np.bool_] | None
    ) -> NDArray[np.float32]:
        """What a network sees of the scan on a grid."""
        if not part.sequences:
            return network_inputs(resample_volume(volume, grid, outside=OUTSIDE_HU).array, part.windows, bones)
        roles = fill_inputs(part.sequences, self.sequences)
        if not any(roles):
            raise ModelError(
                f"the part {part.name!r} of model {self.package.description.name!r} knows no sequence of the study",
                expected=", ".join(role.value for one in part.sequences for role in one),
                got=", ".join(role.value for role in self.sequences) or "none",
                remedy="choose another with --model; `osteomet model list` shows them",
            )
        images = [
            None if role is None else SequenceImage.on_grid(self.sequences[role][0], grid, self.sequences[role][1])
            for role in roles
        ]
        return sequence_inputs(images, grid.shape, bones)

    def predict(
        self,
        part: ModelPart,
        volume: Volume,
        grid: Grid,
        *,
        reduce: Reduce,
        bones: NDArray[np.bool_] | None = None,
        region: NDArray[np.bool_] | None = None,
    ) -> NDArray[Any]:
        """Run one network over a grid."""
        with self.clock(f"{part.name}: resampling"):
            image = self.inputs(part, volume, grid, bones)
        with self.clock(f"{part.name}: loading the network"):
            engine = load_engine(self.package, part.name, device=self.device, cache_dir=self.cache_dir)
            self.engines.append(engine.description)
        told = None if self.progress is None else partial(self.progress, part.name)
        with self.clock(f"{part.name}: network"):
            return predict_blended(
                engine, Field(image, OUTSIDE, region), patch=part.patch, reduce=reduce, progress=told
            )


def _with_gains(sequences: Mapping[SequenceRole, Volume]) -> dict[SequenceRole, tuple[Volume, float]]:
    """Each sequence with the gain of the whole of it."""
    return {role: (volume, signal_gain(volume.array)) for role, volume in sequences.items()}


def _parts(package: ModelPackage, modality: Modality) -> dict[str, ModelPart]:
    """Both parts of a model that fits the scan."""
    description = package.description
    if description.modality != modality:
        raise ModelError(
            f"model {description.name!r} does not fit the scan",
            expected=f"a {description.modality} scan",
            got=str(modality),
            remedy="choose another with --model; `osteomet model list` shows them",
        )
    parts = {part.name: part for part in description.parts}
    sees_bones = {name: part.near_bone_mm is not None for name, part in parts.items()}
    if (sees_bones.get("bones"), sees_bones.get("lesions")) != (False, True):
        raise ModelError(
            f"model {description.name!r} cannot analyse a scan",
            expected="the parts bones, and lesions with near_bone_mm",
            got=str(sorted(parts)),
            remedy="choose another with --model; `osteomet model list` shows them",
        )
    return parts


def _most_probable(probability: NDArray[np.float32]) -> NDArray[np.uint8]:
    """Bone where bone of any kind is more probable than not, and then the most probable kind."""
    kind = probability[1:].argmax(axis=0).astype(np.uint8) + np.uint8(1)
    return np.where(probability[0] < 0.5, kind, np.uint8(0))


def _foreground(probability: NDArray[np.float32]) -> NDArray[np.float16]:
    return probability[1:].astype(np.float16)


def _lesions(run: _Run, part: ModelPart, volume: Volume, found: Bones) -> LesionEvidence:
    """Run the lesion network in and near the bones it searches: bone that is destroyed is hard to see as bone."""
    assert part.near_bone_mm is not None
    coarse, named = found.structures.grid, found.structures.array
    near = distance_to_mm(np.isin(named, SEARCHED_IDS), coarse.spacing_mm) <= part.near_bone_mm
    box = bounding_box(near | (named > 0))
    assert box is not None
    grid = axis_aligned_grid(coarse.crop([s.start for s in box], [s.stop - s.start for s in box]), part.spacing_mm)
    region = resample_labels(LabelMap(near.astype(np.uint8), coarse, {"near bone": 1}), grid, method="nearest")
    with run.clock("bones on the fine grid"):
        bones = resample_labels(found.structures, grid, method="vote")
        parts = resample_labels(found.parts, grid, method="vote")
    probability = run.predict(part, volume, grid, reduce=_foreground, bones=bones.array > 0, region=region.array > 0)
    return LesionEvidence(part.outputs[1:], probability.astype(np.float16, copy=False), bones, parts)


def _thorax_abstention(structures: LabelMap) -> tuple[Abstention, ...]:
    """Say that ribs and sternum, where there are any, are not searched."""
    if not np.isin(structures.array, [s.id for s in STRUCTURES.values() if s.group is Group.THORAX]).any():
        return ()
    return (Abstention("thorax_not_searched", "ribs and sternum are outlined, but not searched for lesions"),)


def _metal_abstention(volume: Volume) -> tuple[Abstention, ...]:
    """Warn of metal on CT; counted slice by slice, as a mask of the whole scan would take 100 MB."""
    if volume.modality != Modality.CT:
        return ()
    n = sum(int(np.count_nonzero(volume.array[..., k] > METAL_HU)) for k in range(volume.grid.shape[2]))
    volume_ml = n * volume.grid.voxel_volume_ml
    if volume_ml <= METAL_ML:
        return ()
    what = f"{volume_ml:.1f} ml are denser than {METAL_HU:.0f} HU: metal and its streaks can hide or imitate lesions"
    return (Abstention("metal", what),)
