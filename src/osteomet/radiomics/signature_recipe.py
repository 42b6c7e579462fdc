"""Recipe of a signature: how it is fitted and judged, read from TOML."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pydantic import ConfigDict

from osteomet.core.errors import UsageError
from osteomet.radiomics.class_words import ClassWords
from osteomet.radiomics.settings import check_least, read_toml


@dataclass(frozen=True, slots=True)
class SignatureRecipe(ClassWords):
    """Settings of a signature; the defaults are those of `wangh2024`, and ours where the study is silent.

    The Rad-score grows with the odds of the positive class.

    Parameters
    ----------
    name
        What the signature is called.
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
        check_least(self, least)
        self.check_words()
        for key, low in (("least_penalty", 0.0), ("prevalence", 0.0), ("least_icc", -1.0)):
            value = getattr(self, key)
            if value is not None and not low < value < 1:
                raise UsageError(f"{key} cannot be meant", expected=f"a number between {low:g} and 1", got=f"{value:g}")


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
