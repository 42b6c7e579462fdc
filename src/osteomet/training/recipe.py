"""Recipes: typed settings of a training, read from TOML."""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any, Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from osteomet.core.errors import UsageError
from osteomet.core.model import IntensityWindow, NetworkSpec
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality

_FOLDER = resources.files("osteomet") / "recipes"
_STRICT = ConfigDict(extra="forbid")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class PartRecipe:
    """One network: its grid, shape and outputs, and how many steps on what kind of phantoms it learns.

    ``patch`` is in voxels of ``spacing_mm``; on CT each of ``windows_hu`` is mapped to −1 … 1, on MR each entry of
    ``sequences`` names the roles that may fill an input (`core.model.ModelPart`); ``batch`` patches make a step;
    ``n_metastases`` is the number in each phantom body that samples are cut from; ``foreground_weight`` is that of a
    foreground voxel in the cross-entropy. With ``near_bone_mm`` the network sees bones, and learns only that near them.
    ``background_share`` of the patches come from real scans without lesions, where the user has some.
    """

    __pydantic_config__ = _STRICT

    spacing_mm: tuple[float, float, float]
    patch: tuple[int, int, int]
    channels: tuple[int, ...]
    outputs: tuple[str, ...]
    n_steps: int
    batch: int
    foreground_weight: float
    n_metastases: int
    seed: int
    windows_hu: tuple[tuple[float, float], ...] = ()
    sequences: tuple[tuple[SequenceRole, ...], ...] = ()
    near_bone_mm: float | None = None
    background_share: float = 0.0

    def __post_init__(self) -> None:
        if bool(self.windows_hu) == bool(self.sequences):
            raise UsageError(
                "a network sees either windows of HU or sequences",
                expected="windows_hu for CT, sequences for MR",
                got="both" if self.sequences else "neither",
            )
        others = {SequenceRole.CT, SequenceRole.DYNAMIC} & {role for roles in self.sequences for role in roles}
        if others:
            raise UsageError(
                "a network cannot take this sequence",
                expected="single images of MR",
                got=", ".join(sorted(others)),
            )

    @property
    def network(self) -> NetworkSpec:
        """Shape of the network."""
        n_inputs = len(self.windows_hu) + 2 * len(self.sequences) + (self.near_bone_mm is not None)
        return NetworkSpec("subvoxel_unet3d", n_inputs, len(self.outputs), self.channels)

    @property
    def windows(self) -> tuple[IntensityWindow, ...]:
        """How the network sees the image."""
        return tuple(IntensityWindow(low, high) for low, high in self.windows_hu)


@dataclass(frozen=True, slots=True)
class OptimiserRecipe:
    """AdamW with linear warm-up and cosine decay, gradient clipping (norm), and an exponential mean of the weights."""

    __pydantic_config__ = _STRICT

    learning_rate: float
    weight_decay: float
    warm_up_steps: int
    gradient_clip: float
    ema_decay: float


@dataclass(frozen=True, slots=True)
class Recipe:
    """A whole training."""

    __pydantic_config__ = _STRICT

    version: Literal[1]
    name: str
    modality: Modality
    licence: str
    intended_use: str
    limitations: str
    seed_probability: float
    bones: PartRecipe
    lesions: PartRecipe
    optimiser: OptimiserRecipe


def recipe_names() -> list[str]:
    """Names of the recipes that ship with osteomet."""
    return sorted(item.name.removesuffix(".toml") for item in _FOLDER.iterdir() if item.name.endswith(".toml"))


def task_of(name_or_path: str) -> str:
    """Task of the recipe of a study, such as ``two-step study``; empty for a model; raises as `read_recipe`."""
    return str(_table(name_or_path).get("task", ""))


def read_recipe(name_or_path: str) -> Recipe:
    """Read a recipe that ships with osteomet, by name, or a TOML file of the user's.

    Raises
    ------
    UsageError
        If there is no such recipe, the file is not TOML, or a key is missing, unknown or of the wrong type; the message
        names the key.
    """
    return parse_recipe(name_or_path, Recipe)


def parse_recipe(name_or_path: str, kind: type[_R]) -> _R:
    """Read a recipe of some kind; raises as `read_recipe`."""
    return check_content(_table(name_or_path), kind, name_or_path)


def check_content(content: dict[str, Any], kind: type[_R], name: str) -> _R:
    """Make the recipe ``name`` of what its file says; raises `UsageError` that names the first wrong key."""
    try:
        return TypeAdapter(kind).validate_python(content)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the recipe {name} has a wrong key", got=f"{key}: {first['msg']}") from error


def wrong_key(name: str, key: str, *, expected: str, got: str) -> UsageError:
    """Error about a key of the recipe ``name`` that no type can refuse, to be raised by the caller."""
    return UsageError(f"the recipe {name} has a wrong key", expected=f"{key}: {expected}", got=got or "none")


def _table(name_or_path: str) -> dict[str, Any]:
    """Content of a recipe."""
    if name_or_path in recipe_names():
        text = (_FOLDER / f"{name_or_path}.toml").read_text(encoding="utf-8")
    elif Path(name_or_path).is_file():
        text = Path(name_or_path).read_text(encoding="utf-8")
    else:
        raise UsageError(
            "there is no such recipe", expected=" or ".join([*recipe_names(), "a TOML file"]), got=name_or_path
        )
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the recipe {name_or_path} is not TOML", got=str(error)) from error
