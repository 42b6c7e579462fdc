"""What a grid sees of a body as tissues of magnetic resonance: marrow, cortex, deposits, soft tissue, and the truth.

The same body, scene and labels as for CT; only the filling differs.
"""

from __future__ import annotations

from dataclasses import dataclass, fields, replace

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, Group, LesionType
from osteomet.phantom import kernels
from osteomet.phantom.body import Body
from osteomet.phantom.bones import BODY
from osteomet.phantom.deposits import Deposit
from osteomet.phantom.mr import Composition
from osteomet.phantom.mr_artefacts import apply_along
from osteomet.phantom.mr_geometry import Stack
from osteomet.phantom.scene import BREACH_MM, LobeInScene, Scene, Truth, label_scene, lobes_in, view_body
from osteomet.phantom.shapes import CAPSULE_RADII, CAPSULE_Y, ELLIPSOID_RADII, Shapes, lay
from osteomet.phantom.soft_tissue import Organ, SoftTissue
from osteomet.phantom.tissues import Tissue

_TISSUE_OF = {
    Organ.FAT: Tissue.SUBCUTANEOUS_FAT,
    Organ.MUSCLE: Tissue.MUSCLE,
    Organ.BOWEL: Tissue.BOWEL_WALL,
    Organ.BOWEL_CONTENT: Tissue.BOWEL_CONTENT,
    Organ.GAS: Tissue.GAS,
    Organ.LIVER: Tissue.LIVER,
    Organ.KIDNEY: Tissue.KIDNEY,
    Organ.BLADDER: Tissue.URINE,
    Organ.LUNG: Tissue.LUNG,
    Organ.ARTERY: Tissue.ARTERY,
    Organ.VEIN: Tissue.VEIN,
    Organ.DISC: Tissue.ANNULUS,
    Organ.EPIDURAL_FAT: Tissue.EPIDURAL_FAT,
    Organ.THECAL_SAC: Tissue.CSF,
    Organ.CORD: Tissue.CORD,
    Organ.ROOTS: Tissue.NERVE_ROOT,
}
_DEPTH = {Organ.EPIDURAL_FAT: 1, Organ.THECAL_SAC: 2, Organ.CORD: 3, Organ.ROOTS: 3}
_MIMIC_TISSUES = {
    "endplate_sclerosis": (Tissue.MODIC_1, Tissue.MODIC_2, Tissue.MODIC_2, Tissue.MODIC_3),
    "schmorl_node": (Tissue.NUCLEUS_DEGENERATED,),
    "facet_arthrosis": (Tissue.MODIC_3, Tissue.OEDEMA),
    "basivertebral_vein": (Tissue.VEIN,),
    "joint_sclerosis": (Tissue.MODIC_3, Tissue.MODIC_2),
    "bone_island": (Tissue.BONE_ISLAND,),
}
"""What a mimic can be on MR; which of several is drawn with the shape of the deposit."""

_CORTEX_MM = {Group.PELVIS: 1.2, Group.FEMUR: 1.7, Group.SACRAL: 0.8}
_SPINE_CORTEX_MM, _BODY_CORTEX_MM = 1.0, 0.6
_FAT_BEYOND_LUMBAR = {
    Group.CERVICAL: -0.08,
    Group.THORACIC: -0.05,
    Group.LUMBAR: 0.0,
    Group.SACRAL: 0.08,
    Group.PELVIS: 0.15,
    Group.FEMUR: 0.33,
    Group.THORAX: -0.02,
}
_SKIN_MM = 1.8
_NUCLEUS = 0.68
_DEGENERATED = 0.45
_ROOTS_RADIUS_MM, _ROOTS_BEHIND_MM = 2.4, 2.8


@dataclass(frozen=True, slots=True)
class Marrow:
    """How fatty the marrow of a patient is.

    ``lumbar_fat`` is the fat fraction of lumbar bodies, 0–1; ``mottle`` the standard deviation of its unevenness in
    space; ``disc_age`` the share of discs that are degenerated.
    """

    lumbar_fat: float
    mottle: float
    disc_age: float


@dataclass(frozen=True, slots=True, eq=False)
class TissueScene:
    """Tissue of each voxel of a grid with the labels of bones, metastases and mimics."""

    composition: Composition
    truth: Truth


