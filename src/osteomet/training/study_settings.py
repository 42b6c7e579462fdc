"""What the recipes of all studies share: networks, how they are fitted, and how much of a study runs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from typing import Annotated, Any, Literal, Self

from annotated_types import Gt, Len
from pydantic import ConfigDict

from osteomet.nn.augment import Augmentation
from osteomet.training.recipe import check_content, wrong_key
from osteomet.training.settings import FitSettings, OptimiserName, Schedule

STRICT = ConfigDict(extra="forbid")
ScaleName = Literal["smoke", "small", "full"]
Count = Annotated[int, Gt(0)]
Channels = Annotated[tuple[Count, ...], Len(2)]


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """One network: its shape, what it is shown, and how fast and how long it learns.

    ``batch`` images make a step, and ``lesion_share`` of them show a class but background. The ``evaluations`` on whole
    images of the validation patients lie evenly in ``n_steps``; after ``patience`` of them without a better Dice it
    ends.
    """

    __pydantic_config__ = STRICT

    kind: Literal["nearest U-Net", "residual attention U-Net"]
    channels: Channels
    deep_supervision: bool
    batch: Count
    n_steps: Count
    learning_rate: Annotated[float, Gt(0)]
    lesion_share: float
    evaluations: Count
    patience: Count
    seed: int


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """How networks are fitted, the same for all of a study (`FitSettings`), and the weights of the loss."""

    __pydantic_config__ = STRICT

    optimiser: OptimiserName
    schedule: Schedule
    warm_up_steps: int
    weight_decay: float
    gradient_clip: float
    ema_decay: float
    mixed_precision: bool
    foreground_weight: float
    entropy_weight: float

    def settings(self, network: NetworkRecipe) -> FitSettings:
        """Settings of the loop for one network."""
        every = max(1, network.n_steps // network.evaluations)
        return FitSettings(
            n_steps=network.n_steps,
            learning_rate=network.learning_rate,
            schedule=self.schedule,
            warm_up_steps=self.warm_up_steps,
            optimiser=self.optimiser,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            ema_decay=self.ema_decay,
            mixed_precision=self.mixed_precision,
            evaluate_every=every,
            patience=network.patience,
            log_every=min(20, every),
            checkpoint_every=min(100, every),
        )


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of a study runs: phantom patients and their voxels, bootstrap draws, and other values for its keys."""

    __pydantic_config__ = STRICT

    patients: Annotated[int, Gt(3)]
    phantom_coarse: float
    n_bootstrap: Count
    settings: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class AnyStudy:
    """What every study has, whatever it is about."""

    __pydantic_config__ = STRICT

    version: Literal[1]
    task: str
    name: str
    title: str
    protocol: str
    cohort: str
    scales: dict[ScaleName, Scale]

    def scaled(self, name: ScaleName) -> Self:
        """The study at a scale; raises `UsageError` that names a key which the scale gets wrong."""
        content = merge_settings(asdict(self), self.scales[name].settings)
        return check_content(content, type(self), f"{self.name} at scale {name}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Study(AnyStudy):
    """What every study that trains networks on stacks has, whatever they are for."""

    __pydantic_config__ = STRICT

    augmentation: Augmentation
    networks: dict[str, NetworkRecipe]
    training: TrainingRecipe

    def sides(self, network: str) -> Sequence[int]:
        """Sides of the images that a network sees."""
        raise NotImplementedError


def check_networks(study: Study, path: str, names: Sequence[str]) -> None:
    """Refuse a study that lacks one of these networks, or whose channels do not suit its images at some scale."""
    if set(study.networks) != set(names):
        raise wrong_key(path, "networks", expected=" and ".join(names), got=" and ".join(study.networks))
    for scale in study.scales:
        scaled = study.scaled(scale)
        for name, network in scaled.networks.items():
            key, sides = f"networks.{name}.channels", scaled.sides(name)
            factor = 2 ** (len(network.channels) - 1)
            if any(side % factor for side in sides):
                expected = f"sides that {factor} divides at scale {scale}"
                raise wrong_key(path, key, expected=expected, got=str(list(sides)))
            if any(n % 8 for n in network.channels):
                expected = f"multiples of 8 at scale {scale}"
                raise wrong_key(path, key, expected=expected, got=str(list(network.channels)))


def merge_settings(content: dict[str, Any], changes: dict[str, Any]) -> dict[str, Any]:
    """Content with other values for some keys, at any depth."""
    merged = dict(content)
    for key, value in changes.items():
        inner = merged.get(key)
        merged[key] = merge_settings(inner, value) if isinstance(inner, dict) and isinstance(value, dict) else value
    return merged
