"""Two time points of one patient: what each metastasis does between them, and a table that links them.

A volume ratio is reached by search: the later lesion is scaled until its true volume, cut off by bone like that of the
earlier one, has the ratio that was asked for. Lesions keep clear of each other at both time points.
"""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import label

from osteomet.core.errors import InputError
from osteomet.core.vocabulary import STRUCTURES, Group, LesionType
from osteomet.phantom.body import Body, draw_metastases
from osteomet.phantom.cohorts.resizing import LARGEST_SCALE, scaled, scaled_to, scene_around, sphere_of, volume_ml
from osteomet.phantom.geometry.shapes import Warp, random_warp
from osteomet.phantom.lesions.deposits import Deposit
from osteomet.phantom.scene import label_scene, lobes_in

_ATTEMPTS = 60
_CLEAR_MM = 6.0
_LEAST_VOLUME_ML = 0.15
_SITES = frozenset(
    s.id for s in STRUCTURES.values() if s.group in (Group.THORACIC, Group.LUMBAR, Group.SACRAL, Group.PELVIS)
)


class Change(StrEnum):
    """What a metastasis does between two scans."""

    STABLE = "stable"
    GROWTH = "growth"
    SHRINKAGE = "shrinkage"
    FLARE = "sclerotic flare"
    NEW = "new"
    RESOLVED = "resolved"
    SPLIT = "split"
    MERGED = "merged"


RATIOS = {Change.STABLE: (1.0, 1.0), Change.GROWTH: (1.4, 3.0), Change.SHRINKAGE: (0.25, 0.7), Change.FLARE: (1.0, 1.2)}
"""Limits of current over prior volume of the changes that keep one lesion one."""


@dataclass(frozen=True, slots=True)
class Link:
    """One lesion, or one that splits or merges, at both time points.

    ``prior`` and ``current`` are instance numbers; empty where there is no lesion. ``ratio`` is current over prior
    volume as asked, None where the two are not one lesion each.
    """

    change: Change
    prior: tuple[int, ...]
    current: tuple[int, ...]
    ratio: float | None


