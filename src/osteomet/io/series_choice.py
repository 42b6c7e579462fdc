"""Which of several series of one role is analysed: a stated order of preferences, and why the others are left."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from osteomet.core.vocabulary import SequenceRole
from osteomet.io.dicom_series import SeriesHeader
from osteomet.io.sequence_roles import RoleDecision

FULL_COVERAGE = 0.8
"""A series counts as covering as much as another when it shows this part of its head-to-foot extent."""

THIN_MM, MEDIUM_MM = 1.5, 3.0
"""Slice spacings up to which a series is thin, and of medium thickness. Lesions of the size that matters (5 mm) lie on
at least three thin slices; beyond 3 mm partial volume hides small lytic ones."""


@dataclass(frozen=True, slots=True)
class Candidate:
    """A stack with the role that its tags gave it."""

    header: SeriesHeader
    decision: RoleDecision


@dataclass(frozen=True, slots=True)
class Preference:
    """One step of the comparison: the lower key wins, ``why`` says what the winner has that the loser lacks."""

    why: str
    key: Callable[[SeriesHeader, float], float]


def _coverage(header: SeriesHeader, longest_mm: float) -> float:
    return 0 if header.head_foot_mm >= FULL_COVERAGE * longest_mm else 1


def _reformatted(header: SeriesHeader, _: float) -> float:
    types = header.tags.image_type
    return 1 if types[:1] == ("DERIVED",) or {"MPR", "REFORMATTED", "SECONDARY"} & set(types) else 0


def _thickness_class(header: SeriesHeader, _: float) -> float:
    return 0 if header.slice_spacing_mm <= THIN_MM else 1 if header.slice_spacing_mm <= MEDIUM_MM else 2


def _sharpness(header: SeriesHeader, _: float) -> float:
    return 1 if is_sharp_kernel(header.tags.kernel) else 0


def _voxel_mm3(header: SeriesHeader, _: float) -> float:
    plane = header.frames[0].plane
    return float("inf") if plane is None else round(math.prod(plane.spacing_mm) * header.slice_spacing_mm, 3)


def _not_trace(header: SeriesHeader, _: float) -> float:
    return 0 if {"TRACEW", "TRACE", "ISOTROPIC"} & set(header.tags.image_type) else 1


def _number(header: SeriesHeader, _: float) -> float:
    return header.identity.series_number or 0


_COVERAGE = Preference("it covers more from head to foot", _coverage)
_ORIGINAL = Preference("it is an original acquisition, not a reformat or derived image", _reformatted)
_EARLIER = Preference("it has the lower series number", _number)
CT_PREFERENCES = (
    _COVERAGE,
    _ORIGINAL,
    Preference("its slices are thinner", _thickness_class),
    Preference("its kernel is softer, so that HU of trabecular bone are not overshot by edge enhancement", _sharpness),
    Preference("its slices lie closer", lambda header, _: round(header.slice_spacing_mm, 2)),
    _EARLIER,
)
"""For bone, in this order: coverage, originals, thickness in three classes, soft or medium kernel, spacing, number.

A sharp bone kernel pleases the eye but adds noise and overshoot to the HU that lesions are judged by; a thin sharp
series is still preferred to a thick soft one."""

MR_PREFERENCES = (
    _COVERAGE,
    Preference("it is the trace of all diffusion directions", _not_trace),
    _ORIGINAL,
    Preference("its voxels are smaller", _voxel_mm3),
    _EARLIER,
)


def is_sharp_kernel(kernel: str) -> bool:
    r"""Tell bone, lung and edge kernels by the names that vendors give them.

    Siemens B, Br, Bl, Hr … with a number of 55 and more; GE BONE, LUNG, EDGE, ULTRA; Philips D, E, L, YB and beyond;
    Canon FC30–39, FC50–59, FC80 and more. An unknown kernel counts as not sharp.

    Examples
    --------
    >>> [is_sharp_kernel(name) for name in (r"BR38F\3", "B70f", "BONEPLUS", "STANDARD", "YC", "FC08", "FC30", "")]
    [False, True, True, False, True, False, True, False]
    """
    name = kernel.split("\\")[0].strip().upper()
    siemens = re.match(r"[A-Z][A-Z]?(\d\d)[A-Z]?$", name)
    canon = re.match(r"FC(\d\d)", name)
    if canon:
        return int(canon[1]) // 10 in (3, 5, 8, 9)
    if siemens:
        return int(siemens[1]) >= 55
    return name.startswith(("BONE", "LUNG", "EDGE", "ULTRA")) or name in ("D", "E", "L", "YB", "YC", "YD", "YE")


def choose(candidates: Sequence[Candidate]) -> tuple[list[Candidate], list[Candidate]]:
    """Keep one series for each role (one for each b-value of DWI, all phases of one dynamic series).

    Parameters
    ----------
    candidates
        Stacks with a role.

    Returns
    -------
    tuple
        The chosen ones in the order given, and the others with no role and the reason.
    """
    chosen: list[Candidate] = []
    left: list[Candidate] = []
    for group in _by_slot(candidates):
        best = _best(group)
        for candidate in group:
            same_dynamic = candidate.decision.role is SequenceRole.DYNAMIC and _series_of(candidate) == _series_of(best)
            if candidate is best or same_dynamic:
                chosen.append(candidate)
            else:
                left.append(Candidate(candidate.header, RoleDecision(None, _why_left(candidate, best, group))))
    order = {id(candidate): n for n, candidate in enumerate(candidates)}
    return sorted(chosen, key=lambda candidate: order[id(candidate)]), left


def _series_of(candidate: Candidate) -> str | None:
    return candidate.header.identity.series_instance_uid or candidate.header.source


def _by_slot(candidates: Iterable[Candidate]) -> list[list[Candidate]]:
    """Candidates that compete with each other."""
    slots: dict[tuple[SequenceRole | None, float | None], list[Candidate]] = {}
    for candidate in candidates:
        role = candidate.decision.role
        b_value = candidate.header.tags.b_value_s_per_mm2 if role is SequenceRole.DWI else None
        slots.setdefault((role, b_value), []).append(candidate)
    return list(slots.values())


def _preferences(role: SequenceRole | None) -> tuple[Preference, ...]:
    return CT_PREFERENCES if role is SequenceRole.CT else MR_PREFERENCES


def _best(group: Sequence[Candidate]) -> Candidate:
    longest = max(candidate.header.head_foot_mm for candidate in group)
    preferences = _preferences(group[0].decision.role)
    return min(group, key=lambda candidate: [p.key(candidate.header, longest) for p in preferences])


def _why_left(loser: Candidate, winner: Candidate, group: Sequence[Candidate]) -> str:
    """Name the first preference in which the two differ."""
    longest = max(candidate.header.head_foot_mm for candidate in group)
    differing = (
        preference.why
        for preference in _preferences(winner.decision.role)
        if preference.key(loser.header, longest) != preference.key(winner.header, longest)
    )
    why = next(differing, "it comes first")
    number, role = winner.header.identity.series_number, winner.decision.role
    name = f"series {number}" if number is not None else "another series"
    return f"{name} is used as {role} instead: {why}; to use this one pass --sequence {role}=PATH"
