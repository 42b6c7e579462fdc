"""Recipes of segmentation studies: typed settings, read from TOML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Len
from pydantic import ConfigDict

from osteomet.core.errors import UsageError
from osteomet.nn.augment import Augmentation
from osteomet.training.recipe import parse_recipe
from osteomet.training.settings import FitSettings, OptimiserName, Schedule

_STRICT = ConfigDict(extra="forbid")
ScaleName = Literal["smoke", "small", "full"]
Dimensions = Literal[2, 3]
Count = Annotated[int, Gt(0)]
Channels = Annotated[tuple[Count, ...], Len(2)]
Registration = Literal["rigid", "none"]


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Sequences that a data set has, the one that lesions are drawn on first; classes; the part that is held out."""

    __pydantic_config__ = _STRICT

    sequences: Annotated[tuple[str, ...], Len(1)]
    classes: tuple[str, ...]
    external: str


@dataclass(frozen=True, slots=True)
class Variant:
    """A model of a study: 2 or 3 dimensions, and what it sees."""

    dimensions: Dimensions
    inputs: tuple[str, ...]

    @property
    def name(self) -> str:
        """As the study writes it: ``2D T1+CE``."""
        return f"{self.dimensions}D {'+'.join(self.inputs)}"

    @property
    def folder(self) -> str:
        """A name for a folder: ``2d_t1_ce``."""
        return self.name.lower().replace(" ", "_").replace("+", "_")


@dataclass(frozen=True, slots=True)
class VariantsRecipe:
    """Combinations of inputs and dimensions, and the names of those that are evaluated in full."""

    __pydantic_config__ = _STRICT

    inputs: tuple[tuple[str, ...], ...]
    dimensions: tuple[Dimensions, ...]
    selected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SplitRecipe:
    """How patients are split (`osteomet.training.split`)."""

    __pydantic_config__ = _STRICT

    test_share: Annotated[float, Gt(0)]
    n_candidates: Count
    n_folds: Annotated[int, Ge(2)]
    seed: int


@dataclass(frozen=True, slots=True)
class PreprocessingRecipe:
    """What a network sees of a stack (`osteomet.training.prepare`)."""

    __pydantic_config__ = _STRICT

    first_side: Count
    side: Count
    n_slices: Count
    clahe_tiles: Count
    clahe_clip_limit: float
    least_overlap: float
    registration: Registration


@dataclass(frozen=True, slots=True)
class NetworkRecipe:
    """Shape of a network and how many images it sees at once."""

    __pydantic_config__ = _STRICT

    kind: Literal["nearest U-Net", "residual attention U-Net"]
    channels: Channels
    batch: Count
    deep_supervision: bool


