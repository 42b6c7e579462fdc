"""Training samples cut from phantom bodies on the fly: a number in, the same patch out, always."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter, zoom
from scipy.spatial.transform import Rotation

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SEARCHED_IDS, STRUCTURES, Group
from osteomet.image.distance import distance_inside_mm, distance_to_mm
from osteomet.nn.losses import IGNORED
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.ct.rendering import CtPhantom, render_ct, sample_scanner
from osteomet.phantom.skeleton.parts import BODY, is_posterior
from osteomet.training.recipe import PartRecipe

CORE_DEPTH_MM = 2.5
"""A voxel of a vertebral body this far below its surface belongs to the core, so cores of neighbours never touch."""
_CROPS_PER_BODY = 6
OUTSIDE_HU = -1024
_LYTIC = 1
_TURN_RAD = 0.09
_WHOLE = 0.7
_COARSE_SHARE = 0.5
_LYSIS_LEFT_OUT = 0.25
_SURFACE_ERROR_MM = 1.2
_KNOT_MM = 10.0
_FAR_MM = 1e3
_PLAIN_SHARE = 0.35
_METASTASIS_SHARE = 0.4


@dataclass(frozen=True, slots=True, eq=False)
class Sample:
    """A patch.

    ``image_hu`` is float32, ``target`` the class of each voxel or `IGNORED`, uint8, and ``bones`` what the network is
    told of bones, or None, each of shape (i, j, k).
    """

    image_hu: NDArray[np.float32]
    target: NDArray[np.uint8]
    bones: NDArray[np.bool_] | None


def bone_targets(phantom: CtPhantom, outputs: tuple[str, ...]) -> NDArray[np.uint8]:
    """Class of each voxel for the bone network; ``outputs`` gives the order of the classes."""
    return bone_classes(phantom.truth.bones, phantom.truth.parts, phantom.depth_mm, outputs)


def bone_classes(
    bones: NDArray[np.uint8], parts: NDArray[np.uint8], depth_mm: NDArray[np.float32], outputs: tuple[str, ...]
) -> NDArray[np.uint8]:
    """Classes of voxels by the vocabulary id of their bone, their part of it and their depth below its surface."""
    code = {name: index for index, name in enumerate(outputs)}
    table = np.zeros((256, 3), dtype=np.uint8)
    for structure in STRUCTURES.values():
        name = structure.name
        if structure.group in (Group.CERVICAL, Group.THORACIC, Group.LUMBAR):
            table[structure.id] = (code[f"core_{structure.group}"], code["body_rim"], code["posterior"])
        elif name in ("sacrum", "coccyx"):
            table[structure.id] = code["sacrum"]
        elif name in code:
            table[structure.id] = code[name]
    zone = np.where(is_posterior(parts), 2, 1)
    zone = np.where((parts == BODY) & (depth_mm > CORE_DEPTH_MM), 0, zone)
    return np.asarray(table[bones, zone])


def lesion_targets(phantom: CtPhantom, outputs: tuple[str, ...]) -> NDArray[np.uint8]:
    """Class of each voxel for the lesion network, in the order of ``outputs``."""
    return lesion_classes(phantom.truth.lesion_kinds, outputs)


def lesion_classes(kinds: NDArray[np.uint8], outputs: tuple[str, ...]) -> NDArray[np.uint8]:
    """Classes of voxels whose kinds are given by `scene.KIND_CODES`."""
    table = np.array([0, outputs.index("lytic"), outputs.index("sclerotic")], dtype=np.uint8)
    return np.asarray(table[kinds])


TARGETS: dict[str, Callable[[CtPhantom, tuple[str, ...]], NDArray[np.uint8]]] = {
    "bones": bone_targets,
    "lesions": lesion_targets,
}
"""What each part of a CT model learns."""


def draw_sample(part: str, recipe: PartRecipe, number: int) -> Sample:
    """Make the sample of one number: the same recipe, part and number always give the same bytes."""
    body = _body(recipe.seed, number // _CROPS_PER_BODY, recipe.n_metastases)
    rng = np.random.default_rng([recipe.seed, 1, number])
    centre = _lesion_centre(body, rng) if part == "lesions" else _bone_centre(body, rng)
    grid = patch_grid(centre, recipe, rng)
    phantom = render_ct(body, grid, sample_scanner(rng), rng)
    image = as_if_coarser(phantom.volume.array.astype(np.float32), recipe.spacing_mm, rng)
    target = where_sought(TARGETS[part](phantom, recipe.outputs), phantom.truth.bones, recipe)
    bones = None
    if recipe.near_bone_mm is not None:
        bones = bones_as_found(phantom.truth.bones > 0, phantom.truth.lesion_kinds == _LYTIC, grid, rng)
    return cut_field_of_view(Sample(image, target, bones), rng)


def patch_grid(centre_mm: NDArray[np.float64], recipe: PartRecipe, rng: np.random.Generator) -> Grid:
    """Grid of a patch about a place, turned a little."""
    rotation = Rotation.from_rotvec(rng.normal(0, _TURN_RAD, 3)).as_matrix()
    origin = centre_mm - rotation @ (np.array(recipe.spacing_mm) * (np.array(recipe.patch) - 1) / 2)
    return Grid.from_spacing(recipe.patch, recipe.spacing_mm, origin_mm=origin.tolist(), direction=rotation)


def as_if_coarser(
    image: NDArray[np.float32], spacing_mm: tuple[float, float, float], rng: np.random.Generator
) -> NDArray[np.float32]:
    """Blur some patches as scans of larger voxels are: in the axial plane and along the body, each by its own edge.

    An average over an edge, then linear interpolation, have together a standard deviation of half the edge.
    """
    if rng.random() >= _COARSE_SHARE:
        return image
    in_plane_mm, along_mm = rng.uniform(0.5, 3.5), rng.uniform(0.5, 5.0)
    edges_mm = np.array([in_plane_mm, in_plane_mm, along_mm])
    return np.asarray(gaussian_filter(image, edges_mm / 2 / spacing_mm, mode="nearest", truncate=3.0))


def where_sought(target: NDArray[np.uint8], bones: NDArray[np.uint8], recipe: PartRecipe) -> NDArray[np.uint8]:
    """The target in and near bones that are searched for lesions, and `IGNORED` elsewhere; as it is for bones."""
    if recipe.near_bone_mm is None:
        return target
    is_far = distance_to_mm(np.isin(bones, SEARCHED_IDS), recipe.spacing_mm) > recipe.near_bone_mm
    return np.where(is_far, np.uint8(IGNORED), target)


def bones_as_found(
    bones: NDArray[np.bool_], lysis: NDArray[np.bool_], grid: Grid, rng: np.random.Generator
) -> NDArray[np.bool_]:
    """Bones with the errors of a coarse network: surfaces a voxel or two off, and now and then a lysis left out."""
    if rng.random() < _LYSIS_LEFT_OUT:
        bones = bones & ~lysis
    outside_mm = distance_to_mm(bones, grid.spacing_mm)
    depth_mm = np.where(bones, distance_inside_mm(bones, grid.spacing_mm), -outside_mm)
    n_knots = [max(2, round(n * s / _KNOT_MM)) for n, s in zip(grid.shape, grid.spacing_mm, strict=True)]
    coarse = rng.normal(0, _SURFACE_ERROR_MM, n_knots)
    shift_mm = zoom(coarse, [n / k for n, k in zip(grid.shape, n_knots, strict=True)], order=1, grid_mode=False)
    return np.asarray(np.nan_to_num(depth_mm, posinf=_FAR_MM, neginf=-_FAR_MM) + shift_mm > 0)


@lru_cache(maxsize=2)
def _body(seed: int, number: int, n_metastases: int) -> Body:
    """Keep the last bodies, since neighbouring samples share them."""
    return sample_body(np.random.default_rng([seed, 0, number]), n_metastases=n_metastases)


def _bone_centre(body: Body, rng: np.random.Generator) -> NDArray[np.float64]:
    """A place near the column or pelvis, more seldom anywhere between thighs and neck."""
    if rng.random() < 0.15:
        return rng.uniform([-130, -90, -130], [130, 100, body.top_mm])
    odds = np.array([0.15 if owner >= 50 else 1.0 for owner in body.bones.owners])
    row = int(rng.choice(len(body.bones), p=odds / odds.sum()))
    middle = body.bones.boxes[row].mean(axis=0)
    middle[2] = max(middle[2], -120.0)
    return np.asarray(middle + rng.normal(0, 22, 3))


def _lesion_centre(body: Body, rng: np.random.Generator) -> NDArray[np.float64]:
    """A place near a metastasis, near a mimic, which outnumber metastases in a worn column, or near any bone.

    Joints, arches and walls of the pelvis must be seen often without a lesion, or the network expects one everywhere.
    A part is drawn by the root of its volume, or the hundreds of small parts of vertebrae would leave the hips unseen.
    """
    kind = rng.random()
    deposits = [d for d in body.deposits if d.owner in SEARCHED_IDS]
    if kind < _PLAIN_SHARE or not deposits:
        boxes = body.bones.boxes[np.isin(body.bones.owners, SEARCHED_IDS)]
        odds = np.sqrt(np.prod(boxes[:, 1] - boxes[:, 0], axis=1))
        low, high = boxes[int(rng.choice(len(boxes), p=odds / odds.sum()))]
        return np.asarray(rng.uniform(low, high) + rng.normal(0, 8, 3))
    is_metastasis = kind < _PLAIN_SHARE + _METASTASIS_SHARE
    choice = [d for d in deposits if d.is_metastasis == is_metastasis] or deposits
    deposit = choice[int(rng.integers(len(choice)))]
    return np.asarray(deposit.lobes_mm[0, :3] + rng.normal(0, 16, 3))


def cut_field_of_view(sample: Sample, rng: np.random.Generator) -> Sample:
    """Blank one side of the patch, as the edge of a scan does, or leave it whole."""
    if rng.random() < _WHOLE:
        return sample
    image, target = sample.image_hu.copy(), sample.target.copy()
    axis = int(rng.integers(3))
    n = int(rng.integers(1, image.shape[axis] // 2))
    side = slice(0, n) if rng.random() < 0.5 else slice(-n, None)
    index = tuple(side if a == axis else slice(None) for a in range(3))
    image[index] = OUTSIDE_HU
    target[index] = 0 if sample.bones is None else IGNORED
    if sample.bones is None:
        return Sample(image, target, None)
    bones = sample.bones.copy()
    bones[index] = False
    return Sample(image, target, bones)
