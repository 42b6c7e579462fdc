"""Recipes of studies that classify lesions on maps of dynamic series: by a radiomic signature, and by networks."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Literal

from annotated_types import Len

from osteomet.radiomics.settings import RadiomicsSettings
from osteomet.radiomics.signature_recipe import SignatureRecipe
from osteomet.training.classifier_recipe import ClassifierRecipe
from osteomet.training.recipe import parse_recipe, wrong_key
from osteomet.training.study_settings import STRICT, AnyStudy, Count

LESION_CLASSES = "lesion classification study"
"""Task of these recipes."""
_SHARED = ("label_column", "positive", "negative", "also_positive", "also_negative", "n_folds", "seed")


@dataclass(frozen=True, slots=True, kw_only=True)
class LesionStudyRecipe(AnyStudy):
    """A whole study.

    ``maps`` are those of `osteomet.pipeline.dynamic_maps` that both methods see, ``align`` undoes motion between the
    phases, ``n_explained`` lesions of each class are shown with what decided about them.
    """

    __pydantic_config__ = STRICT

    task: Literal["lesion classification study"]
    maps: Annotated[tuple[str, ...], Len(1)]
    align: bool
    n_explained: Count
    radiomics: RadiomicsSettings
    signature: SignatureRecipe
    classifier: ClassifierRecipe

    @property
    def networks(self) -> ClassifierRecipe:
        """Settings of the networks, which see the maps."""
        return replace(self.classifier, channels=self.maps)


def read_lesion_study(name_or_path: str) -> LesionStudyRecipe:
    """Read the recipe of such a study that ships with osteomet, by name, or a TOML file of the user's.

    Raises
    ------
    UsageError
        If there is no such recipe, it is not TOML, a key is missing, unknown or wrong, or signature and classifier do
        not share classes, folds and seed; the message names the key.
    """
    study = parse_recipe(name_or_path, LesionStudyRecipe)
    for scaled in (study, *(study.scaled(scale) for scale in study.scales)):
        for key in _SHARED:
            mine, other = getattr(scaled.signature, key), getattr(scaled.classifier, key)
            if mine != other:
                expected = f"{mine}, as signature.{key}, so that both methods are judged alike"
                raise wrong_key(name_or_path, f"classifier.{key}", expected=expected, got=str(other))
    if study.classifier.channels:
        got = ", ".join(study.classifier.channels)
        raise wrong_key(name_or_path, "classifier.channels", expected="none, as maps names them", got=got)
    return study