def sample_marrow(rng: np.random.Generator, age_years: float) -> Marrow:
    """Draw the marrow of a patient of this age.

    The fat fraction of lumbar bodies rises from about 25 % at 20 years to about 55 % at 80, with a standard deviation
    of 8 % among people of one age (after Kugel H. et al., J Magn Reson Imaging 2001;13:263-268).
    """
    fat = 0.25 + 0.005 * (age_years - 20) + 0.08 * rng.normal()
    worn = np.clip((age_years - 25) / 70 + 0.15 * rng.normal(), 0.0, 0.95)
    return Marrow(float(np.clip(fat, 0.15, 0.7)), float(rng.uniform(0.02, 0.09)), float(worn))


def compose(
    body: Body, grid: Grid, marrow: Marrow, rng: np.random.Generator, *, tumour: Tissue = Tissue.METASTASIS
) -> TissueScene:
    """Fill any grid with the tissues of a body: only what the grid sees is computed.

    Parameters
    ----------
    body, grid, marrow
        What to fill, where, and how fatty.
    rng
        Draws the unevenness of marrow and muscle.
    tumour
        What metastases that do not harden bone are made of; sclerotic ones are `Tissue.METASTASIS_SCLEROTIC`.
    """
    softness_mm = float(np.mean(np.sort(grid.spacing_mm)[:2]))
    scene = view_body(body, grid, margin_mm=2 * softness_mm + BREACH_MM)
    lobes = list(lobes_in(scene, body.deposits))
    layers = _soft_layers(body.soft_tissue, scene, marrow, rng, softness_mm)
    solid = np.clip(0.5 + scene.depth_mm / softness_mm, 0, 1).astype(np.float32)
    core = np.clip(0.5 + (scene.depth_mm - _cortex_mm(body, scene)) / softness_mm, 0, 1).astype(np.float32)
    reached = np.clip(0.5 + (scene.depth_mm + BREACH_MM) / softness_mm, 0, 1).astype(np.float32)
    taken, by = _taken(lobes, core, reached, tumour)
    kernels.put_bone(solid, core, taken, by, int(Tissue.CORTICAL_BONE), int(Tissue.MIXED_MARROW), *layers)
    composition = Composition(grid, *layers, _marrow_fat(scene, marrow, rng))
    return TissueScene(composition, label_scene(scene, lobes))


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


def _soft_layers(
    soft: SoftTissue, scene: Scene, marrow: Marrow, rng: np.random.Generator, softness_mm: float
) -> tuple[NDArray[np.uint8], NDArray[np.uint8], NDArray[np.float32]]:
    """Air, skin, fat, muscle with fatty streaks, then every organ in order."""
    shape = scene.grid.shape
    first, second = np.full(shape, Tissue.AIR, dtype=np.uint8), np.zeros(shape, dtype=np.uint8)
    layers = first, second, np.zeros(shape, dtype=np.float32)
    skin_mm = soft.trunk.distance_mm(scene.points_mm)
    streaky = _field(scene.grid, 5.0, rng) > 2.2 - 1.4 * soft.streak_of_fat
    flesh = np.where(streaky, Tissue.SUBCUTANEOUS_FAT, Tissue.MUSCLE).astype(np.uint8)
    for depth_mm, tissue in (
        (0.0, np.full(shape, Tissue.SKIN, dtype=np.uint8)),
        (_SKIN_MM, np.full(shape, Tissue.SUBCUTANEOUS_FAT, dtype=np.uint8)),
        (soft.trunk.fat_mm, flesh),
    ):
        kernels.overlay(tissue, np.clip(0.5 - (skin_mm + depth_mm) / softness_mm, 0, 1).astype(np.float32), *layers)
    shapes, tissues = _shapes_of(soft, marrow)
    lay(tissues, shapes, scene.points_mm, scene.grid, scene.warp, layers, softness_mm=softness_mm)
    return layers


