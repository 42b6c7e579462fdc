"""What decides the value of a feature, and is saved beside it."""

from __future__ import annotations

import math
import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, TypeVar

from pydantic import ConfigDict, TypeAdapter, ValidationError

from osteomet.core.errors import InputError, UsageError

T = TypeVar("T")
WaveletName = Literal["coif1", "db2", "haar", "none"]
Aggregation = Literal["averaged", "merged"]
_DEFAULT_BIN_WIDTH = 25.0


@dataclass(frozen=True, slots=True)
class RadiomicsSettings:
    """Settings of a feature extraction; the defaults give 1316 features.

    Parameters
    ----------
    bin_width
        Width of a grey level, in units of the image; levels begin at multiples of it. 25 where neither this nor
        ``bin_count`` is given.
    bin_count
        Number of grey levels between the lowest and the highest value of the region, instead of a width.
    normalise_scale
        Where given, the image is first brought to mean 0 and this standard deviation, over all its voxels: for MR.
    within_sigmas
        Where given, voxels of the region further from its mean than this many standard deviations are left out of all
        features but those of shape.
    spacing_mm
        Where given, image and region are first resampled to this spacing along the three array axes.
    distances
        Chebyshev distances, in voxels, of the neighbours of GLCM, GLDM and NGTDM.
    aggregation
        Whether features of GLCM and GLRLM are computed for each direction and *averaged*, or once on the *merged*
        matrix of all directions.
    in_plane
        Look for neighbours within the slices (the first two array axes) only.
    log_sigmas_mm
        Widths of the Laplacians of Gaussians; empty for none.
    wavelet
        Wavelet of the eight bands, or ``none``.

    Raises
    ------
    UsageError
        If a value cannot be meant; the message names the key.
    """

    __pydantic_config__ = ConfigDict(extra="forbid")

    bin_width: float | None = None
    bin_count: int | None = None
    normalise_scale: float | None = None
    within_sigmas: float | None = None
    spacing_mm: tuple[float, float, float] | None = None
    distances: tuple[int, ...] = (1,)
    aggregation: Aggregation = "averaged"
    in_plane: bool = False
    log_sigmas_mm: tuple[float, ...] = (1.0, 2.0, 3.0, 4.0, 5.0)
    wavelet: WaveletName = "coif1"

    def __post_init__(self) -> None:
        if self.bin_width is not None and self.bin_count is not None:
            raise UsageError("bin_width and bin_count exclude each other", remedy="give one of the two")
        if self.bin_width is None and self.bin_count is None:
            object.__setattr__(self, "bin_width", _DEFAULT_BIN_WIDTH)
        for key in ("bin_width", "normalise_scale", "within_sigmas"):
            value = getattr(self, key)
            if value is not None:
                _check_positive(key, [value])
        _check_positive("spacing_mm", self.spacing_mm or ())
        _check_positive("log_sigmas_mm", self.log_sigmas_mm)
        if self.bin_count is not None and self.bin_count < 2:
            raise UsageError("bin_count is too small", expected="a whole number from 2", got=str(self.bin_count))
        if not self.distances or min(self.distances) < 1:
            raise UsageError("distances cannot be meant", expected="whole numbers from 1", got=str(self.distances))
        for key in ("distances", "log_sigmas_mm"):
            values = getattr(self, key)
            if len(set(values)) < len(values):
                raise UsageError(f"{key} holds a number twice", got=str(values))


def read_settings(path: Path) -> RadiomicsSettings:
    """Read settings from a TOML file whose keys are the fields of `RadiomicsSettings`; missing keys take the defaults.

    Raises
    ------
    InputError
        If the file cannot be opened.
    UsageError
        If it is not TOML, or a key is unknown, of the wrong type, or has a value that cannot be meant; the message
        names the key.
    """
    return read_toml(path, RadiomicsSettings)


def read_toml(path: Path, kind: type[T]) -> T:
    """Read a TOML file whose keys are the fields of a dataclass; errors are those of `read_settings`."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"{path}: the settings cannot be read", got=str(error)) from error
    try:
        return TypeAdapter(kind).validate_python(tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise UsageError(f"the settings {path} are not TOML", got=str(error)) from error
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise UsageError(f"the settings {path} have a wrong key", got=f"{key}: {first['msg']}") from error
    except UsageError as error:
        raise UsageError(
            f"{path}: {error.what}", expected=error.expected, got=error.got, remedy=error.remedy
        ) from error


def check_least(settings: object, least: Mapping[str, float]) -> None:
    """Refuse settings with a number below the least that can be meant; raises `UsageError`, which names the key."""
    for key, bound in least.items():
        if getattr(settings, key) < bound:
            got = f"{getattr(settings, key):g}"
            raise UsageError(f"{key} is too small", expected=f"at least {bound:g}", got=got)


def _check_positive(key: str, values: Sequence[float]) -> None:
    """Refuse a value that is not a positive finite number."""
    wrong = [value for value in values if not (math.isfinite(value) and value > 0)]
    if wrong:
        raise UsageError(f"{key} cannot be meant", expected="positive numbers", got=f"{wrong[0]:g}")
