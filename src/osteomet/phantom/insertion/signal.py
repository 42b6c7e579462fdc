"""What a metastasis does to the signal of a scan, measured against the scan's own marrow, muscle and noise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Volume
from osteomet.image.distance import distance_inside_mm, distance_to_mm
from osteomet.image.noise import Noise, estimate_noise
from osteomet.phantom.scene import LobeInScene, Scene

_NEAR_MM = 45.0
_CORE_MM = 3.0
_SOFT_HU = (-20.0, 110.0)
_CORTEX_MM = 0.6
_RIM_MM = 1.2
_UNEVEN_HU = 6.0
_DENSEST_HU = 1250.0
_IS_CORTEX = 0.3
"""Share of a sclerotic shift that dense cortex takes."""


@dataclass(frozen=True, slots=True, eq=False)
class Surroundings:
    """What a scan looks like about a place.

    ``marrow`` and ``soft`` are median signals of the bone and of muscle near it, ``brightest`` the signal that hardly
    anything exceeds, all in the unit of the scan; ``blur`` is the Gaussian that is left to add to the averaging over a
    voxel, in voxels; ``step`` the step in which whole numbers come.
    """

    role: SequenceRole
    marrow: float
    soft: float
    brightest: float
    noise: Noise
    blur: tuple[float, float, float]
    step: int


@dataclass(frozen=True, slots=True, eq=False)
class Change:
    """``new = keep · old + add``, both on the lattice of the lesion."""

    keep: NDArray[np.float32]
    add: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class MarrowSignal:
    """Range of a lesion's signal on MR, as a multiple of muscle (``of_muscle``) or of marrow, and its chance."""

    low: float
    high: float
    of_muscle: bool
    odds: float = 1.0


MARROW_SIGNALS: Mapping[SequenceRole, tuple[MarrowSignal, ...]] = MappingProxyType(
    {
        SequenceRole.T1: (MarrowSignal(0.8, 1.2, True),),
        SequenceRole.T1_IP: (MarrowSignal(0.8, 1.2, True),),
        SequenceRole.FO: (MarrowSignal(0.1, 0.35, False),),
        SequenceRole.CE: (MarrowSignal(1.4, 2.4, True),),
        SequenceRole.T2: (MarrowSignal(1.3, 1.9, False, 0.7), MarrowSignal(0.35, 0.65, False, 0.3)),
        SequenceRole.STIR: (MarrowSignal(1.7, 3.0, True),),
        SequenceRole.DWI: (MarrowSignal(1.8, 3.5, True),),
        SequenceRole.ADC: (MarrowSignal(0.55, 0.95, True),),
    }
)
"""Signal of a metastasis on each kind of MR image.

On T1 it is about as dark as muscle in fat marrow, on fat-only images dark, bright on contrast-enhanced, STIR and
high-b-value images; its ADC lies below that of muscle. On T2 without fat suppression most are brighter than marrow, the
sclerotic ones darker.
"""


def describe_surroundings(
    image: Volume, bones: LabelMap, owner: int, centre_mm: NDArray[np.float64], role: SequenceRole
) -> Surroundings:
    """Measure marrow, muscle, noise and blur within 45 mm of a point.

    Raises
    ------
    UsageError
        If the role has no single image that a lesion could be put into.
    """
    if role is not SequenceRole.CT and role not in MARROW_SIGNALS:
        raise UsageError(
            "no lesion can be put into this kind of image",
            expected=", ".join((SequenceRole.CT, *MARROW_SIGNALS)),
            got=role.value,
            remedy="insert into one image of the series",
        )
    grid = image.grid
    step = _NEAR_MM * np.linalg.norm(np.linalg.inv(grid.affine[:3, :3]), axis=1)
    index = grid.to_ijk(centre_mm)
    box = tuple(
        slice(max(0, int(a - s)), min(n, int(a + s) + 2)) for a, s, n in zip(index, step, grid.shape, strict=True)
    )
    values, labels = image.array[box], bones.array[box]
    spacing = grid.spacing_mm
    inside = distance_inside_mm(labels == owner, spacing)
    core = inside > min(_CORE_MM, 0.6 * float(inside[np.isfinite(inside)].max(initial=0.0)))
    outside = distance_to_mm(labels > 0, spacing)
    is_soft = _soft_tissue(values, outside, role)
    marrow_level = float(np.median(values[core if core.any() else labels == owner]))
    soft_level = float(np.median(values[is_soft])) if is_soft.any() else float(np.median(values))
    noise = _quieter(estimate_noise(values, is_soft), estimate_noise(values, core), 0.05 * abs(marrow_level))
    blur = [float(np.sqrt(max(0.0, max(g, 0.45) ** 2 - 1 / 12))) for g in noise.grain]
    brightest = _DENSEST_HU if role is SequenceRole.CT else float(np.percentile(values, 99.5))
    return Surroundings(
        role, marrow_level, soft_level, brightest, noise, (blur[0], blur[1], blur[2]), value_step(image.array)
    )


