"""Recipes of studies that classify lesions on maps of dynamic series: by a radiomic signature, and by networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Ge, Len
from pydantic import ConfigDict

from osteomet.core.errors import UsageError
from osteomet.radiomics.settings import RadiomicsSettings
from osteomet.radiomics.signature_recipe import SignatureRecipe
from osteomet.training.classifier_recipe import ClassifierRecipe
from osteomet.training.recipe import parse_recipe
from osteomet.training.study import Count, ScaleName

_STRICT = ConfigDict(extra="forbid")
LESION_CLASSES = "lesion classification study"
"""Task of these recipes."""
_SHARED = ("label_column", "positive", "negative", "also_positive", "also_negative", "n_folds", "seed")


@dataclass(frozen=True, slots=True)
class LesionScale:
    """How much of a study runs, as `osteomet.training.study.Scale`; the rest changes signature and classifier."""

    __pydantic_config__ = _STRICT

    patients: Annotated[int, Ge(6)]
    phantom_coarse: float
    n_bootstrap: Count
    n_folds: Count | None = None
    n_repeats: Count | None = None
    n_resamples: Count | None = None
    align: bool | None = None
    side: Count | None = None
    edge_mm: float | None = None
    width: float | None = None
    blocks: tuple[int, int, int] | None = None
    n_members: Count | None = None
    n_steps: Count | None = None
    batch: Count | None = None
    mixed_precision: bool | None = None


@dataclass(frozen=True, slots=True)
class LesionStudyRecipe:
    """A whole study.

    ``maps`` are those of `osteomet.pipeline.dynamic_maps` that both methods see, ``align`` undoes motion between the
    phases, ``n_explained`` lesions of each class are shown with what decided about them.
    """

    __pydantic_config__ = _STRICT

    version: Literal[1]
    task: Literal["lesion classification study"]
    name: str
    title: str
    protocol: str
    cohort: str
    maps: Annotated[tuple[str, ...], Len(1)]
    align: bool
    n_explained: Count
    radiomics: RadiomicsSettings
    signature: SignatureRecipe
    classifier: ClassifierRecipe
    scales: dict[ScaleName, LesionScale]

    @property
    def networks(self) -> ClassifierRecipe:
        """Settings of the networks, which see the maps."""
        return replace(self.classifier, channels=self.maps)

    def scaled(self, name: ScaleName) -> LesionStudyRecipe:
        """The recipe at a scale."""
        scale = self.scales[name]

        def changed(*keys: str) -> dict[str, object]:
            return {key: value for key in keys if (value := getattr(scale, key)) is not None}

        of_networks = ("side", "edge_mm", "width", "blocks", "n_members", "n_steps", "batch", "mixed_precision")
        return replace(
            self,
            align=self.align if scale.align is None else scale.align,
            signature=replace(self.signature, **changed("n_folds", "n_repeats", "n_resamples")),  # type: ignore[arg-type]
            classifier=replace(self.classifier, **changed("n_folds", *of_networks)),  # type: ignore[arg-type]
        )


def read_lesion_study(name_or_path: str) -> LesionStudyRecipe:
    """Read the recipe of such a study that ships with osteomet, by name, or a TOML file of the user's.

    Raises
    ------
    UsageError
        If there is no such recipe, it is not TOML, a key is missing, unknown or wrong, or signature and classifier do
        not share classes, folds and seed; the message names the key.
    """
    study = parse_recipe(name_or_path, LesionStudyRecipe)
    for key in _SHARED:
        mine, other = getattr(study.signature, key), getattr(study.classifier, key)
        if mine != other:
            raise UsageError(
                f"the recipe {name_or_path} has a wrong key",
                expected=f"classifier.{key}: {mine}, as signature.{key}, so that both methods are judged alike",
                got=str(other),
            )
    if study.classifier.channels:
        raise UsageError(
            f"the recipe {name_or_path} has a wrong key", expected="classifier.channels: left out", got="maps say it"
        )
    return study
