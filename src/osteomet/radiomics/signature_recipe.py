"""Recipe of a signature: how it is fitted and judged, read from TOML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from osteomet.core.errors import UsageError
from osteomet.radiomics.settings import read_toml


@dataclass(frozen=True, slots=True)
class SignatureRecipe:
    """Settings of a signature; the defaults are those of `wangh2024`, and ours where the study is silent.

    Parameters
    ----------
    name
        What the signature is called.
    label_column
        Column of the table of labels that holds the class.
    positive, negative
        The two classes; the Rad-score grows with the odds of the first.
    also_positive, also_negative
        Other words of the column that mean these classes.
    n_candidates
        How many features mRMR passes on to the LASSO.
    n_bins
        Bins of a feature in the estimate of mutual information.
    n_folds, n_repeats
        Folds of patients that are left out in turn, and how often they are dealt anew.
    n_inner_folds
        Folds of the training patients that choose the penalty.
    n_penalties, least_penalty
        Number of penalties, and the smallest as a share of the largest.
    n_resamples
        Resamples of patients that tell how stable the selection is.
    least_icc
        Features whose intraclass correlation over perturbed masks is lower are left out, where such a table is given.
    prevalence
        Share of the positive class that probabilities are meant for; where None, that of the table.
    seed
        Of folds and resamples.

    Raises
    ------
    UsageError
        If a value cannot be meant; the message names the key.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    name: str = "radiomics"
    label_column: str = "diagnosis"
    positive: str = "metastasis"
    negative: str = "primary"
    also_positive: tuple[str, ...] = ()
    also_negative: tuple[str, ...] = ("primary bone tumour",)
    n_candidates: int = 10
    n_bins: int = 3
    n_folds: int = 10
    n_repeats: int = 10
    n_inner_folds: int = 10
    n_penalties: int = 50
    least_penalty: float = 0.01
    n_resamples: int = 100
    least_icc: float = 0.75
    prevalence: float | None = None
    seed: int = 20241

    def __post_init__(self) -> None:
        least = {
            "n_candidates": 1,
            "n_bins": 2,
            "n_folds": 3,
            "n_repeats": 1,
            "n_inner_folds": 3,
            "n_penalties": 2,
            "n_resamples": 2,
            "seed": 0,
        }
        for key, bound in least.items():
            if getattr(self, key) < bound:
                raise UsageError(f"{key} is too small", expected=f"at least {bound}", got=str(getattr(self, key)))
        words = [*self.words(0), *self.words(1)]
        if len(set(words)) < len(words) or not all(words):
            raise UsageError("the words of positive and negative overlap or are empty", got=", ".join(map(repr, words)))
        for key, low in (("least_penalty", 0.0), ("prevalence", 0.0), ("least_icc", -1.0)):
            value = getattr(self, key)
            if value is not None and not low < value < 1:
                raise UsageError(f"{key} cannot be meant", expected=f"a number between {low:g} and 1", got=f"{value:g}")

    @property
    def classes(self) -> tuple[str, str]:
        """The positive class and the other."""
        return self.positive, self.negative

    def words(self, which: int) -> tuple[str, ...]:
        """Words of the column that mean the positive (0) or the negative class (1)."""
        return ((self.positive, *self.also_positive), (self.negative, *self.also_negative))[which]


def read_signature_recipe(path: Path) -> SignatureRecipe:
    """Read a recipe from a TOML file whose keys are the fields of `SignatureRecipe`; missing keys take the defaults.

    Raises
    ------
    InputError
        If the file cannot be opened.
    UsageError
        If it is not TOML, or a key is unknown, of the wrong type, or has a value that cannot be meant; the message
        names the key.
    """
    return read_toml(path, SignatureRecipe)
