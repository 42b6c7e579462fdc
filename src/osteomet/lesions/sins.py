"""Spinal Instability Neoplastic Score of one vertebral level, as a range where parts are unknown.

Pain and alignment are entered by a person or unknown; an unknown part spans all its points and is never taken for
normal.

References
----------
Fisher C. G. et al. A novel classification system for spinal instability in neoplastic disease.
https://doi.org/10.1097/BRS.0b013e3181e16ae2
Genant H. K. et al. Vertebral fracture assessment using a semiquantitative technique.
https://doi.org/10.1002/jbmr.5650080915
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import Enum

from osteomet.core.errors import InputError
from osteomet.core.findings import PartStatus, Sins, SinsPart
from osteomet.core.vocabulary import LesionType

LOCATION, PAIN, QUALITY = "location", "pain", "bone lesion quality"
ALIGNMENT, COLLAPSE, POSTEROLATERAL = "alignment", "vertebral body collapse", "posterolateral involvement"

COLLAPSE_FROM = 0.2
"""Loss of height from which a body counts as collapsed: the mildest fracture of Genant's grades."""

HALF = 0.5
"""From this fraction on collapse, or involvement of the body, counts as more than 50 %."""

_EXACT = 1e-9
_CATEGORIES = ((0, "stable"), (7, "potentially unstable"), (13, "unstable"))
_REGIONS: dict[str, tuple[int, tuple[str, ...]]] = {
    "junctional": (3, ("occiput", "C1", "C2", "C7", "T1", "T2", "T11", "T12", "T13", "L1", "L5", "L6", "S1")),
    "mobile": (2, ("C3", "C4", "C5", "C6", "L2", "L3", "L4")),
    "semirigid": (1, ("T3", "T4", "T5", "T6", "T7", "T8", "T9", "T10")),
    "rigid": (0, ("S2", "S3", "S4", "S5")),
}
_REGION_OF = {name: (region, points) for region, (points, names) in _REGIONS.items() for name in names}
_QUALITY_POINTS = {LesionType.LYTIC: 2, LesionType.MIXED: 1, LesionType.SCLEROTIC: 0}


class Pain(Enum):
    """Pain as asked of the patient; the value is its points."""

    MECHANICAL = 3
    OCCASIONAL = 1
    NONE = 0


class Alignment(Enum):
    """Alignment as read by a person; the value is its points."""

    SUBLUXATION = 4
    DEFORMITY = 2
    NORMAL = 0


@dataclass(frozen=True, slots=True)
class EnteredSins:
    """What a person has entered for one level; None is unknown."""

    pain: Pain | None = None
    alignment: Alignment | None = None


@dataclass(frozen=True, slots=True)
class LevelEvidence:
    """What was measured on one level.

    Parameters
    ----------
    name
        Level: ``C1`` … ``L6``, ``sacrum`` or ``S1`` … ``S5``, ``occiput``, or ``vertebra`` for one without a number.
    lesion_types
        Types of its lesions, at least one.
    height_loss
        Largest loss of height of the body against its neighbours, 0–1; None where it cannot be measured.
    body_involved
        Share of the body inside lesions, 0–1; None where the body is not seen whole.
    sides
        Sides, of ``left`` and ``right``, whose posterolateral elements hold a lesion.
    sides_known
        Whether all posterolateral elements were seen and told apart; if not, ``sides`` is what was found at least.
    """

    name: str
    lesion_types: tuple[LesionType, ...]
    height_loss: float | None
    body_involved: float | None
    sides: frozenset[str]
    sides_known: bool


def score_level(evidence: LevelEvidence, entered: EnteredSins) -> Sins:
    """Score one level that carries lesions.

    Returns
    -------
    Six parts in the order of the publication; their ranges add up to that of the total.

    Raises
    ------
    InputError
        If the level is none that the score covers, or carries no lesion.

    Examples
    --------
    >>> evidence = LevelEvidence("L3", (LesionType.LYTIC,), 0.3, 0.6, frozenset({"left"}), sides_known=True)
    >>> sins = score_level(evidence, EnteredSins(pain=Pain.MECHANICAL))
    >>> sins.low, sins.high, sins.category
    (10, 14, 'potentially unstable to unstable')
    """
    if not evidence.lesion_types:
        raise InputError("SINS is scored for levels with lesions only", got=evidence.name)
    parts = (
        _location(evidence.name),
        _entered(PAIN, entered.pain, 3),
        _quality(evidence.lesion_types),
        _entered(ALIGNMENT, entered.alignment, 4),
        _collapse(evidence.height_loss, evidence.body_involved),
        _posterolateral(evidence.sides, known=evidence.sides_known),
    )
    low, high = sum(part.low for part in parts), sum(part.high for part in parts)
    return Sins(parts, low, high, categorise(low, high))


