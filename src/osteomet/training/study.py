"""Recipes of segmentation studies whose models differ in what they see: typed settings, read from TOML."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Literal

from annotated_types import Ge, Gt, Len

from osteomet.training.recipe import parse_recipe, wrong_key
from osteomet.training.study_settings import STRICT, Count, NetworkRecipe, Study, check_networks

Dimensions = Literal[2, 3]
Registration = Literal["rigid", "none"]


@dataclass(frozen=True, slots=True)
class DataRecipe:
    """Sequences that a data set has, the one that lesions are drawn on first; classes; the part that is held out.

    With ``dynamic`` the channels of the data set are the phases of a dynamic contrast series in order of time, and its
    one sequence is computed from them (`osteomet.image.dynamic.strongest_enhancement`).
    """

    __pydantic_config__ = STRICT

    sequences: Annotated[tuple[str, ...], Len(1)]
    classes: tuple[str, ...]
    external: str
    dynamic: bool = False


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

    @property
    def network(self) -> str:
        """Name of its network in the recipe."""
        return f"{self.dimensions}d"


@dataclass(frozen=True, slots=True)
class VariantsRecipe:
    """Combinations of inputs and dimensions, and the names of those that are evaluated in full."""

    __pydantic_config__ = STRICT

    inputs: tuple[tuple[str, ...], ...]
    dimensions: tuple[Dimensions, ...]
    selected: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class SplitRecipe:
    """How patients are split (`osteomet.training.split`)."""

    __pydantic_config__ = STRICT

    test_share: Annotated[float, Gt(0)]
    n_candidates: Count
    n_folds: Annotated[int, Ge(2)]
    seed: int


@dataclass(frozen=True, slots=True)
class ClaheRecipe:
    """Contrast-limited adaptive histogram equalisation (`osteomet.image.intensity.clahe`)."""

    __pydantic_config__ = STRICT

    n_tiles: Count
    clip_limit: float


@dataclass(frozen=True, slots=True)
class PreprocessingRecipe:
    """What a network sees of a stack (`osteomet.training.prepare`).

    Without ``first_side`` the stack is resized once, without ``n_slices`` it keeps its slices, without ``clahe`` its
    histogram.
    """

    __pydantic_config__ = STRICT

    side: Count
    least_overlap: float
    registration: Registration
    first_side: Count | None = None
    n_slices: Count | None = None
    clahe: ClaheRecipe | None = None


@dataclass(frozen=True, slots=True)
class PredictionRecipe:
    """From probabilities to lesions: threshold, and the smallest lesion that is kept."""

    __pydantic_config__ = STRICT

    probability: float
    smallest_voxels: int


@dataclass(frozen=True, slots=True)
class GrowingRecipe:
    """Region growing that the models are compared with (`osteomet.image.region_growing`)."""

    __pydantic_config__ = STRICT

    outline_mm: Annotated[float, Gt(0)]
    search_factor: Annotated[float, Ge(1)]
    smooth_mm: Annotated[float, Ge(0)]
    n_classes: Annotated[int, Ge(2)]
    least_touch: Annotated[float, Ge(0)]
    least_share: Annotated[float, Ge(0)]


@dataclass(frozen=True, slots=True, kw_only=True)
class StudyRecipe(Study):
    """A whole study."""

    __pydantic_config__ = STRICT

    task: Literal["segmentation study"]
    data: DataRecipe
    variants: VariantsRecipe
    split: SplitRecipe
    preprocessing: PreprocessingRecipe
    prediction: PredictionRecipe
    region_growing: GrowingRecipe | None = None

    @property
    def all_variants(self) -> tuple[Variant, ...]:
        """Every model, two-dimensional ones first where the recipe says so."""
        return tuple(Variant(n, inputs) for n in self.variants.dimensions for inputs in self.variants.inputs)

    def network(self, variant: Variant) -> NetworkRecipe:
        """Network of a variant."""
        return self.networks[variant.network]

    def sides(self, network: str) -> Sequence[int]:
        """Sides of the images that a network sees."""
        size = self.preprocessing
        return [size.side] if network == "2d" else [size.side, size.n_slices or 1]


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
            expected = f"some of {', '.join(study.data.sequences)}"
            raise wrong_key(path, "variants.inputs", expected=expected, got=str(list(inputs)))
    unknown = set(study.variants.selected) - names
    if unknown:
        expected = f"some of {', '.join(sorted(names))}"
        raise wrong_key(path, "variants.selected", expected=expected, got=", ".join(sorted(unknown)))
    classes = study.data.classes
    if classes[:1] != ("background",) or len(classes) < 2:
        raise wrong_key(path, "data.classes", expected="background and at least one more", got=str(list(classes)))
    if study.data.dynamic and len(study.data.sequences) > 1:
        got = ", ".join(study.data.sequences)
        raise wrong_key(path, "data.sequences", expected="one, computed from the dynamic series", got=got)
    if 3 in study.variants.dimensions and study.preprocessing.n_slices is None:
        raise wrong_key(path, "preprocessing.n_slices", expected="a number for 3D networks", got="")
    check_networks(study, path, [f"{n}d" for n in study.variants.dimensions])
    if 3 in study.variants.dimensions and study.networks["3d"].kind != "nearest U-Net":
        raise wrong_key(path, "networks.3d.kind", expected="nearest U-Net", got=study.networks["3d"].kind)
