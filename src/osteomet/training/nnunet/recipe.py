"""Recipes of studies that train nnU-Net itself, in two stages: typed settings, read from TOML."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Interval, Len
from pydantic import ConfigDict

from osteomet.core.errors import UsageError
from osteomet.core.vocabulary import STRUCTURES
from osteomet.training.recipe import check_content, parse_recipe, wrong_key
from osteomet.training.study_settings import Count, Scale, ScaleName, merge_settings

_STRICT = ConfigDict(extra="forbid")
NNUNET = "nnU-Net study"
"""Task of these recipes."""
ConfigurationName = Literal["2d", "3d_lowres", "3d_fullres", "3d_cascade_fullres"]
StageName = Literal["vertebrae", "metastases"]
STAGES: tuple[StageName, ...] = ("vertebrae", "metastases")
CASCADE: ConfigurationName = "3d_cascade_fullres"
CASCADE_NEEDS: tuple[ConfigurationName, ...] = ("3d_lowres", "3d_fullres")
"""Configurations that the cascade takes its first result and its images from."""
LESION_CLASSES = ("lytic", "sclerotic")


@dataclass(frozen=True, slots=True)
class NnunetData:
    """Channel of a data set that is used, the format that nnU-Net reads and writes, and the part that is left out."""

    __pydantic_config__ = _STRICT

    channel: str
    file_ending: Literal[".nrrd", ".nii.gz", ".mha"]
    external: str


@dataclass(frozen=True, slots=True)
class NnunetSplit:
    """How patients are dealt into folds (`osteomet.training.nnunet.deal`)."""

    __pydantic_config__ = _STRICT

    n_folds: Annotated[int, Ge(2)]
    n_candidates: Count
    seed: int


@dataclass(frozen=True, slots=True)
class NnunetPlans:
    """What nnU-Net plans: configurations, the GPU memory it plans for, and features of the finest stage."""

    __pydantic_config__ = _STRICT

    configurations: Annotated[tuple[ConfigurationName, ...], Len(1)]
    gpu_memory_gb: Annotated[float, Gt(0)]
    base_features: Count


@dataclass(frozen=True, slots=True)
class NnunetTraining:
    """How long nnU-Net trains, and how often it writes a checkpoint; its loss is nnU-Net's own."""

    __pydantic_config__ = _STRICT

    n_epochs: Count
    loss: Literal["Dice + cross-entropy"]
    n_iterations: Count
    n_validation_iterations: Count
    checkpoint_every: Count


@dataclass(frozen=True, slots=True)
class NnunetPrediction:
    """Share of voxels in which our engine must give nnU-Net's labels, and on how many scans it is counted."""

    __pydantic_config__ = _STRICT

    least_agreement: Annotated[float, Interval(ge=0, le=1)]
    n_compared: Count


@dataclass(frozen=True, slots=True)
class StageRecipe:
    """Classes of a stage, what counts as another class, and the configurations whose figures the paper prints."""

    __pydantic_config__ = _STRICT

    classes: Annotated[tuple[str, ...], Len(1)]
    joined: Mapping[str, str]
    reported: tuple[ConfigurationName, ...]

    @property
    def labels(self) -> dict[str, int]:
        """Label of each class, from 1."""
        return {name: number for number, name in enumerate(self.classes, start=1)}


@dataclass(frozen=True, slots=True)
class NnunetRecipe:
    """A whole study."""

    __pydantic_config__ = _STRICT

    version: Literal[1]
    task: Literal["nnU-Net study"]
    name: str
    title: str
    protocol: str
    cohort: str
    data: NnunetData
    split: NnunetSplit
    plans: NnunetPlans
    training: NnunetTraining
    prediction: NnunetPrediction
    vertebrae: StageRecipe
    metastases: StageRecipe
    scales: dict[ScaleName, Scale]

    def stage(self, name: StageName) -> StageRecipe:
        """Settings of a stage."""
        return self.vertebrae if name == "vertebrae" else self.metastases

    def scaled(self, name: ScaleName) -> NnunetRecipe:
        """The recipe at a scale; raises `UsageError` that names a key which the scale gets wrong."""
        content = merge_settings(asdict(self), self.scales[name].settings)
        return check_content(content, NnunetRecipe, f"{self.name} at scale {name}")


def read_nnunet(name_or_path: str) -> NnunetRecipe:
    """Read the recipe of a study with nnU-Net that ships with osteomet, by name, or a TOML file of the user's.

    Raises
    ------
    UsageError
        If there is no such recipe, it is not TOML, a key is missing, unknown or wrong, or keys contradict each other;
        the message names the key.
    """
    recipe = parse_recipe(name_or_path, NnunetRecipe)
    _check(recipe, name_or_path)
    for scale in recipe.scales:
        _check(recipe.scaled(scale), f"{name_or_path} at scale {scale}")
    return recipe


def _check(recipe: NnunetRecipe, path: str) -> None:
    """Refuse keys that contradict each other."""
    configurations = recipe.plans.configurations
    lacking = [name for name in CASCADE_NEEDS if name not in configurations]
    if CASCADE in configurations and lacking:
        raise _wrong(path, "plans.configurations", f"{' and '.join(CASCADE_NEEDS)} beside {CASCADE}", configurations)
    known: dict[StageName, tuple[str, ...]] = {"vertebrae": tuple(STRUCTURES), "metastases": LESION_CLASSES}
    for stage in STAGES:
        wanted = recipe.stage(stage)
        unknown = [name for name in (*wanted.classes, *wanted.joined) if name not in known[stage]]
        if unknown or len(set(wanted.classes)) < len(wanted.classes):
            expected = f"some of {', '.join(known[stage])}, each once"
            raise _wrong(path, f"{stage}.classes", expected, unknown or wanted.classes)
        if set(wanted.joined.values()) - set(wanted.classes):
            raise _wrong(path, f"{stage}.joined", "classes of the stage", list(wanted.joined.values()))
        if set(wanted.reported) - set(configurations):
            raise _wrong(path, f"{stage}.reported", f"some of {', '.join(configurations)}", wanted.reported)


def _wrong(path: str, key: str, expected: str, got: object) -> UsageError:
    shown = ", ".join(str(item) for item in got) if isinstance(got, list | tuple) else str(got)
    return wrong_key(path, key, expected=expected, got=shown)