def categorise(low: int, high: int) -> str:
    """Name the category of a total, 0–18; of a range, the outermost two joined by "to".

    Totals of 7 and more call for the opinion of a spine surgeon.

    Examples
    --------
    >>> categorise(6, 6), categorise(7, 12), categorise(5, 13)
    ('stable', 'potentially unstable', 'stable to unstable')
    """
    first, last = (max((floor, name) for floor, name in _CATEGORIES if points >= floor)[1] for points in (low, high))
    return first if first == last else f"{first} to {last}"


def _location(name: str) -> SinsPart:
    """Points of the level.

    T13 lies between T12 and L1, inside the thoracolumbar junction. L6 carries the lumbosacral junction; L5 keeps the
    points that the publication gives it, since a name alone does not tell that an L6 follows.
    """
    if name in _REGION_OF:
        region, points = _REGION_OF[name]
        return SinsPart(LOCATION, PartStatus.MEASURED, points, points, f"{name} is {region}")
    if name == "sacrum":
        return _unknown(LOCATION, 0, 3, "S1 is junctional (3), S2–S5 are rigid (0); sacral segments are not told apart")
    if name == "vertebra":
        return _unknown(LOCATION, 1, 3, "level not determined: junctional (3), mobile (2) or semirigid (1)")
    raise InputError("SINS does not cover this level", expected="occiput, C1 to S5, or sacrum", got=repr(name))


def _entered(name: str, value: Pain | Alignment | None, highest: int) -> SinsPart:
    """Take over a part that only a person can give."""
    if value is None:
        return _unknown(name, 0, highest, "not entered")
    return SinsPart(name, PartStatus.ENTERED, value.value, value.value, value.name.lower())


def _quality(types: Iterable[LesionType]) -> SinsPart:
    """Points of the types of all lesions of the level; lytic and sclerotic together are mixed."""
    kinds = sorted(set(types))
    if LesionType.MARROW in kinds:
        return _unknown(QUALITY, 0, 2, "MR does not tell lytic from sclerotic")
    points = _QUALITY_POINTS[kinds[0]] if len(kinds) == 1 else _QUALITY_POINTS[LesionType.MIXED]
    return SinsPart(QUALITY, PartStatus.MEASURED, points, points, " and ".join(kinds))


def _collapse(height_loss: float | None, body_involved: float | None) -> SinsPart:
    """Points of the loss of height, then of the involvement of the body.

    The publication leaves a collapse of exactly 50 % open; it counts as more, the cautious reading, and so does
    an involvement of exactly 50 %.
    """
    involved = body_involved is not None and body_involved >= HALF - _EXACT
    seen = (
        "involvement of the body not measured" if body_involved is None else f"{_percent(body_involved)} of it involved"
    )
    if height_loss is None:
        return _unknown(COLLAPSE, int(involved), 3, f"height of the body not measured, {seen}")
    text = f"body {_percent(height_loss)} lower than its neighbours, {seen}"
    if height_loss >= COLLAPSE_FROM - _EXACT:
        points = 3 if height_loss >= HALF - _EXACT else 2
        exactly = "; exactly 50 % counts as more" if abs(height_loss - HALF) <= _EXACT else ""
        return SinsPart(COLLAPSE, PartStatus.MEASURED, points, points, text + exactly)
    if body_involved is None:
        return _unknown(COLLAPSE, 0, 1, text)
    return SinsPart(COLLAPSE, PartStatus.MEASURED, int(involved), int(involved), text)


def _posterolateral(sides: frozenset[str], *, known: bool) -> SinsPart:
    """Points of the sides with a lesion in facet, pedicle or costovertebral joint."""
    points = (0, 1, 3)[len(sides)]
    found = " and ".join(sorted(sides)) or "none"
    if not known and points < 3:
        return _unknown(POSTEROLATERAL, points, 3, f"found: {found}; the arch is not seen whole")
    return SinsPart(POSTEROLATERAL, PartStatus.MEASURED, points, points, found)


def _unknown(name: str, low: int, high: int, evidence: str) -> SinsPart:
    """Make a part that is a range."""
    return SinsPart(name, PartStatus.UNKNOWN, low, high, evidence)


def _percent(fraction: float) -> str:
    """Whole percent."""
    return f"{fraction * 100:.0f} %"
