"""What `osteomet train` refuses before it trains."""

from importlib import resources
from pathlib import Path

import pytest
from tests.conftest import Osteomet


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kim2024",), "a study is trained from nothing on a data set; remedy: pass --data DIR"),
        (("kim2024", "--data", "d", "--start-from", "default-ct"), "a study is trained from nothing"),
        (("kim2024", "--data", "d", "--fold", "5"), "there is no such fold; expected 0 to 4, or all; got --fold 5"),
        (("kim2024", "--data", "d", "--fold", "last"), "there is no such fold"),
        (("wangh2024", "--data", "d"), "wangh2024 has no networks that are trained alone; remedy: run `osteomet"),
        (("default-ct", "--data", "d"), "default-ct trains on phantoms that it draws; remedy: leave out --data"),
    ],
)
def test_options_that_do_not_fit_the_recipe(
    osteomet: Osteomet, tmp_path: Path, arguments: tuple[str, ...], message: str
) -> None:
    found = osteomet("train", *arguments, "--out", tmp_path / "out")
    assert found.code == 2
    assert message in found.err
    assert not (tmp_path / "out").exists()


def test_a_model_of_other_networks_is_no_start(osteomet: Osteomet, tmp_path: Path) -> None:
    recipe = tmp_path / "wider.toml"
    text = (resources.files("osteomet") / "recipes" / "default-ct.toml").read_text(encoding="utf-8")
    recipe.write_text(text.replace("[32, 64, 96]", "[48, 64, 96]"), encoding="utf-8")
    found = osteomet("train", recipe, "--start-from", "default-ct", "--out", tmp_path / "out")
    assert found.code == 4
    assert "cannot be trained further by this recipe; expected a network “lesions” of the recipe's shape" in found.err
    assert not (tmp_path / "out").exists()
