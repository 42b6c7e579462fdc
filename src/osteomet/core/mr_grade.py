"""How likely a lesion on MR is a metastasis by written criteria, and what was measured for each of them."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class MrCategory(StrEnum):
    """Likelihood of metastasis of Kim et al. 2024 (https://doi.org/10.3348/kjr.2023.0671)."""

    INDETERMINATE = "indeterminate"
    PROBABLE = "probable"
    DEFINITE = "definite"


class CriterionKind(StrEnum):
    """Whether a criterion decides that there is a metastasis, or how sure that is."""

    PRIMARY = "primary"
    SECONDARY = "secondary"


class CriterionState(StrEnum):
    """Outcome of one criterion; ``unknown`` where the images that it needs are not there."""

    MET = "met"
    NOT_MET = "not met"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class Criterion:
    """One criterion with what was measured for it."""

    name: str
    kind: CriterionKind
    state: CriterionState
    evidence: str


@dataclass(frozen=True, slots=True)
class MrGrade:
    """Category of a lesion, None where it meets no primary criterion.

    ``further`` lists what was measured and decides nothing: T2, STIR, diffusion.
    """

    category: MrCategory | None
    criteria: tuple[Criterion, ...]
    further: tuple[str, ...] = ()
