"""Bone as CT meets it: spongiosa with its trabeculae, and the thin shell around it.

References
----------
Silva M.J. et al. 1994, thickness of the vertebral shell and end plates: J Orthop Res 12:409-414
Wagner D. et al. 2016, density of the sacrum: J Bone Joint Surg Am 98:584-590
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.phantom.geometry.textures import noises, seen_share
from osteomet.phantom.scene import Scene
from osteomet.phantom.skeleton.anatomy import Column
from osteomet.phantom.skeleton.bones import spongiosa_hu
from osteomet.phantom.skeleton.frames import frames_of
from osteomet.phantom.skeleton.parts import BODY, PARTS

_GRAINS_MM = np.array([[0.9, 0.9, 2.2], [2.0, 2.0, 3.4], [7.0, 7.0, 9.0]])
"""Extent of trabeculae, of bundles of them and of patches of marrow: across, across and along the bone."""
_GRAIN_WEIGHTS = np.array([1.6, 0.8, 0.45])
_POROUS_MM = np.full(3, 4.0)
_SHELL_MM = {Group.FEMUR: 1.6, Group.THORAX: 0.7, Group.SACRAL: 0.7}
_VERTEBRAL_WALL_MM, _END_PLATE_MM = 0.40, 0.70
_ARCH = {
    "pedicle": (0.9, 240.0), "lamina": (1.3, 240.0), "facet": (1.2, 240.0), "transverse": (0.8, 170.0),
    "spinous": (0.8, 90.0), "ilium": (0.85, 150.0), "acetabulum": (1.0, 230.0), "ischium": (0.8, 90.0),
    "pubis": (0.8, 90.0),
}  # fmt: skip
"""Thickness of the cortex of arch and hip bone, mm, and how much denser spongiosa grows towards it, HU, by the first
word of its part: stout where it bears load, thin and open at the tips."""
_BEARING = {"femoral_head": 1.0, "femoral_neck": 0.3}
"""How much of the load of the body trabeculae of the femur bear; none in the trochanters, which are full of fat."""
_BEARING_SHARE, _BEARING_HU = (0.5, 1.7), (-10.0, 120.0)
"""What the spongiosa of the femur is multiplied by, and HU added, without load and more with all of it. Where the loins
have 100 HU, head, neck and trochanters come near 220, 80 and 15 HU, as on CT of patients."""
_BEARING_SPREAD_MM = 5.0
_RING_HU = 110.0
"""How much denser the ring of an end plate is than its middle."""
_WING_MM = (20.0, 12.0)
"""How far beside the midline of the sacrum its wings begin to fill with fat, and over how many mm."""
_WING_LOSS, _WING_HU = 0.7, 30.0
"""Share of the spongiosa that is gone in the middle of a wing, and HU that fat takes from the rest: wings are about as
dense as water."""
_UNEVEN = 0.4
"""How much the thickness of a shell differs from place to place, relative."""


def bone_density(
    scene: Scene,
    column: Column,
    lumbar_hu: float,
    cortex_factor: float,
    texture_hu: float,
    spread_mm: float,
    seed: int,
    *,
    rim: float = 1.0,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """HU of the spongiosa and thickness of the cortex (mm) at every voxel near bone, 0 elsewhere.

    ``texture_hu`` is the standard deviation of the trabeculae before a point spread of ``spread_mm`` averages them;
    ``seed`` belongs to the body, so that every scan sees the same bone; so does ``rim``, how much denser than elsewhere
    the spongiosa of vertebral bodies grows towards walls and end plates.
    """
    rng = np.random.default_rng(seed)
    spongiosa = spongiosa_hu(lumbar_hu) * rng.normal(1, 0.05, 256).astype(np.float32)
    shell = np.full(256, 0.8, dtype=np.float32)
    for structure in STRUCTURES.values():
        shell[structure.id] = _SHELL_MM.get(structure.group, _VERTEBRAL_WALL_MM) * cortex_factor
    shell *= rng.normal(1, 0.1, 256).astype(np.float32)
    frames = frames_of(column)
    half_mm = frames.half_mm.copy()
    for side in ("left", "right"):
        half_mm[STRUCTURES[f"femur_{side}"].id] = -1.0
    weights = _GRAIN_WEIGHTS * [seen_share(length, spread_mm) for length in _GRAINS_MM]
    # Dense bone has thicker trabeculae, and differs more from place to place.
    weights *= texture_hu * (0.65 + lumbar_hu / 600) / float(np.sqrt((_GRAIN_WEIGHTS**2).sum()))
    density, cortex = (np.zeros(scene.grid.shape, dtype=np.float32) for _ in range(2))
    arch = np.zeros((256, 2))
    for name, code in PARTS.items():
        arch[code] = np.array(_ARCH.get(name.split("_")[0], (0.0, 0.0))) * [cortex_factor, 1.0]
    _fill(
        scene.points_mm, scene.owner, scene.part, scene.depth_mm, 3 * spread_mm,
        (spongiosa, shell, frames.to_own, half_mm), (_END_PLATE_MM * cortex_factor, rim, arch, _bearing(scene)),
        (STRUCTURES["sacrum"].id, float(column.sacrum_centre_mm[0]), *_WING_MM),
        (_GRAINS_MM, weights, seed % 2**31), density, cortex,
    )  # fmt: skip
    return density, cortex


def _bearing(scene: Scene) -> NDArray[np.float32]:
    """How much of the load each voxel of the femora bears, fading from part to part."""
    inside = np.isin(scene.owner, [STRUCTURES[f"femur_{side}"].id for side in ("left", "right")])
    if not inside.any():
        return np.zeros(scene.owner.shape, dtype=np.float32)
    table = np.zeros(256, dtype=np.float32)
    for name, load in _BEARING.items():
        table[PARTS[name]] = load
    sigmas = _BEARING_SPREAD_MM / np.array(scene.grid.spacing_mm)
    whole = gaussian_filter(inside.astype(np.float32), sigmas, mode="nearest", truncate=2.0)
    borne = gaussian_filter(np.where(inside, table[scene.part], 0), sigmas, mode="nearest", truncate=2.0)
    return np.asarray(borne / np.maximum(whole, 1e-6))


@njit(cache=True, error_model="numpy")
def _fill(
    points: NDArray[np.float32],
    owner: NDArray[np.uint8],
    part: NDArray[np.uint8],
    depth: NDArray[np.float32],
    margin: float,
    bones: tuple[NDArray[np.float32], NDArray[np.float32], NDArray[np.float64], NDArray[np.float64]],
    plates: tuple[float, float, NDArray[np.float64], NDArray[np.float32]],
    wings: tuple[int, float, float, float],
    grains: tuple[NDArray[np.float64], NDArray[np.float64], int],
    density: NDArray[np.float32],
    cortex: NDArray[np.float32],
) -> None:
    """Fill density and cortex wherever bone is nearer than the margin, plane by plane."""
    spongiosa, shell, frames, half_mm = bones
    (end_plate, rim, arch, bearing), (lengths, weights, seed) = plates, grains
    sacrum, midline, wing_begins, wing_ramp = wings
    most = depth.shape[1] * depth.shape[2]
    at, uvw, porous, grain = np.empty((2, most), np.int64), np.empty((3, most)), np.empty(most), np.empty(most)
    for i in range(depth.shape[0]):
        n = _gather_near(points[i], owner[i], depth[i], margin, frames, at, uvw)
        noises(uvw[0, :n], uvw[1, :n], uvw[2, :n], _POROUS_MM, seed + 3, porous[:n])
        for m in range(n):
            j, k = at[0, m], at[1, m]
            d, o = depth[i, j, k], owner[i, j, k]
            height = half_mm[o, 2]
            hu, wall = spongiosa[o], shell[o]
            if height > 0 and part[i, j, k] == BODY:
                # End plates are thicker than the wall, and trabeculae grow dense towards both.
                end = min(1.0, max(0.0, (abs(uvw[2, m]) / height - 0.72) / 0.16))
                # Discs lean on the ring of a plate.
                out = np.sqrt((uvw[0, m] / half_mm[o, 0]) ** 2 + (uvw[1, m] / half_mm[o, 1]) ** 2)
                ring = end * min(1.0, max(0.0, (out - 0.62) / 0.25))
                wall += end * (end_plate - wall)
                hu += rim * (85.0 + 0.4 * hu + _RING_HU * ring) * np.exp(-max(d - wall, 0.0) / (1.2 + 0.9 * end))
                # The plexus of the basivertebral vein leaves the middle looser than the ends.
                hu *= 0.93 + 0.12 * min(1.0, (uvw[2, m] / height) ** 2)
            elif arch[part[i, j, k], 0] > 0:
                wall = arch[part[i, j, k], 0]
                hu += arch[part[i, j, k], 1] * np.exp(-max(d - wall, 0.0) / 2.0)
            elif height < 0:
                load = bearing[i, j, k]
                hu = (_BEARING_SHARE[0] + _BEARING_SHARE[1] * load) * hu + _BEARING_HU[0] + _BEARING_HU[1] * load
                shaft = min(1.0, max(0.0, (-points[i, j, k, 2] - 35.0) / 60.0))
                wall += 4.0 * shaft
                hu -= shaft * (hu + 60.0)
            elif o == sacrum:
                aside = min(1.0, max(0.0, (abs(points[i, j, k, 0] - midline) - wing_begins) / wing_ramp))
                hu -= aside * (1.0 - np.exp(-max(d - wall, 0.0) / 3.0)) * (_WING_LOSS * hu + _WING_HU)
            # Shells are porous and uneven.
            cortex[i, j, k] = wall * (1.0 + _UNEVEN * min(1.8, max(-1.8, porous[m])))
            density[i, j, k] = hu
        for g in range(weights.size):
            noises(uvw[0, :n], uvw[1, :n], uvw[2, :n], lengths[g], seed + 7919 * g, grain[:n])
            for m in range(n):
                density[i, at[0, m], at[1, m]] += weights[g] * grain[m]


@njit(cache=True, error_model="numpy")
def _gather_near(
    points: NDArray[np.float32],
    owner: NDArray[np.uint8],
    depth: NDArray[np.float32],
    margin: float,
    frames: NDArray[np.float64],
    at: NDArray[np.int64],
    uvw: NDArray[np.float64],
) -> int:
    """Note where in a plane bone is nearer than the margin, and where that lies in its frame; returns how many."""
    n = 0
    for j in range(depth.shape[0]):
        for k in range(depth.shape[1]):
            if depth[j, k] >= -margin:
                f, p = frames[owner[j, k]], points[j, k]
                at[0, n], at[1, n] = j, k
                for row in range(3):
                    uvw[row, n] = f[row, 0] * p[0] + f[row, 1] * p[1] + f[row, 2] * p[2] + f[row, 3]
                n += 1
    return n
