"""The recipe of a signature: defaults, and messages that name the key."""

from pathlib import Path

import pytest

from osteomet.core.errors import InputError, UsageError
from osteomet.radiomics.signature_recipe import SignatureRecipe, read_signature_recipe


def test_defaults_are_those_of_the_study(tmp_path: Path) -> None:
    (tmp_path / "empty.toml").write_text("")
    recipe = read_signature_recipe(tmp_path / "empty.toml")
    assert recipe == SignatureRecipe()
    assert (recipe.n_candidates, recipe.n_folds, recipe.classes) == (10, 10, ("metastasis", "primary"))


def test_keys_are_read(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(
        'n_folds = 5\npositive = "mild"\nalso_negative = ["no", "none"]\nprevalence = 0.1'
    )
    recipe = read_signature_recipe(tmp_path / "mine.toml")
    assert (recipe.n_folds, recipe.prevalence) == (5, 0.1)
    assert (recipe.words(0), recipe.words(1)) == (("mild",), ("primary", "no", "none"))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("n_fold = 5", "wrong key; got n_fold"),
        ('n_folds = "five"', "wrong key; got n_folds"),
        ("n_folds = 2", "n_folds is too small; expected at least 3; got 2"),
        ("prevalence = 1.0", "prevalence cannot be meant"),
        ("least_penalty = 0", "least_penalty cannot be meant"),
        ('positive = "primary"', "words of positive and negative overlap"),
        ("n_folds =", "not TOML"),
    ],
)
def test_what_cannot_be_meant_is_refused_by_its_key(text: str, message: str, tmp_path: Path) -> None:
    (tmp_path / "bad.toml").write_text(text)
    with pytest.raises(UsageError, match=message):
        read_signature_recipe(tmp_path / "bad.toml")


def test_a_recipe_that_is_not_there(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"none\.toml"):
        read_signature_recipe(tmp_path / "none.toml")