def _soft_tissue(values: NDArray[Any], outside_mm: NDArray[np.float32], role: SequenceRole) -> NDArray[np.bool_]:
    """Muscle about the bones: on CT by its HU, on MR the darker half of what is 4 to 30 mm away and not background."""
    ring = (outside_mm > 4) & (outside_mm < 30)
    smooth = gaussian_filter(values.astype(np.float32), 1.0)
    if role is SequenceRole.CT:
        return np.asarray(ring & (smooth > _SOFT_HU[0]) & (smooth < _SOFT_HU[1]))
    ring &= smooth > 0.1 * float(np.percentile(values, 95))
    return np.asarray(ring & (smooth <= np.median(smooth[ring]))) if ring.any() else ring


def _quieter(first: Noise | None, second: Noise | None, otherwise: float) -> Noise:
    """The weaker of two estimates: what tissue adds of its own is not noise."""
    found = [noise for noise in (first, second) if noise is not None]
    return min(found, key=lambda noise: noise.deviation) if found else Noise(otherwise, (0.5, 0.5, 0.5))


def value_step(array: NDArray[Any]) -> int:
    """Step between the values of an image of whole numbers, 1 where it has fractions.

    Examples
    --------
    >>> value_step(np.array([-1000, 35, 40], dtype=np.int16))
    5
    """
    if array.dtype.kind != "i":
        return 1
    values = np.unique(array)
    return max(1, int(np.gcd.reduce(values.astype(np.int64) - int(values[0])))) if len(values) > 1 else 1


def change_signal(scene: Scene, lobes: Sequence[LobeInScene], around: Surroundings, rng: np.random.Generator) -> Change:
    """What the lobes of one metastasis do to the scan."""
    if around.role is SequenceRole.CT:
        return _change_ct(scene, lobes, rng)
    return _change_mr(scene, lobes, around, rng)


def _change_ct(scene: Scene, lobes: Sequence[LobeInScene], rng: np.random.Generator) -> Change:
    """Lysis replaces bone by tumour, sclerosis adds density with the texture of trabeculae."""
    keep, add = np.ones(scene.grid.shape, np.float32), np.zeros(scene.grid.shape, np.float32)
    grain, cloud = _texture(scene, 0.9, rng), _texture(scene, 3.5, rng)
    for lobe in lobes:
        deposit, depth, box = lobe.deposit, scene.depth_mm[lobe.box], lobe.box
        if lobe.kind is LesionType.SCLEROTIC:
            bone = _IS_CORTEX + (1 - _IS_CORTEX) * np.clip(depth / _CORTEX_MM, 0, 1)
            uneven = 1 + deposit.mottle * lobe.grain + 0.2 * grain[box] + 0.1 * cloud[box]
            add[box] += lobe.share * bone * (depth > 0) * deposit.shift_hu * uneven
            continue
        share = lobe.lysed * _beneath_cortex(lobe, depth, cortex_mm=_CORTEX_MM)
        fill = np.where(depth > 0, deposit.fill_hu, deposit.soft_hu) + _UNEVEN_HU * cloud[box]
        keep[box] *= 1 - share
        add[box] += share * (fill - add[box])
        if deposit.rim_hu:
            rim = np.exp(-((lobe.distance_mm / _RIM_MM) ** 2)) * (depth > 0) * lobe.own
            add[box] += deposit.rim_hu * rim * (1 + 0.3 * grain[box])
    return Change(keep, add)


def _beneath_cortex(
    lobe: LobeInScene, depth_mm: NDArray[np.float32], *, cortex_mm: float
) -> NDArray[np.float32] | np.float32:
    """Where a lobe replaces tissue: beneath the cortex, or up to its own surface where it breaks out."""
    if lobe.deposit.breach:
        return np.float32(1)
    return np.asarray(np.clip(0.5 + (depth_mm - cortex_mm), 0, 1), dtype=np.float32)


def _change_mr(scene: Scene, lobes: Sequence[LobeInScene], around: Surroundings, rng: np.random.Generator) -> Change:
    """Tumour in place of marrow."""
    signals = MARROW_SIGNALS[around.role]
    chosen = signals[int(rng.choice(len(signals), p=[s.odds for s in signals]))]
    level = rng.uniform(chosen.low, chosen.high) * (around.soft if chosen.of_muscle else around.marrow)
    level = min(level, around.brightest)
    keep, add = np.ones(scene.grid.shape, np.float32), np.zeros(scene.grid.shape, np.float32)
    cloud = _texture(scene, 3.0, rng)
    for lobe in lobes:
        share, box = lobe.share * _beneath_cortex(lobe, scene.depth_mm[lobe.box], cortex_mm=0.5), lobe.box
        keep[box] *= 1 - share
        add[box] += share * (level * (1 + 0.07 * cloud[box]) - add[box])
    return Change(keep, add)


def _texture(scene: Scene, length_mm: float, rng: np.random.Generator) -> NDArray[np.float32]:
    """Gaussian random field of unit variance with this correlation length."""
    grain = [length_mm / s for s in scene.grid.spacing_mm]
    return Noise(1.0, (grain[0], grain[1], grain[2])).draw(scene.grid.shape, rng)
