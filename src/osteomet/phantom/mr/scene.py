"""What a grid sees of a body as tissues of magnetic resonance: marrow, cortex, deposits, soft tissue, and the truth.

The same body, scene and labels as for CT; only the filling differs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.phantom.body import Body
from osteomet.phantom.lesions.deposits import Realm
from osteomet.phantom.mr import filling as mr_filling
from osteomet.phantom.mr import sac
from osteomet.phantom.mr.artefacts import apply_along
from osteomet.phantom.mr.geometry import Stack
from osteomet.phantom.mr.laying import chains_of, lay
from osteomet.phantom.mr.scanner import Composition
from osteomet.phantom.mr.tissues import Tissue
from osteomet.phantom.scene import LobeInScene, Scene, Truth, label_scene, lobes_in, metal_in, view_body
from osteomet.phantom.skeleton.frames import frames_of
from osteomet.phantom.skeleton.parts import BODY, PARTS, is_posterior
from osteomet.phantom.soft_tissue.assembly import SoftTissue

Layers = tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]
"""First and second tissue of each voxel, and the share of the second."""

_SHELL_MM = {Group.PELVIS: 1.2, Group.FEMUR: 1.7, Group.SACRAL: 0.8}
_OTHER_SHELL_MM, _BODY_SHELL_MM, _ARCH_MM, _SPINOUS_MM = 0.9, 0.6, 1.3, 0.6
_FAT_BEYOND_LUMBAR = {
    Group.CERVICAL: -0.08,
    Group.THORACIC: -0.05,
    Group.LUMBAR: 0.0,
    Group.SACRAL: 0.08,
    Group.PELVIS: 0.15,
    Group.FEMUR: 0.33,
    Group.THORAX: -0.02,
}


@dataclass(frozen=True, slots=True)
class Marrow:
    """How fatty the marrow of a patient is.

    ``lumbar_fat`` is the fat fraction of lumbar bodies, 0–1; ``mottle`` the standard deviation of its unevenness in
    space.
    """

    lumbar_fat: float
    mottle: float


@dataclass(frozen=True, slots=True, eq=False)
class TissueScene:
    """Tissue of each voxel of a grid with the labels of bones, metastases and mimics."""

    composition: Composition
    truth: Truth


def sample_marrow(rng: np.random.Generator, age_years: float) -> Marrow:
    """Draw the marrow of a patient of this age.

    The fat fraction of lumbar bodies rises from 25 % at 20 years to 55 % at 80, with a standard deviation of 8 % among
    people of one age. The line is chosen; Baum 2018 found 27 ± 6 % (women) and 32 ± 8 % (men) in the twenties, and more
    with age.

    References
    ----------
    Baum T. et al. 2018, water-fat imaging of 156 healthy people: https://doi.org/10.3389/fendo.2018.00141
    """
    fat = 0.25 + 0.005 * (age_years - 20) + 0.08 * rng.normal()
    return Marrow(float(np.clip(fat, 0.15, 0.7)), float(rng.uniform(0.03, 0.1)))


def compose(body: Body, grid: Grid, marrow: Marrow, *, tumour: Tissue = Tissue.METASTASIS) -> TissueScene:
    """Fill any grid with the tissues of a body: only what the grid sees is computed.

    Everything is a function of space, so that crops agree with the whole.

    Parameters
    ----------
    body, grid, marrow
        What to fill, where, and how fatty.
    tumour
        What metastases that do not harden bone and were not treated are made of.
    """
    softness_mm = float(np.mean(np.sort(grid.spacing_mm)[:2]))
    scene = view_body(body, grid, margin_mm=2 * softness_mm)
    lobes = list(lobes_in(scene, body.deposits))
    layers = _soft_layers(body.soft_tissue, scene, softness_mm)
    solid = np.clip(0.5 + scene.depth_mm / softness_mm, 0, 1).astype(np.float32)
    core = np.clip(0.5 + (scene.depth_mm - _shell_mm(body, scene)) / softness_mm, 0, 1).astype(np.float32)
    taken, by = _taken(lobes, core, tumour)
    mr_filling.put_bone(solid, core, taken, by, int(Tissue.CORTICAL_BONE), int(Tissue.MIXED_MARROW), *layers)
    metal = metal_in(scene, body.hardware, softness_mm=softness_mm)
    if metal is not None:
        mr_filling.add_metal(metal.share, int(Tissue.METAL), *layers)
    composition = Composition(grid, *layers, _marrow_fat(body, scene, marrow))
    return TissueScene(composition, label_scene(scene, lobes, metal))


def in_slices(truth: Truth, stack: Stack) -> Truth:
    """Gather labels from the layers of a stack into its slices.

    A voxel is labelled where the labelled layers have half of the slice profile or more; its name is that of the
    middle layer or, where that has none, the highest.
    """
    return Truth(*(_gathered(getattr(truth, f.name), stack) for f in fields(truth)))


def _gathered(labels: NDArray[np.uint8], stack: Stack) -> NDArray[np.uint8]:
    """One label map in slices."""
    if stack.n_layers == 1:
        return labels
    share = apply_along(stack.layer_weights(), (labels > 0).astype(np.float32), stack.slice_axis)
    layers = np.moveaxis(labels, stack.slice_axis, -1)
    layers = layers.reshape(*layers.shape[:-1], -1, stack.n_layers)
    middle = layers[..., stack.n_layers // 2]
    named = np.moveaxis(np.where(middle > 0, middle, layers.max(axis=-1)), -1, stack.slice_axis)
    return np.where(share >= 0.5, named, 0).astype(np.uint8)


def _soft_layers(soft: SoftTissue, scene: Scene, softness_mm: float) -> Layers:
    """Shapes laid over air in order, streaks of fat in muscle, septa in fat, roots and streams in fluid."""
    shape = scene.grid.shape
    first, second = np.full(shape, Tissue.AIR, dtype=np.uint8), np.full(shape, Tissue.AIR, dtype=np.uint8)
    layers = first, second, np.zeros(shape, dtype=np.float32)
    tissues = np.array([Tissue[name.upper()] for name in soft.tissues], dtype=np.uint8)
    shapes = soft.shapes
    lay(
        scene.points_mm, shapes.kinds, shapes.parameters, shapes.boxes, chains_of(shapes, tissues), tissues,
        softness_mm, *layers,
    )  # fmt: skip
    muscle, fat, ligament = int(Tissue.MUSCLE), int(Tissue.SUBCUTANEOUS_FAT), int(Tissue.LIGAMENT)
    seed = soft.seed % 2**31
    mr_filling.add_streaks(scene.points_mm, (muscle, fat, ligament), soft.streaks, seed, *layers)
    fluids = int(Tissue.CSF), int(Tissue.NERVE_ROOT), int(Tissue.CSF_STREAM)
    sac.stir(scene.points_mm, fluids, soft.sac_mm, seed, *layers)
    return layers


def _shell_mm(body: Body, scene: Scene) -> NDArray[np.float32]:
    """Thickness of the cortex of the bone at or near each voxel."""
    by_bone = np.full(256, _OTHER_SHELL_MM, dtype=np.float32)
    for structure in STRUCTURES.values():
        by_bone[structure.id] = _SHELL_MM.get(structure.group, _OTHER_SHELL_MM)
    shell = np.where(scene.part == BODY, np.float32(_BODY_SHELL_MM), by_bone[scene.owner])
    arch = np.where(scene.part == PARTS["spinous_process"], np.float32(_SPINOUS_MM), np.float32(_ARCH_MM))
    return np.where(is_posterior(scene.part), arch, shell) * np.float32(body.cortex_factor)


def _taken(
    lobes: list[LobeInScene], core: NDArray[np.float32], tumour: Tissue
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Share of each voxel that deposits take from marrow, cortex and what lies around, and which tissue they are."""
    taken, by = np.zeros(core.shape, dtype=np.float32), np.zeros(core.shape, dtype=np.uint8)
    for lobe in lobes:
        deposit = lobe.deposit
        stays = deposit.realm is Realm.BONE and float(deposit.outgrowth_mm().max()) == 0
        share = lobe.share * core[lobe.box] if stays else lobe.share
        is_more = share >= np.maximum(taken[lobe.box], 0.02)
        taken[lobe.box][is_more] = share[is_more]
        by[lobe.box][is_more] = _tissue_of(lobe, tumour)
    return taken, by


def _tissue_of(lobe: LobeInScene, tumour: Tissue) -> Tissue:
    """Tissue of the lobes of one type; metastases that nothing has changed are of this tumour."""
    tissue = Tissue[lobe.deposit.tissue(lobe.kind)]
    return tumour if tissue is Tissue.METASTASIS else tissue


def _marrow_fat(body: Body, scene: Scene, marrow: Marrow) -> NDArray[np.float32]:
    """Fat fraction of the marrow at each voxel in or near bone."""
    seed = body.soft_tissue.seed % 2**31
    rng = np.random.default_rng(seed)
    by_bone = np.full(256, marrow.lumbar_fat, dtype=np.float32)
    for structure in STRUCTURES.values():
        by_bone[structure.id] += _FAT_BEYOND_LUMBAR.get(structure.group, 0.0) + 0.02 * rng.normal()
    fat = np.zeros(scene.grid.shape, dtype=np.float32)
    frames = frames_of(body.column)
    mr_filling.marrow_fat(
        scene.points_mm, scene.owner, scene.part == BODY, scene.depth_mm, (by_bone, frames.to_own, frames.half_mm),
        marrow.mottle, seed, fat,
    )  # fmt: skip
    return fat
