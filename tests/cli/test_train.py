"""What `osteomet train` refuses before it trains."""

from pathlib import Path

import pytest
from tests.conftest import Osteomet


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("kim2024",), "a study is trained on a data set; remedy: pass --data DIR"),
        (("kim2024", "--data", "d", "--fold", "5"), "there is no such fold; expected 0 to 4, or all; got --fold 5"),
        (("kim2024", "--data", "d", "--fold", "last"), "there is no such fold"),
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
