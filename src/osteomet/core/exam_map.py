"""How an exam becomes the two-dimensional map that a grader sees: the steps of its preprocessing, in order.

The steps stand in recipes and in model packages; `osteomet.image.exam_map` carries them out.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt
from pydantic import ConfigDict, Discriminator

_STRICT = ConfigDict(extra="forbid")
Positive = Annotated[float, Gt(0)]
Count = Annotated[int, Gt(0)]


@dataclass(frozen=True, slots=True)
class Denoise:
    """Anisotropic diffusion: how many rounds, and how strong an edge must be to stand (`image.denoise`)."""

    __pydantic_config__ = _STRICT

    step: Literal["denoise"]
    iterations: Count
    conductance: Positive


@dataclass(frozen=True, slots=True)
class BiasCorrection:
    """N4: rounds at each of its levels, and how many voxels in the plane become one (`image.bias_field`)."""

    __pydantic_config__ = _STRICT

    step: Literal["bias correction"]
    iterations: tuple[Count, ...]
    shrink: Count


@dataclass(frozen=True, slots=True)
class Registration:
    """Each further sequence onto the first (`image.register`).

    A motion that moves a corner of the image by more than ``limit_mm`` is taken for a failure: the sequence stays where
    the scanner says, and a note says so.
    """

    __pydantic_config__ = _STRICT

    step: Literal["register"]
    method: Literal["rigid", "none"]
    limit_mm: Positive


@dataclass(frozen=True, slots=True)
class Straighten:
    """Resampling along the canal, onto a stack of sagittal planes (`image.straighten`).

    ``rows`` run down the canal and ``columns`` from front to back, ``spacing_mm`` apart; the first column lies
    ``front_mm`` in front of the canal. ``planes`` stand ``plane_spacing_mm`` apart, the middle one on the canal.
    """

    __pydantic_config__ = _STRICT

    step: Literal["straighten"]
    rows: Count
    columns: Count
    spacing_mm: Positive
    front_mm: Positive
    planes: Count
    plane_spacing_mm: Positive


@dataclass(frozen=True, slots=True)
class Smooth:
    """A Gaussian within each plane of the map; its full width at half maximum, mm, 0 for none."""

    __pydantic_config__ = _STRICT

    step: Literal["smooth"]
    width_mm: Annotated[float, Ge(0)]


@dataclass(frozen=True, slots=True)
class Scale:
    """Mean 0 and standard deviation 1 over what the map shows of each sequence; outside of it 0."""

    __pydantic_config__ = _STRICT

    step: Literal["scale"]
    method: Literal["z-score"]


MapStep = Annotated[
    Denoise | BiasCorrection | Registration | Straighten | Smooth | Scale,
    Discriminator("step"),
]
"""One step, told by its ``step``."""

_BEFORE, _AFTER = (Denoise, BiasCorrection, Registration), (Smooth, Scale)


def find_straighten(steps: Sequence[MapStep]) -> Straighten | None:
    """The step that makes the map; None where there is none, or more than one."""
    found = [step for step in steps if isinstance(step, Straighten)]
    return found[0] if len(found) == 1 else None


def wrong_step(steps: Sequence[MapStep]) -> tuple[int, str] | None:
    """Number of the first step that is out of place, and what is expected there; None where all is well.

    Examples
    --------
    >>> wrong_step([Scale("scale", "z-score")])
    (0, 'one step “straighten”')
    """
    if find_straighten(steps) is None:
        return max(0, len(steps) - 1), "one step “straighten”"
    is_map = False
    for number, step in enumerate(steps):
        if isinstance(step, _BEFORE if is_map else _AFTER):
            where = "before" if is_map else "after"
            return number, f"“{step.step}” {where} “straighten”"
        is_map |= isinstance(step, Straighten)
    return None
