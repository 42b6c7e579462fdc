"""The user's own bones in a cohort: which of them it needs, and which ones its lesions go to."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from types import MappingProxyType

from osteomet.core.errors import InputError
from osteomet.core.vocabulary import STRUCTURES, Group
from osteomet.phantom.body import Body
from osteomet.phantom.cohorts.presets import COHORTS

TRUNK = frozenset((Group.THORACIC, Group.LUMBAR))
VERTEBRAE = TRUNK | {Group.CERVICAL}
SPINE = VERTEBRAE | {Group.SACRAL}
PELVIS = frozenset((Group.SACRAL, Group.PELVIS))

_NEEDED: Mapping[str, tuple[frozenset[Group], str]] = MappingProxyType(
    {
        "ct-spine": (SPINE | PELVIS, "a vertebra, the sacrum or a hip bone"),
        "follow-up": (SPINE | PELVIS, "a vertebra, the sacrum or a hip bone"),
        "mr-spine": (VERTEBRAE, "a vertebra"),
        "readers": (VERTEBRAE, "a vertebra"),
        "mr-pelvis": (PELVIS, "the sacrum or a hip bone"),
        "ce-dynamic": (TRUNK, "a thoracic or lumbar vertebra"),
        "graded": (TRUNK, "a thoracic or lumbar vertebra"),
    }
)
_MANY = 8


def ids_of(groups: Collection[Group]) -> tuple[int, ...]:
    """Ids of all bones of some regions."""
    return tuple(s.id for s in STRUCTURES.values() if s.group in groups)


def check_bones(cohort: str, owners: Collection[int], *, source: str = "the labelled bones") -> None:
    """Refuse bones, by vocabulary id, around which no patient of a cohort can be built.

    Raises
    ------
    InputError
        If none of the bones that the cohort images is there. It names the cohorts that the bones suffice for.
    """
    if _suffice(cohort, owners):
        return
    names = [s.name for s in STRUCTURES.values() if s.id in owners]
    others = [name for name in COHORTS if _suffice(name, owners)]
    raise InputError(
        f"{source} lack what the cohort {cohort} images",
        expected=f"{_NEEDED[cohort][1]} at least",
        got=", ".join(names[:_MANY]) + (f" and {len(names) - _MANY} more" if len(names) > _MANY else ""),
        remedy="label such a bone as well" + (f", or make a cohort of these: {', '.join(others)}" if others else ""),
    )


def shown(body: Body, bones: Collection[int]) -> list[int]:
    """Those of some bones that the user labelled; all of them where there are none, or no labelled bones at all."""
    if body.labelled is None:
        return sorted(bones)
    labelled = {bone.owner for bone in body.labelled.bones} & set(body.scaffold.owners.tolist())
    return sorted(labelled & set(bones) or bones)


def share_of(body: Body, bones: Collection[int], n: int) -> int:
    """How many of ``n`` lesions that lie in some bones fall to those that are `shown`, at least 1 of 1 or more."""
    present = set(body.scaffold.owners.tolist()) & set(bones)
    share = len(present & set(shown(body, bones))) / len(present)
    return max(round(n * share), min(n, 1))


def _suffice(cohort: str, owners: Collection[int]) -> bool:
    """Whether a patient of a cohort can be built around some bones."""
    return not set(ids_of(_NEEDED[cohort][0])).isdisjoint(owners)
