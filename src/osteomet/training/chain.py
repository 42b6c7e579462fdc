"""Recipes of studies in two steps, bones first and lesions inside them, one chain for each sequence."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Gt, Len

from osteomet.core.vocabulary import LIU2021_STRUCTURES
from osteomet.training.recipe import parse_recipe, wrong_key
from osteomet.training.study_settings import STRICT, Count, Study, check_networks

StepName = Literal["bones", "lesions"]
STEPS: tuple[StepName, ...] = ("bones", "lesions")
TWO_STEPS = "two-step study"
"""Task of these recipes."""


@dataclass(frozen=True, slots=True)
class ChainData:
    """Sequences, each with a chain of its own; bones that the first step tells apart; the part that is held out."""

    __pydantic_config__ = STRICT

    sequences: Annotated[tuple[str, ...], Len(1)]
    structures: Annotated[tuple[str, ...], Len(1)]
    external: str


@dataclass(frozen=True, slots=True)
class ChainSplit:
    """Shares of the patients to validate and to test on, and how the split is drawn."""

    __pydantic_config__ = STRICT

    validation_share: Annotated[float, Gt(0)]
    test_share: Annotated[float, Gt(0)]
    n_candidates: Count
    seed: int


@dataclass(frozen=True, slots=True)
class ChainPreprocessing:
    """Size of a stack as the networks see it; its values are z-scores."""

    __pydantic_config__ = STRICT

    side: Count
    n_slices: Count


@dataclass(frozen=True, slots=True)
class ChainPrediction:
    """Components of each bone that are kept, threshold of a lesion, and the smallest that counts, ml."""

    __pydantic_config__ = STRICT

    largest_components: Count
    probability: float
    smallest_ml: float


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainRecipe(Study):
    """A whole study in two steps; ``networks`` are those of `STEPS`, in three dimensions."""

    __pydantic_config__ = STRICT

    task: Literal["two-step study"]
    data: ChainData
    split: ChainSplit
    preprocessing: ChainPreprocessing
    prediction: ChainPrediction

    def classes(self, step: StepName) -> tuple[str, ...]:
        """Classes that a step tells apart, background first."""
        return ("background", *(self.data.structures if step == "bones" else ("metastasis",)))

    def sides(self, network: str) -> Sequence[int]:  # noqa: ARG002 - both see the same
        """Sides of the images that a network sees."""
        return [self.preprocessing.side, self.preprocessing.n_slices]


def read_chain(name_or_path: str) -> ChainRecipe:
    """Read the recipe of a study in two steps that ships with osteomet, by name, or a TOML file of the user's.

    Raises
    ------
    UsageError
        If there is no such recipe, it is not TOML, or a key is missing, unknown or wrong; the message names the key.
    """
    chain = parse_recipe(name_or_path, ChainRecipe)
    unknown = [name for name in chain.data.structures if name not in LIU2021_STRUCTURES]
    if unknown:
        expected = f"some of {', '.join(LIU2021_STRUCTURES)}"
        raise wrong_key(name_or_path, "data.structures", expected=expected, got=", ".join(unknown))
    check_networks(chain, name_or_path, STEPS)
    for step in STEPS:
        kind = chain.networks[step].kind
        if kind != "nearest U-Net":
            raise wrong_key(name_or_path, f"networks.{step}.kind", expected="nearest U-Net", got=kind)
    return chain