def _shapes_of(soft: SoftTissue, marrow: Marrow) -> tuple[Shapes, NDArray[np.uint8]]:
    """Shapes of soft tissue with what only MR shows: the nucleus inside each disc, thin roots in the lower sac.

    Epidural fat comes before all of the sac and the sac before all cord, so that segments leave no seams.
    """
    organs = np.array(soft.organs)
    tissues = np.array([_TISSUE_OF[organ] for organ in soft.organs], dtype=np.uint8)
    parameters = soft.shapes.parameters.copy()
    roots = organs == Organ.ROOTS
    parameters[np.ix_(roots, CAPSULE_RADII)] = _ROOTS_RADIUS_MM
    parameters[np.ix_(roots, CAPSULE_Y)] += _ROOTS_BEHIND_MM
    discs = np.flatnonzero(organs == Organ.DISC)
    order = np.sort(np.concatenate([np.arange(len(organs)), discs]), kind="stable")
    order = order[np.argsort([_DEPTH.get(soft.organs[row], 0) for row in order], kind="stable")]
    is_nucleus = np.concatenate([[False], np.diff(order) == 0])
    shapes = replace(soft.shapes, parameters=parameters).take(order)
    inner = shapes.parameters.copy()
    inner[np.ix_(is_nucleus, ELLIPSOID_RADII)] *= _NUCLEUS
    # The density of a disc on CT is drawn around that of the patient: the densest are the worn ones.
    rank = np.argsort(np.argsort(-soft.values_hu[discs])) / max(len(discs), 1)
    nuclei = np.where(rank < marrow.disc_age, Tissue.NUCLEUS_DEGENERATED, Tissue.NUCLEUS_HYDRATED)
    tissues = tissues[order]
    tissues[is_nucleus] = nuclei
    return replace(shapes, parameters=inner), tissues


def _cortex_mm(body: Body, scene: Scene) -> NDArray[np.float32]:
    """Thickness of the cortex of the bone at or near each voxel."""
    thickness = np.full(256, _SPINE_CORTEX_MM, dtype=np.float32)
    for structure in STRUCTURES.values():
        thickness[structure.id] = _CORTEX_MM.get(structure.group, _SPINE_CORTEX_MM) * body.cortex_factor
    return np.where(scene.part == BODY, _BODY_CORTEX_MM * body.cortex_factor, thickness[scene.owner]).astype(np.float32)


def _taken(
    lobes: list[LobeInScene], core: NDArray[np.float32], reached: NDArray[np.float32], tumour: Tissue
) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """Share of each voxel that deposits take from marrow, cortex and what lies around, and which tissue they are."""
    taken, by = np.zeros(core.shape, dtype=np.float32), np.zeros(core.shape, dtype=np.uint8)
    for lobe in lobes:
        leaves_bone = lobe.deposit.breach and lobe.kind is not LesionType.SCLEROTIC
        share = lobe.share * (reached if leaves_bone else core)[lobe.box]
        is_more = share >= np.maximum(taken[lobe.box], 0.02)
        taken[lobe.box][is_more] = share[is_more]
        by[lobe.box][is_more] = _tissue_of(lobe.deposit, lobe.kind, tumour)
    return taken, by


def _tissue_of(deposit: Deposit, kind: LesionType, tumour: Tissue) -> Tissue:
    """Tissue of a lobe."""
    if deposit.is_metastasis:
        return Tissue.METASTASIS_SCLEROTIC if kind is LesionType.SCLEROTIC else tumour
    choices = _MIMIC_TISSUES[deposit.cause]
    return choices[int(deposit.phase[3].sum() * 1e3) % len(choices)]


def _marrow_fat(scene: Scene, marrow: Marrow, rng: np.random.Generator) -> NDArray[np.float32]:
    """Fat fraction of the marrow at each voxel: by bone, mottled, red under the end plates of some."""
    fat = np.full(256, marrow.lumbar_fat, dtype=np.float32)
    for structure in STRUCTURES.values():
        fat[structure.id] += _FAT_BEYOND_LUMBAR.get(structure.group, 0.0) + 0.02 * rng.normal()
    uneven = 0.8 * _field(scene.grid, 3.0, rng) + 0.6 * _field(scene.grid, 8.0, rng)
    return np.clip(fat[scene.owner] + marrow.mottle * uneven, 0.05, 0.95).astype(np.float32)


def _field(grid: Grid, length_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian random field of unit variance with the given correlation length."""
    white = rng.standard_normal(grid.shape, dtype=np.float32)
    smooth = gaussian_filter(white, [length_mm / s for s in grid.spacing_mm], mode="wrap", truncate=3.0)
    return np.asarray(smooth / max(float(smooth.std()), 1e-6), dtype=np.float32)
