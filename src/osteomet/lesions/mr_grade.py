"""Indeterminate, probable or definite: the written criteria of Kim et al. 2024 on measured signals.

A metastasis is primarily a nodule that is dark on T1 or on fat-only images, its marrow fat gone, **and** enhances
avidly. Soft tissue outside of the bone and a pathologic fracture are secondary. A lesion that meets a part of the
primary criteria is indeterminate, one that meets them all probable, and with a secondary one definite.

The study words its criteria and gives no figure. The limits here are ours, set so that muscle and disc, the inner
standards that radiologists hold marrow against, decide on T1.

References
----------
Kim et al. 2024, https://doi.org/10.3348/kjr.2023.0671 (Materials and Methods, ground truth).
Carroll, Feller, Tirman 1997, muscle and disc as standards for marrow on T1, https://doi.org/10.1002/jmri.1880070227.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from numpy.typing import NDArray

from osteomet.core.lesion import Lesion
from osteomet.core.mr_grade import Criterion, CriterionKind, CriterionState, MrCategory, MrGrade
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Volume
from osteomet.lesions.anatomy import Anatomy
from osteomet.lesions.levels import height_losses
from osteomet.lesions.mr_signals import Signals, find_standards, measure_signals, outside_bone_ml
from osteomet.lesions.sins import COLLAPSE_FROM

DARK = 1.1
"""On T1, a lesion up to this many times as bright as the brighter of muscle and disc is dark."""
FAT_LEFT = 0.5
"""On fat-only images, a lesion up to this part as bright as marrow has lost its fat."""
AVID = 1.5
"""On fat-suppressed images with contrast, a lesion from this many times as bright as marrow enhances avidly."""
SOFT_TISSUE_ML = 0.1
"""From this volume on, lesion outside of the bone is soft tissue."""
DARK_NODULE, ENHANCEMENT = "dark on T1 or fat-only images", "avid enhancement"
SOFT_TISSUE, FRACTURE = "soft tissue outside of the bone", "pathologic fracture"

_MET, _NOT_MET, _UNKNOWN = CriterionState.MET, CriterionState.NOT_MET, CriterionState.UNKNOWN
_FURTHER = (SequenceRole.T2, SequenceRole.STIR, SequenceRole.DWI)


@dataclass(frozen=True, slots=True)
class LesionExtent:
    """How far a lesion reaches: ml of it outside of bone, and loss of height of its vertebra, 0–1; None if unknown."""

    outside_bone_ml: float | None = None
    height_loss: float | None = None


def grade_mr_lesion(signals: Mapping[SequenceRole, Signals], extent: LesionExtent) -> MrGrade:
    """Grade one lesion.

    Parameters
    ----------
    signals
        What was measured on each sequence that is there (`mr_signals.measure_signals`).
    extent
        How far it reaches.

    Returns
    -------
    MrGrade
        Every criterion with its evidence. A criterion whose images are missing is unknown and counts as not met: it
        can keep a lesion indeterminate, or probable, and never raises it.

    Examples
    --------
    >>> dark = {SequenceRole.T1: Signals(lesion=210.0, muscle=250.0, disc=None, marrow=400.0)}
    >>> grade_mr_lesion(dark, LesionExtent()).category.value
    'indeterminate'
    """
    t1, fat = _dark_on_t1(signals.get(SequenceRole.T1)), _fat_gone(signals.get(SequenceRole.FO))
    criteria = (
        _either(t1, fat),
        _enhances(signals.get(SequenceRole.CE)),
        _reaches_out(extent.outside_bone_ml),
        _collapsed(extent.height_loss),
    )
    return MrGrade(_category(criteria), criteria, tuple(_further(signals)))


def grade_mr_lesions(
    lesions: Sequence[Lesion], instances: NDArray[Any], anatomy: Anatomy, images: Mapping[SequenceRole, Volume]
) -> tuple[Lesion, ...]:
    """Grade every lesion of an exam.

    Parameters
    ----------
    lesions
        Lesions as found.
    instances
        Their voxels by id, on the grid of the bones.
    anatomy
        Bones and levels; what lesions are held against is found from them (`mr_signals.find_standards`).
    images
        Sequences that are there, registered and on the grid of the bones.

    Returns
    -------
    The same lesions with ``mr_grade``.

    Raises
    ------
    GeometryError
        If an image lies on another grid.
    """
    bones = anatomy.bones
    standards = find_standards(anatomy, instances > 0)
    outside_ml = outside_bone_ml(instances, bones.array > 0, bones.grid)
    losses = height_losses(anatomy, instances, lesions)
    graded = []
    for lesion in lesions:
        signals = measure_signals(images, instances == lesion.id, standards)
        extent = LesionExtent(outside_ml[lesion.id], losses.get(lesion.id))
        graded.append(replace(lesion, mr_grade=grade_mr_lesion(signals, extent)))
    return tuple(graded)


def _category(criteria: tuple[Criterion, ...]) -> MrCategory | None:
    """Apply the rule."""
    primary, secondary = (
        [c.state is _MET for c in criteria if c.kind is kind]
        for kind in (CriterionKind.PRIMARY, CriterionKind.SECONDARY)
    )
    if not any(primary):
        return None
    if not all(primary):
        return MrCategory.INDETERMINATE
    return MrCategory.DEFINITE if any(secondary) else MrCategory.PROBABLE


def _dark_on_t1(signals: Signals | None) -> tuple[CriterionState, str]:
    """Darker than, or as dark as, muscle or disc."""
    if signals is None:
        return _UNKNOWN, "no T1"
    known = {name: v for name, v in (("muscle", signals.muscle), ("disc", signals.disc)) if v}
    if not known:
        return _UNKNOWN, "T1 without muscle or disc to hold it against"
    ratios = ", ".join(f"{signals.lesion / value:.2f} of {name}" for name, value in known.items())
    met = signals.lesion <= DARK * max(known.values())
    return (_MET if met else _NOT_MET), f"T1 {ratios} (at most {DARK:g} of the brighter)"


def _fat_gone(signals: Signals | None) -> tuple[CriterionState, str]:
    """Far less fat than marrow."""
    if signals is None:
        return _UNKNOWN, "no fat-only image"
    if not signals.marrow:
        return _UNKNOWN, "fat-only image without marrow to hold it against"
    ratio = signals.lesion / signals.marrow
    return (_MET if ratio <= FAT_LEFT else _NOT_MET), f"fat {ratio:.2f} of marrow (at most {FAT_LEFT:g})"


def _either(first: tuple[CriterionState, str], second: tuple[CriterionState, str]) -> Criterion:
    """One of the two suffices; unknown where neither is met and one is unknown."""
    states = first[0], second[0]
    state = _MET if _MET in states else _NOT_MET if _NOT_MET in states else _UNKNOWN
    return Criterion(DARK_NODULE, CriterionKind.PRIMARY, state, f"{first[1]}; {second[1]}")


def _enhances(signals: Signals | None) -> Criterion:
    """Brighter than marrow after contrast, with fat suppressed."""
    if signals is None or not signals.marrow:
        evidence = "no image with contrast" if signals is None else "image with contrast, without marrow beside it"
        return Criterion(ENHANCEMENT, CriterionKind.PRIMARY, _UNKNOWN, evidence)
    ratio = signals.lesion / signals.marrow
    evidence = f"with contrast {ratio:.2f} of marrow (at least {AVID:g})"
    if signals.muscle:
        evidence += f", {signals.lesion / signals.muscle:.2f} of muscle"
    return Criterion(ENHANCEMENT, CriterionKind.PRIMARY, _MET if ratio >= AVID else _NOT_MET, evidence)


def _reaches_out(outside_bone_ml: float | None) -> Criterion:
    if outside_bone_ml is None:
        return Criterion(SOFT_TISSUE, CriterionKind.SECONDARY, _UNKNOWN, "bone not outlined")
    state = _MET if outside_bone_ml >= SOFT_TISSUE_ML else _NOT_MET
    evidence = f"{outside_bone_ml:.2f} ml outside (at least {SOFT_TISSUE_ML:g})"
    return Criterion(SOFT_TISSUE, CriterionKind.SECONDARY, state, evidence)


def _collapsed(height_loss: float | None) -> Criterion:
    if height_loss is None:
        return Criterion(FRACTURE, CriterionKind.SECONDARY, _UNKNOWN, "heights of the vertebra not measured")
    state = _MET if height_loss >= COLLAPSE_FROM else _NOT_MET
    evidence = f"vertebra {height_loss:.0%} lower than its neighbours (at least {COLLAPSE_FROM:.0%})"
    return Criterion(FRACTURE, CriterionKind.SECONDARY, state, evidence.replace("%", " %"))


def _further(signals: Mapping[SequenceRole, Signals]) -> Iterator[str]:
    """Measured, and deciding nothing."""
    for role in _FURTHER:
        measured = signals.get(role)
        if measured is not None and measured.marrow:
            yield f"{role} {measured.lesion / measured.marrow:.2f} of marrow"
    if SequenceRole.ADC in signals:
        yield f"ADC {signals[SequenceRole.ADC].lesion:.0f} µm²/s"
