"""Settings are what they say, or are refused by the name of the key."""

import re
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from osteomet.core.errors import InputError, UsageError
from osteomet.radiomics.names import feature_names, image_names
from osteomet.radiomics.settings import RadiomicsSettings, read_settings


def test_1316_features() -> None:
    names = feature_names(RadiomicsSettings())
    assert len(names) == len(set(names)) == 1316  # 107 of the original, 744 of wavelets, 465 of Laplacians
    assert sum(name.startswith("wavelet-") for name in names) == 744
    assert sum(name.startswith("log-sigma-") for name in names) == 465
    assert image_names(RadiomicsSettings())[:2] == ("original", "log-sigma-1-0-mm-3D")
    assert {"original_glcm_Idmn", "wavelet-LLH_glrlm_RunEntropy", "log-sigma-5-0-mm-3D_ngtdm_Strength"} <= set(names)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"bin_width": 0.0}, "bin_width cannot be meant; expected positive numbers; got 0"),
        ({"bin_width": 25.0, "bin_count": 32}, "bin_width and bin_count exclude each other"),
        ({"bin_count": 1}, "bin_count is too small; expected a whole number from 2; got 1"),
        ({"normalise_scale": -1.0}, "normalise_scale cannot be meant"),
        ({"within_sigmas": float("nan")}, "within_sigmas cannot be meant"),
        ({"spacing_mm": (1.0, 0.0, 1.0)}, "spacing_mm cannot be meant"),
        ({"distances": ()}, "distances cannot be meant"),
        ({"distances": (0, 1)}, "distances cannot be meant"),
        ({"distances": (1, 1)}, "distances holds a number twice"),
        ({"log_sigmas_mm": (1.0, 0.0)}, "log_sigmas_mm cannot be meant"),
        ({"log_sigmas_mm": (2.0, 2.0)}, "log_sigmas_mm holds a number twice"),
    ],
)
def test_what_cannot_be_meant(change: dict[str, Any], message: str) -> None:
    with pytest.raises(UsageError, match=re.escape(message)):
        RadiomicsSettings(**change)


def test_a_file_of_settings(tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text('bin_count = 32\nlog_sigmas_mm = [1.0, 2.5]\nwavelet = "none"\nspacing_mm = [1, 1, 3]\n')
    settings = read_settings(path)
    assert settings == RadiomicsSettings(
        bin_count=32, log_sigmas_mm=(1.0, 2.5), wavelet="none", spacing_mm=(1.0, 1.0, 3.0)
    )
    assert settings.bin_width is None
    assert replace(settings, bin_count=None).bin_width == 25


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("bin_widht = 10", "wrong key; got bin_widht: "),
        ('bin_width = "wide"', "wrong key; got bin_width: "),
        ('wavelet = "sym4"', "wrong key; got wavelet: "),
        ("bin_width = -1", "bin_width cannot be meant"),
        ("bin_width", "are not TOML"),
    ],
)
def test_a_wrong_file_names_the_key(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "settings.toml"
    path.write_text(text)
    with pytest.raises(UsageError, match=re.escape(message)):
        read_settings(path)
    with pytest.raises(InputError, match="cannot be read"):
        read_settings(tmp_path / "none.toml")