@dataclass(frozen=True, slots=True, eq=False)
class FollowUp:
    """The patient at both time points, and how their lesions belong together."""

    prior: Body
    current: Body
    links: tuple[Link, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Fate:
    """The deposits of one lesion at both time points."""

    prior: tuple[Deposit, ...]
    current: tuple[Deposit, ...]
    ratio: float | None = None


@dataclass(slots=True)
class _Taken:
    """Balls that lesions occupy at either time point."""

    spheres: list[tuple[NDArray[np.float64], float]] = field(default_factory=list)

    def is_clear(self, deposits: Sequence[Deposit]) -> bool:
        """Whether deposits keep their distance from all lesions so far."""
        return all(
            float(np.linalg.norm(centre - other)) > reach + other_reach + _CLEAR_MM
            for centre, reach in map(sphere_of, deposits)
            for other, other_reach in self.spheres
        )


def draw_changes(
    rng: np.random.Generator, body: Body, changes: Sequence[Change], *, bones: Collection[int] | None = None
) -> FollowUp:
    """Give a body without metastases one lesion (or one that splits or merges) for each of ``changes``.

    The mimics stay as they are. At the later time point the column is bent a little otherwise. With ``bones``, by
    vocabulary id, lesions lie in these alone, and a change that finds no place there is left out.

    Raises
    ------
    InputError
        If none of the changes finds a place in ``bones``.
    RuntimeError
        If a change finds no place after many attempts, which takes more lesions than a skeleton has room for.
    """
    bare = replace(body, deposits=tuple(d for d in body.deposits if not d.is_metastasis))
    later = replace(bare, warp=_bent(bare.warp, rng))
    taken, links = _Taken(), []
    prior: list[Deposit] = []
    current: list[Deposit] = []
    for change in changes:
        fate = _draw_fate(rng, bare, later, change, taken, bones)
        if fate is None and bones is not None:
            continue
        if fate is None:
            raise RuntimeError(f"no place for a lesion that is to show {change.value}")
        taken.spheres += [sphere_of(d) for d in (*fate.prior, *fate.current)]
        links.append(
            Link(
                change,
                tuple(len(prior) + n for n in range(1, len(fate.prior) + 1)),
                tuple(len(current) + n for n in range(1, len(fate.current) + 1)),
                fate.ratio,
            )
        )
        prior += fate.prior
        current += fate.current
    if changes and not links:
        raise InputError(
            "the labelled bones have no room for a lesion that changes",
            expected=f"room for a lesion of {_LEAST_VOLUME_ML:g} ml or more that may grow",
            got=f"none after {_ATTEMPTS} tries each of {', '.join(change.value for change in changes)}",
            remedy="label more or whole bones",
        )
    return FollowUp(
        replace(bare, deposits=(*bare.deposits, *prior)),
        replace(later, deposits=(*bare.deposits, *current)),
        tuple(links),
    )


def _bent(warp: Warp, rng: np.random.Generator) -> Warp:
    """Add a little bending to a warp."""
    more = random_warp(rng, amplitude_mm=3.0, shortest_mm=250.0)
    return Warp(
        np.vstack([warp.amplitudes_mm, more.amplitudes_mm]),
        np.vstack([warp.waves, more.waves]),
        np.concatenate([warp.phases, more.phases]),
    )


def _draw_fate(
    rng: np.random.Generator,
    prior: Body,
    current: Body,
    change: Change,
    taken: _Taken,
    bones: Collection[int] | None,
) -> _Fate | None:
    """Draw lesions until one is clear of the others and can do what it should; None where none is."""
    for _ in range(_ATTEMPTS):
        first = draw_metastases(rng, prior, n=1, bones=bones)[0]
        if first.owner not in (bones or _SITES) or not taken.is_clear([scaled(first, LARGEST_SCALE)]):
            continue
        if change in (Change.SPLIT, Change.MERGED):
            fate = _two_or_one(rng, prior, current, first, change)
        else:
            fate = _one(rng, prior, current, first, change)
        if fate is not None and taken.is_clear([*fate.prior, *fate.current]):
            return fate
    return None


def _one(rng: np.random.Generator, prior: Body, current: Body, first: Deposit, change: Change) -> _Fate | None:
    """A lesion that is one or none at each time point; None where bone leaves it too small or no room to grow."""
    if change is Change.FLARE:
        first = replace(first, types=(LesionType.LYTIC,) * len(first.types))
    volume = volume_ml(scene_around(prior, first), first)
    if volume < _LEAST_VOLUME_ML:
        return None
    if change is Change.NEW:
        return _Fate((), (first,))
    if change is Change.RESOLVED:
        return _Fate((first,), ())
    ratio = float(rng.uniform(*RATIOS[change]))
    after = first
    if change is Change.FLARE:
        types = (LesionType.SCLEROTIC,) * len(first.types)
        after = replace(first, types=types, shift_hu=float(rng.uniform(350, 950)))
    found = scaled_to(current, after, ratio * volume)
    return None if found is None else _Fate((first,), (found,), ratio)


def _two_or_one(rng: np.random.Generator, prior: Body, current: Body, seed: Deposit, change: Change) -> _Fate | None:
    """Two lesions at one time point that are one at the other; None where bone does not hold both."""
    radius = float(rng.uniform(4.5, 6.5))
    ripple = 0.12 * radius
    direction = rng.normal(size=3) * [1.0, 1.0, 0.4]
    half = direction / np.linalg.norm(direction) * (radius + ripple + 1.5)
    middle = seed.lobes_mm[0, :3]
    kind = seed.types[:1]
    round_ = replace(seed, ripple_mm=ripple, breach=False, outgrow_mm=(), form=np.eye(3), spiculated=False)

    def lesion(*lobes: tuple[NDArray[np.float64], float]) -> Deposit:
        rows = np.array([[*place, size] for place, size in lobes])
        return replace(round_, lobes_mm=rows, types=kind * len(lobes))

    apart = (lesion((middle - half, radius)), lesion((middle + half, radius)))
    together = (lesion((middle - half, radius), (middle + half, radius), (middle, 0.9 * radius)),)
    before, after = (together, apart) if change is Change.SPLIT else (apart, together)
    if _n_pieces(prior, before) != len(before) or _n_pieces(current, after) != len(after):
        return None
    small = any(
        volume_ml(scene_around(body, d), d) < _LEAST_VOLUME_ML
        for body, lesions in ((prior, before), (current, after))
        for d in lesions
    )
    return None if small else _Fate(before, after)


def _n_pieces(body: Body, deposits: Sequence[Deposit]) -> int:
    """Count the connected pieces that deposits make together."""
    whole = replace(deposits[0], lobes_mm=np.vstack([d.lobes_mm for d in deposits]))
    scene = scene_around(body, whole)
    lesions = label_scene(scene, list(lobes_in(scene, deposits))).lesions
    return int(label(lesions > 0, np.ones((3, 3, 3)))[1])
