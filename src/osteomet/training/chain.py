"""Recipes of studies in two steps, bones first and lesions inside them, one chain for each sequence."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Gt, Len
from pydantic import ConfigDict

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import LIU2021_STRUCTURES
from osteomet.nn.augment import Augmentation
from osteomet.training.recipe import parse_recipe
from osteomet.training.settings import FitSettings, OptimiserName, Schedule
from osteomet.training.study import Channels, Count, NetworkRecipe, ScaleName

_STRICT = ConfigDict(extra="forbid")
StepName = Literal["bones", "lesions"]
STEPS: tuple[StepName, ...] = ("bones", "lesions")
TWO_STEPS = "two-step study"
"""Task of these recipes."""


@dataclass(frozen=True, slots=True)
class ChainData:
    """Sequences, each with a chain of its own, and the part that is held out."""

    __pydantic_config__ = _STRICT

    sequences: Annotated[tuple[str, ...], Len(1)]
    external: str


@dataclass(frozen=True, slots=True)
class ChainSplit:
    """Shares of the patients to validate and to test on, and how the split is drawn."""

    __pydantic_config__ = _STRICT

    validation_share: Annotated[float, Gt(0)]
    test_share: Annotated[float, Gt(0)]
    n_candidates: Count
    seed: int


@dataclass(frozen=True, slots=True)
class ChainPreprocessing:
    """Size of a stack as the networks see it; its values are z-scores."""

    __pydantic_config__ = _STRICT

    side: Count
    n_slices: Count


@dataclass(frozen=True, slots=True)
class ChainNetwork:
    """Shape of the networks of both steps."""

    __pydantic_config__ = _STRICT

    kind: Literal["nearest U-Net"]
    channels: Channels
    deep_supervision: bool


@dataclass(frozen=True, slots=True)
class StepRecipe:
    """What differs between the steps; ``structures`` are the classes of bones, empty for lesions."""

    __pydantic_config__ = _STRICT

    learning_rate: Annotated[float, Gt(0)]
    batch: Count
    n_steps: Count
    evaluations: Count
    patience: Count
    lesion_share: float
    seed: int
    structures: tuple[str, ...] = ()

    @property
    def n_outputs(self) -> int:
        """Classes, background included."""
        return 1 + max(1, len(self.structures))


@dataclass(frozen=True, slots=True)
class ChainTraining:
    """What both steps share."""

    __pydantic_config__ = _STRICT

    optimiser: OptimiserName
    schedule: Schedule
    entropy_weight: float
    foreground_weight: float
    gradient_clip: float
    ema_decay: float
    mixed_precision: bool


@dataclass(frozen=True, slots=True)
class ChainPrediction:
    """Components of each bone that are kept, threshold of a lesion, and the smallest that counts, ml."""

    __pydantic_config__ = _STRICT

    largest_components: Count
    probability: float
    smallest_ml: float


@dataclass(frozen=True, slots=True)
class ChainScale:
    """How much of a study runs, as `osteomet.training.study.Scale`."""

    __pydantic_config__ = _STRICT

    patients: Count
    phantom_coarse: float
    n_bootstrap: Count
    side: int | None = None
    n_slices: int | None = None
    channels: tuple[int, ...] | None = None
    n_steps_bones: int | None = None
    n_steps_lesions: int | None = None
    learning_rate_bones: float | None = None
    evaluations: int | None = None


@dataclass(frozen=True, slots=True)
class ChainRecipe:
    """A whole study in two steps."""

    __pydantic_config__ = _STRICT

    version: Literal[1]
    task: Literal["two-step study"]
    name: str
    title: str
    protocol: str
    cohort: str
    data: ChainData
    split: ChainSplit
    preprocessing: ChainPreprocessing
    augmentation: Augmentation
    network: ChainNetwork
    bones: StepRecipe
    lesions: StepRecipe
    training: ChainTraining
    prediction: ChainPrediction
    scales: dict[ScaleName, ChainScale]

    def step(self, name: StepName) -> StepRecipe:
        """Settings of a step."""
        return self.bones if name == "bones" else self.lesions

    def network_of(self, name: StepName) -> NetworkRecipe:
        """Network of a step."""
        shape = self.network
        return NetworkRecipe(shape.kind, shape.channels, self.step(name).batch, shape.deep_supervision)

    def settings(self, name: StepName) -> FitSettings:
        """Settings of the loop for a step."""
        step, shared = self.step(name), self.training
        every = max(1, step.n_steps // step.evaluations)
        return FitSettings(
            n_steps=step.n_steps,
            learning_rate=step.learning_rate,
            schedule=shared.schedule,
            optimiser=shared.optimiser,
            gradient_clip=shared.gradient_clip,
            ema_decay=shared.ema_decay,
            mixed_precision=shared.mixed_precision,
            evaluate_every=every,
            patience=step.patience,
            log_every=min(20, every),
            checkpoint_every=min(100, every),
        )

    def scaled(self, name: ScaleName) -> ChainRecipe:
        """The recipe at a scale."""
        scale = self.scales[name]
        shape, size, evaluations = self.network, self.preprocessing, scale.evaluations
        return replace(
            self,
            network=replace(shape, channels=scale.channels or shape.channels),
            preprocessing=replace(size, side=scale.side or size.side, n_slices=scale.n_slices or size.n_slices),
            bones=replace(
                self.bones,
                n_steps=scale.n_steps_bones or self.bones.n_steps,
                learning_rate=scale.learning_rate_bones or self.bones.learning_rate,
                evaluations=evaluations or self.bones.evaluations,
            ),
            lesions=replace(
                self.lesions,
                n_steps=scale.n_steps_lesions or self.lesions.n_steps,
                evaluations=evaluations or self.lesions.evaluations,
            ),
        )


def read_chain(name_or_path: str) -> ChainRecipe:
    """Read the recipe of a study in two steps that ships with osteomet, by name, or a TOML file of the user's.

    Raises
    ------
    UsageError
        If there is no such recipe, it is not TOML, or a key is missing, unknown or wrong; the message names the key.
    """
    chain = parse_recipe(name_or_path, ChainRecipe)
    unknown = [name for name in chain.bones.structures if name not in LIU2021_STRUCTURES]
    if unknown or not chain.bones.structures:
        raise _wrong(name_or_path, "bones.structures", f"some of {', '.join(LIU2021_STRUCTURES)}", ", ".join(unknown))
    for scale in chain.scales:
        scaled = chain.scaled(scale)
        factor = 2 ** (len(scaled.network.channels) - 1)
        sides = [scaled.preprocessing.side, scaled.preprocessing.n_slices]
        if any(side % factor for side in sides):
            raise _wrong(name_or_path, "network.channels", f"sides that {factor} divides at scale {scale}", str(sides))
        if any(n % 8 for n in scaled.network.channels):
            got = str(list(scaled.network.channels))
            raise _wrong(name_or_path, "network.channels", f"multiples of 8 at scale {scale}", got)
    return chain


def _wrong(path: str, key: str, expected: str, got: str) -> UsageError:
    return UsageError(f"the recipe {path} has a wrong key", expected=f"{key}: {expected}", got=got or "none")
