"""The page on features lists every feature and setting, and the tests that it names exist."""

import re
from dataclasses import fields
from pathlib import Path

from osteomet.radiomics.names import feature_names
from osteomet.radiomics.settings import RadiomicsSettings

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "reference" / "radiomics.md").read_text(encoding="utf-8")


def test_every_feature_has_a_row_in_order() -> None:
    plain = RadiomicsSettings(log_sigmas_mm=(), wavelet="none")
    listed = re.findall(r"^\| `([a-z]+_\w+)` \| .+ \| [IBSH, ]+ \|$", PAGE, flags=re.MULTILINE)
    assert [name for name in listed if name.startswith(("shape", "firstorder", "gl", "ngtdm"))] == [
        name.removeprefix("original_") for name in feature_names(plain)
    ]


def test_codes_of_ibsi_stand_once_each() -> None:
    codes = re.findall(r"IBSI ([0-9A-Z]{4}):", PAGE)
    assert len(codes) == len(set(codes)) == 107 - 5  # 5 features are of PyRadiomics alone


def test_every_setting_has_a_row() -> None:
    settings = PAGE.split("## Settings")[1].split("## The table")[0]
    assert re.findall(r"^\| `(\w+)` \|", settings, flags=re.MULTILINE) == [f.name for f in fields(RadiomicsSettings)]


def test_the_tests_named_exist() -> None:
    for name in re.findall(r"test_\w+\.py", PAGE):
        assert (Path(__file__).parent / name).is_file(), name
