"""Recipes of grading studies: typed settings, read from TOML."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Len
from pydantic import ConfigDict

from osteomet.core.errors import UsageError
from osteomet.core.exam_map import MapStep, Straighten, find_straighten, wrong_step
from osteomet.core.grader import GraderSpec, ResidualNet
from osteomet.core.model import NORM_GROUPS
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.nn.augment import Augmentation
from osteomet.nn.graded_cnn import remaining_sides
from osteomet.training.recipe import parse_recipe, wrong_key
from osteomet.training.settings import FitSettings, OptimiserName, Schedule
from osteomet.training.study_settings import Count, ScaleName

_STRICT = ConfigDict(extra="forbid")
GRADING = "grading study"
"""Task of these recipes."""
_LOG_EVERY, _CHECKPOINT_EVERY = 20, 200


@dataclass(frozen=True, slots=True)
class GradingData:
    """Sequences that every exam has, the canal being that of the first, and the grades, from none on."""

    __pydantic_config__ = _STRICT

    sequences: Annotated[tuple[str, ...], Len(1)]
    grades: Annotated[tuple[str, ...], Len(2)]


@dataclass(frozen=True, slots=True)
class GradingSplit:
    """Folds of patients, of which the first ``rounds`` are held out and graded in turn by networks of the others."""

    __pydantic_config__ = _STRICT

    n_folds: Annotated[int, Ge(2)]
    rounds: Count
    seed: int


@dataclass(frozen=True, slots=True)
class GraderRecipe:
    """One network and how it is fitted: `FitSettings`; ``augment`` tells whether maps are moved at random."""

    __pydantic_config__ = _STRICT

    title: str
    network: GraderSpec
    n_steps: Count
    batch: Count
    optimiser: OptimiserName
    learning_rate: Annotated[float, Gt(0)]
    schedule: Schedule
    warm_up_steps: int
    weight_decay: float
    ema_decay: float
    mixed_precision: bool
    augment: bool
    seed: int

    @property
    def settings(self) -> FitSettings:
        """Settings of the loop."""
        return FitSettings(
            n_steps=self.n_steps,
            learning_rate=self.learning_rate,
            schedule=self.schedule,
            warm_up_steps=self.warm_up_steps,
            optimiser=self.optimiser,
            weight_decay=self.weight_decay,
            ema_decay=self.ema_decay,
            mixed_precision=self.mixed_precision,
            log_every=min(_LOG_EVERY, self.n_steps),
            checkpoint_every=min(_CHECKPOINT_EVERY, self.n_steps),
        )


@dataclass(frozen=True, slots=True)
class Explanation:
    """Maps of decisions: how many exams of each grade are shown, and the side of the square that is covered, pixels."""

    __pydantic_config__ = _STRICT

    exams: Count
    window: Annotated[int, Ge(2)]


@dataclass(frozen=True, slots=True)
class GradingScale:
    """How much of a study runs; ``n_steps`` by network, ``rows``, ``columns`` and ``spacing_mm`` of the map."""

    __pydantic_config__ = _STRICT

    patients: Annotated[int, Ge(4)]
    phantom_coarse: float
    n_bootstrap: Count
    rounds: int | None = None
    n_steps: dict[str, Count] | None = None
    rows: int | None = None
    columns: int | None = None
    spacing_mm: float | None = None


@dataclass(frozen=True, slots=True)
class GradingRecipe:
    """A whole grading study; ``networks`` by name, the published one first."""

    __pydantic_config__ = _STRICT

    version: Literal[1]
    task: Literal["grading study"]
    name: str
    title: str
    protocol: str
    cohort: str
    data: GradingData
    split: GradingSplit
    preprocessing: tuple[MapStep, ...]
    augmentation: Augmentation
    networks: dict[str, GraderRecipe]
    explanation: Explanation
    scales: dict[ScaleName, GradingScale]

    @property
    def straighten(self) -> Straighten:
        """The step that makes the map."""
        step = find_straighten(self.preprocessing)
        assert step is not None  # `read_grading` refuses others
        return step

    @property
    def sides(self) -> tuple[int, int]:
        """Rows and columns of the map."""
        return self.straighten.rows, self.straighten.columns

    @property
    def n_inputs(self) -> int:
        """Planes of the map over all sequences."""
        return len(self.data.sequences) * self.straighten.planes

    def scaled(self, name: ScaleName) -> GradingRecipe:
        """The recipe at a scale."""
        scale, step = self.scales[name], self.straighten
        resized = replace(
            step,
            rows=scale.rows or step.rows,
            columns=scale.columns or step.columns,
            spacing_mm=scale.spacing_mm or step.spacing_mm,
        )
        n_steps = scale.n_steps or {}
        return replace(
            self,
            split=replace(self.split, rounds=scale.rounds or self.split.rounds),
            preprocessing=tuple(resized if one is step else one for one in self.preprocessing),
            networks={
                key: replace(network, n_steps=n_steps.get(key, network.n_steps))
                for key, network in self.networks.items()
            },
        )


def read_grading(name_or_path: str) -> GradingRecipe:
    """Read the recipe of a grading study that ships with osteomet, by name, or a TOML file of the user's.

    Raises
    ------
    UsageError
        If there is no such recipe, it is not TOML, a key is missing, unknown or wrong, or keys contradict each other;
        the message names the key.
    """
    study = parse_recipe(name_or_path, GradingRecipe)
    _check(study, name_or_path)
    return study


def _check(study: GradingRecipe, path: str) -> None:
    """Refuse keys that contradict each other, at every scale."""
    if study.protocol not in PROTOCOLS or PROTOCOLS[study.protocol].classes != study.data.grades:
        known = [f"{name}: {', '.join(p.classes)}" for name, p in PROTOCOLS.items() if p.classes]
        raise wrong_key(
            path,
            "data.grades",
            expected=f"those of the protocol ({'; '.join(known)})",
            got=", ".join(study.data.grades),
        )
    misplaced = wrong_step(study.preprocessing)
    if misplaced is not None:
        number, expected = misplaced
        got = ", ".join(step.step for step in study.preprocessing) or "no step"
        raise wrong_key(path, f"preprocessing.{number}.step", expected=expected, got=got)
    if not study.networks:
        raise wrong_key(path, "networks", expected="at least one network", got="none")
    for name, scale in study.scales.items():
        unknown = sorted(set(scale.n_steps or {}) - set(study.networks))
        if unknown:
            raise wrong_key(
                path, f"scales.{name}.n_steps", expected=" and ".join(study.networks), got=", ".join(unknown)
            )
        scaled = study.scaled(name)
        if scaled.split.rounds > scaled.split.n_folds:
            raise wrong_key(
                path,
                "split.rounds",
                expected=f"at most {scaled.split.n_folds} at scale {name}",
                got=str(scaled.split.rounds),
            )
        for key, network in scaled.networks.items():
            _check_network(network, scaled.sides, path, f"networks.{key}.network")


def _check_network(wanted: GraderRecipe, sides: tuple[int, int], path: str, key: str) -> None:
    """Refuse a network that cannot be built for maps of these sides."""
    spec = wanted.network
    if isinstance(spec, ResidualNet):
        if not spec.channels or any(n % NORM_GROUPS for n in spec.channels):
            raise wrong_key(
                path, f"{key}.channels", expected=f"multiples of {NORM_GROUPS}", got=str(list(spec.channels))
            )
        return
    try:
        remaining_sides(spec, sides)
    except UsageError as error:
        raise wrong_key(path, f"{key}.maps", expected=error.expected, got=error.got) from error
