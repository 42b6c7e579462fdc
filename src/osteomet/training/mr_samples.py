"""Training samples of MR from phantom bodies on the fly: a number in, the same sequences on the same patch out, always.

Each sequence is acquired as a scanner does it, on a stack of slices of its own, and then brought to the grid of the
patch by the code that does it for a study (`osteomet.nn.inputs`).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, Group, SequenceRole
from osteomet.image.intensity import signal_gain
from osteomet.nn.inputs import SequenceImage, fill_inputs, sequence_inputs
from osteomet.nn.losses import IGNORED
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.lesions.deposits import Realm
from osteomet.phantom.mr.acquisition import acquire
from osteomet.phantom.mr.geometry import Stack
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.scanner import MrScanner, sample_mr_scanner
from osteomet.phantom.mr.scene import Marrow, compose, sample_marrow
from osteomet.phantom.mr.sequences import Sequence
from osteomet.phantom.scene import Truth, label_scene, lobes_in, view_body
from osteomet.phantom.skeleton.parts import structure_table
from osteomet.training.mr_stacks import View, draw_stack, draw_view, preview_grid
from osteomet.training.recipe import PartRecipe
from osteomet.training.samples import bone_classes, bones_as_found, patch_grid, where_sought

_CROPS_PER_BODY = 6
_ACQUISITIONS = {
    (SequenceRole.T1,): 0.6,
    (SequenceRole.T2,): 0.4,
    (SequenceRole.STIR,): 0.45,
    (SequenceRole.CE,): 0.35,
    (SequenceRole.T1_IP, SequenceRole.FO): 0.35,
    (SequenceRole.DWI, SequenceRole.ADC): 0.3,
}
"""Images that one acquisition makes, and how often an exam has it."""
_MOST_ACQUISITIONS = 4
_SAME_STACK = 0.6
_HIGH_FIELD = 0.5
_NEAR_LESION, _NEAR_METASTASIS = 0.8, 0.7
_BONE_ODDS = {Group.PELVIS: 4.0, Group.SACRAL: 3.0, Group.FEMUR: 2.0, Group.THORAX: 0.3}
_DROPPED = 0.3
_GAIN_SPREAD, _NOISE = 0.15, 0.03


@dataclass(frozen=True, slots=True, eq=False)
class MrSample:
    """A patch as several sequences show it.

    ``images`` has an entry for each input of the recipe, None where the exam lacks it; ``target`` is the class of each
    voxel or `IGNORED`, uint8; ``bones`` what the network is told of bones, or None. All of shape (i, j, k).
    """

    images: tuple[SequenceImage | None, ...]
    target: NDArray[np.uint8]
    bones: NDArray[np.bool_] | None


@dataclass(frozen=True, slots=True, eq=False)
class _Exam:
    """A patient in a scanner, stacks of slices with the protocols that are run on each, and the view of the first."""

    body: Body
    marrow: Marrow
    scanner: MrScanner
    view: View
    stacks: tuple[tuple[Stack, tuple[Sequence, ...]], ...]


def draw_mr_sample(part: str, recipe: PartRecipe, number: int) -> MrSample:
    """Make the sample of one number: the same recipe, part and number always give the same bytes."""
    body, marrow = _patient(recipe.seed, number // _CROPS_PER_BODY, recipe.n_metastases)
    rng = np.random.default_rng([recipe.seed, 1, number])
    grid = patch_grid(_lesion_centre(body, rng) if part == "lesions" else _bone_centre(body, rng), recipe, rng)
    shown = _acquired(_draw_exam(recipe, body, marrow, grid, rng), grid, rng)
    images = tuple(None if role is None else shown[role] for role in fill_inputs(recipe.sequences, shown))
    scene = view_body(body, grid, margin_mm=1.0)
    truth = label_scene(scene, list(lobes_in(scene, body.deposits)))
    if recipe.near_bone_mm is None:
        return MrSample(images, bone_classes(divided(truth), truth.parts, scene.depth_mm, recipe.outputs), None)
    is_lesion = truth.lesions > 0
    bones = bones_as_found(truth.bones > 0, is_lesion, grid, rng)
    return MrSample(images, where_sought(is_lesion.astype(np.uint8), truth.bones, recipe), bones)


def divided(truth: Truth) -> NDArray[np.uint8]:
    """Bone of each voxel by vocabulary id, hip bones and femora divided into their structures; ribs stay one."""
    is_divided = np.zeros(256, dtype=np.bool_)
    is_divided[[s.id for s in STRUCTURES.values() if s.group in (Group.PELVIS, Group.FEMUR)]] = True
    finest = structure_table()[truth.bones, truth.parts]
    return np.where(is_divided[truth.bones], finest, truth.bones)


def as_seen(sample: MrSample, rng: np.random.Generator) -> tuple[NDArray[np.float32], NDArray[np.uint8]]:
    """What a network sees of a sample and shall say: some sequences missing, each with another gain and more noise.

    What no sequence shows is background to a network that finds bones, which end at the edge of a scan, and `IGNORED`
    by one that is told of them.
    """
    present = [place for place, image in enumerate(sample.images) if image is not None]
    always = present[int(rng.integers(len(present)))]
    kept = {place for place in present if rng.random() >= _DROPPED} | {always}
    images = [
        _varied(image, rng) if image is not None and place in kept else None
        for place, image in enumerate(sample.images)
    ]
    shown = np.logical_or.reduce([image.covered for image in images if image is not None])
    target = np.where(shown, sample.target, np.uint8(0 if sample.bones is None else IGNORED))
    return sequence_inputs(images, sample.target.shape, sample.bones), target


def _varied(image: SequenceImage, rng: np.random.Generator) -> SequenceImage:
    """The same with another gain and more noise."""
    gain = np.float32(rng.lognormal(0, _GAIN_SPREAD))
    noise = np.float32(rng.uniform(0, _NOISE)) * rng.standard_normal(image.signal.shape, dtype=np.float32)
    return replace(image, signal=image.signal * gain + noise)


@lru_cache(maxsize=2)
def _patient(seed: int, number: int, n_metastases: int) -> tuple[Body, Marrow]:
    """Keep the last bodies, since neighbouring samples share them."""
    rng = np.random.default_rng([seed, 0, number])
    body = sample_body(rng, n_metastases=n_metastases)
    return body, sample_marrow(rng, body.column.age_years)


def _lesion_centre(body: Body, rng: np.random.Generator) -> NDArray[np.float64]:
    """A place near a metastasis, more seldom near a mimic inside bone, or any bone."""
    is_metastasis = rng.random() < _NEAR_METASTASIS
    choice = [d for d in body.deposits if d.realm is Realm.BONE and d.is_metastasis == is_metastasis]
    if not choice or rng.random() >= _NEAR_LESION:
        return _bone_centre(body, rng)
    return np.asarray(choice[int(rng.integers(len(choice)))].lobes_mm[0, :3] + rng.normal(0, 16, 3))


def _bone_centre(body: Body, rng: np.random.Generator) -> NDArray[np.float64]:
    """A place near a bone: hips and sacrum, which have several structures or are large, more often than a vertebra."""
    groups = {s.id: s.group for s in STRUCTURES.values()}
    owners = np.unique(body.bones.owners)
    odds = np.array([_BONE_ODDS.get(groups[int(owner)], 1.0) for owner in owners])
    rows = np.flatnonzero(body.bones.owners == rng.choice(owners, p=odds / odds.sum()))
    middle = body.bones.boxes[int(rng.choice(rows))].mean(axis=0)
    middle[2] = max(middle[2], -120.0)
    return np.asarray(middle + rng.normal(0, 22, 3))


def _draw_exam(recipe: PartRecipe, body: Body, marrow: Marrow, grid: Grid, rng: np.random.Generator) -> _Exam:
    """Draw a scanner, protocols and where their slices lie; most follow the first stack."""
    field_t = 3.0 if rng.random() < _HIGH_FIELD else 1.5
    scanner = sample_mr_scanner(rng, field_t)
    pixel_mm = (0.6 * recipe.spacing_mm[0], recipe.spacing_mm[0])
    view = draw_view(grid, rng)
    on_first: list[Sequence] = []
    others = []
    for role in _draw_acquisitions(recipe, rng):
        protocol = preset(role, field_t, rng)
        if not on_first or rng.random() < _SAME_STACK:
            on_first.append(protocol)
        else:
            others.append((draw_stack(draw_view(grid, rng), grid, pixel_mm, rng), (protocol,)))
    first = draw_stack(view, grid, pixel_mm, rng)
    return _Exam(body, marrow, scanner, view, ((first, tuple(on_first)), *others))


def _draw_acquisitions(recipe: PartRecipe, rng: np.random.Generator) -> list[SequenceRole]:
    """Draw what is acquired: one of its roles where the network takes a single sequence, whichever it is."""
    if len(recipe.sequences) == 1:
        (roles,) = recipe.sequences
        return [roles[int(rng.integers(len(roles)))]]
    wanted = {role for roles in recipe.sequences for role in roles}
    offered = [(roles[0], odds) for roles, odds in _ACQUISITIONS.items() if not wanted.isdisjoint(roles)]
    order = [offered[int(n)] for n in rng.permutation(len(offered))]
    drawn = [role for role, odds in order if rng.random() < odds]
    return drawn[:_MOST_ACQUISITIONS] or [order[0][0]]


def _acquired(exam: _Exam, grid: Grid, rng: np.random.Generator) -> dict[SequenceRole, SequenceImage]:
    """Images of an exam by role on the grid of the patch, each in units of the gain of a whole field of view."""
    whole = compose(exam.body, preview_grid(exam.view), exam.marrow).composition
    at_rest = replace(exam.scanner, shift_mm=0.0, motion_px=0.0)
    scanner = replace(exam.scanner, shift_mm=0.0)
    found: dict[SequenceRole, SequenceImage] = {}
    for stack, protocols in exam.stacks:
        composition = compose(exam.body, stack.fine, exam.marrow).composition
        for protocol in protocols:
            images = acquire(composition, protocol, scanner, rng, stack).images
            preview = acquire(whole, protocol, at_rest, rng).images
            for role in SequenceRole:
                if role.value in images:
                    image = SequenceImage.on_grid(images[role.value], grid, signal_gain(preview[role.value].array))
                    found[role] = replace(image, signal=image.signal.astype(np.float16))
            scanner = exam.scanner  # only the first acquisition lies in place
    return found