@dataclass(frozen=True, slots=True)
class TrainingRecipe:
    """How networks are fitted: `FitSettings`, for both dimensionalities."""

    __pydantic_config__ = _STRICT

    seed: int
    n_steps_2d: Count
    n_steps_3d: Count
    optimiser: OptimiserName
    learning_rate: Annotated[float, Gt(0)]
    schedule: Schedule
    warm_up_steps: int
    weight_decay: float
    gradient_clip: float
    ema_decay: float
    mixed_precision: bool
    foreground_weight: float
    entropy_weight: float
    lesion_share: float
    evaluations: Count
    patience: Count

    def settings(self, dimensions: Dimensions) -> FitSettings:
        """Settings of the loop."""
        n_steps = self.n_steps_2d if dimensions == 2 else self.n_steps_3d
        every = max(1, n_steps // self.evaluations)
        return FitSettings(
            n_steps=n_steps,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warm_up_steps=self.warm_up_steps,
            optimiser=self.optimiser,
            weight_decay=self.weight_decay,
            gradient_clip=self.gradient_clip,
            ema_decay=self.ema_decay,
            mixed_precision=self.mixed_precision,
            evaluate_every=every,
            patience=self.patience,
            log_every=min(20, every),
            checkpoint_every=min(100, every),
        )


@dataclass(frozen=True, slots=True)
class PredictionRecipe:
    """From probabilities to lesions: threshold, and the smallest lesion that is kept."""

    __pydantic_config__ = _STRICT

    probability: float
    smallest_voxels: int


@dataclass(frozen=True, slots=True)
class Scale:
    """How much of a study runs: phantom patients and their voxels, bootstrap draws, and what it changes of the rest."""

    __pydantic_config__ = _STRICT

    patients: Annotated[int, Ge(4)]
    phantom_coarse: float
    n_bootstrap: Count
    first_side: int | None = None
    side: int | None = None
    n_slices: int | None = None
    registration: Registration | None = None
    channels_2d: tuple[int, ...] | None = None
    channels_3d: tuple[int, ...] | None = None
    batch_2d: int | None = None
    batch_3d: int | None = None
    n_steps_2d: int | None = None
    n_steps_3d: int | None = None
    learning_rate: float | None = None
    evaluations: int | None = None


@dataclass(frozen=True, slots=True)
class StudyRecipe:
    """A whole study."""

    __pydantic_config__ = _STRICT

    version: Literal[1]
    task: Literal["segmentation study"]
    name: str
    title: str
    protocol: str
    cohort: str
    data: DataRecipe
    variants: VariantsRecipe
    split: SplitRecipe
    preprocessing: PreprocessingRecipe
    augmentation: Augmentation
    network_2d: NetworkRecipe
    network_3d: NetworkRecipe
    training: TrainingRecipe
    prediction: PredictionRecipe
    scales: dict[ScaleName, Scale]

    @property
    def all_variants(self) -> tuple[Variant, ...]:
        """Every model, two-dimensional ones first where the recipe says so."""
        return tuple(Variant(n, inputs) for n in self.variants.dimensions for inputs in self.variants.inputs)

    def network(self, variant: Variant) -> NetworkRecipe:
        """Network of a variant."""
        return self.network_2d if variant.dimensions == 2 else self.network_3d

    def scaled(self, name: ScaleName) -> StudyRecipe:
        """The recipe at a scale."""
        scale = self.scales[name]

        def changed(**changes: object) -> dict[str, object]:
            return {key: value for key, value in changes.items() if value is not None}

        prepared = changed(
            first_side=scale.first_side, side=scale.side, n_slices=scale.n_slices, registration=scale.registration
        )
        fitted = changed(
            n_steps_2d=scale.n_steps_2d,
            n_steps_3d=scale.n_steps_3d,
            learning_rate=scale.learning_rate,
            evaluations=scale.evaluations,
        )
        return replace(
            self,
            preprocessing=replace(self.preprocessing, **prepared),  # type: ignore[arg-type]
            training=replace(self.training, **fitted),  # type: ignore[arg-type]
            network_2d=replace(self.network_2d, **changed(channels=scale.channels_2d, batch=scale.batch_2d)),  # type: ignore[arg-type]
            network_3d=replace(self.network_3d, **changed(channels=scale.channels_3d, batch=scale.batch_3d)),  # type: ignore[arg-type]
        )


def read_study(name_or_path: str) -> StudyRecipe:
    """Read the recipe of a study that ships with osteomet, by name, or a TOML file of the user's.

    Raises
    ------
    UsageError
        If there is no such recipe, it is not TOML, a key is missing, unknown or wrong, or keys contradict each other;
        the message names the key.
    """
    study = parse_recipe(name_or_path, StudyRecipe)
    _check(study, name_or_path)
    return study


def _check(study: StudyRecipe, path: str) -> None:
    """Refuse keys that contradict each other, at every scale."""
    known, names = set(study.data.sequences), {variant.name for variant in study.all_variants}
    for inputs in study.variants.inputs:
        if not inputs or set(inputs) - known:
            raise _wrong(path, "variants.inputs", f"some of {', '.join(study.data.sequences)}", str(list(inputs)))
    unknown = set(study.variants.selected) - names
    if unknown:
        raise _wrong(path, "variants.selected", f"some of {', '.join(sorted(names))}", ", ".join(sorted(unknown)))
    if study.data.classes[:1] != ("background",) or len(study.data.classes) < 2:
        raise _wrong(path, "data.classes", "background and at least one more", str(list(study.data.classes)))
    if study.network_3d.kind == "residual attention U-Net" and 3 in study.variants.dimensions:
        raise _wrong(path, "network_3d.kind", "nearest U-Net", study.network_3d.kind)
    for name in study.scales:
        scaled = study.scaled(name)
        for key, network in (("network_2d", scaled.network_2d), ("network_3d", scaled.network_3d)):
            sides = [scaled.preprocessing.side] + [scaled.preprocessing.n_slices] * (key == "network_3d")
            step = 2 ** (len(network.channels) - 1)
            if any(side % step for side in sides):
                raise _wrong(path, f"{key}.channels", f"sides that {step} divides at scale {name}", str(sides))
            if any(n % 8 for n in network.channels):
                raise _wrong(path, f"{key}.channels", f"multiples of 8 at scale {name}", str(list(network.channels)))


def _wrong(path: str, key: str, expected: str, got: str) -> UsageError:
    return UsageError(f"the recipe {path} has a wrong key", expected=f"{key}: {expected}", got=got)
