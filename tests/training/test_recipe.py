"""Recipes are read whole or refused with the key that is wrong."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from osteomet.core.errors import UsageError
from osteomet.training import recipe as recipe_module
from osteomet.training.recipe import read_recipe, recipe_names

TEXT = (Path(recipe_module.__file__).parents[1] / "recipes" / "default-ct.toml").read_text(encoding="utf-8")


def test_the_shipped_recipe() -> None:
    shipped = {"default-ct", "default-mr", "kim2024", "liu2021", "wangd2023", "wangh2024-segmentation"}
    assert shipped <= set(recipe_names())
    recipe = read_recipe("default-ct")
    assert (recipe.name, recipe.modality) == ("default-ct", "CT")
    assert recipe.lesions.outputs == ("background", "lytic", "sclerotic")
    assert recipe.bones.network.n_outputs == len(recipe.bones.outputs) == 13
    assert all(side % 2 ** len(recipe.bones.channels) == 0 for side in recipe.bones.patch)


def test_the_recipe_for_mr() -> None:
    """Two channels for each input: one for any sequence, or eight of one role each with bones as the last."""
    recipe = read_recipe("default-mr")
    assert (recipe.name, recipe.modality) == ("default-mr", "MR")
    assert recipe.lesions.outputs == ("background", "marrow")
    assert recipe.bones.network.n_inputs == 2
    assert recipe.bones.network.n_outputs == len(recipe.bones.outputs) == 23
    assert recipe.lesions.network.n_inputs == 17
    assert [roles[0].value for roles in recipe.lesions.sequences] == [
        "T1", "FO", "CE", "T2", "STIR", "T1-IP", "DWI", "ADC",
    ]  # fmt: skip
    for part in (recipe.bones, recipe.lesions):
        assert all(side % 2 ** len(part.channels) == 0 for side in part.patch)


def test_a_file_of_the_user(tmp_path: Path) -> None:
    (tmp_path / "mine.toml").write_text(TEXT.replace('name = "default-ct"', 'name = "mine"'), encoding="utf-8")
    assert read_recipe(str(tmp_path / "mine.toml")).name == "mine"


def without(line: str) -> Callable[[str], str]:
    return lambda text: "\n".join(x for x in text.splitlines() if not x.startswith(line))


@pytest.mark.parametrize(
    ("edit", "message"),
    [
        (without("modality"), r"has a wrong key; got modality: "),
        (without("warm_up_steps"), r"has a wrong key; got optimiser\.warm_up_steps: "),
        (lambda text: text + "momentum = 0.9\n", r"has a wrong key; got optimiser\.momentum: "),
        (lambda text: "colour = 1\n" + text, r"has a wrong key; got colour: "),
        (lambda text: text.replace("version = 1", "version = 2"), r"has a wrong key; got version: .*1"),
        (lambda text: text.replace('modality = "CT"', 'modality = "PET"'), r"has a wrong key; got modality: "),
        (lambda text: text.replace("n_steps = ", 'n_steps = "many" #', 1), r"has a wrong key; got bones\.n_steps: "),
        (lambda _: "version = = 1", r"is not TOML; got "),
    ],
)
def test_a_wrong_key_is_named(edit: Callable[[str], str], message: Any, tmp_path: Path) -> None:
    path = tmp_path / "r.toml"
    path.write_text(edit(TEXT), encoding="utf-8")
    with pytest.raises(UsageError, match=r"the recipe .*r\.toml " + message):
        read_recipe(str(path))


def test_an_unknown_name_lists_the_known_ones() -> None:
    with pytest.raises(
        UsageError, match=r"no such recipe; expected .*kim2024 or .*wangh2024-segmentation or a TOML file; got nothing"
    ):
        read_recipe("nothing")
