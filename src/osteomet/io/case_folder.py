"""Cases to segment: a folder of images named as nnU-Net names them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osteomet.core.errors import DatasetError
from osteomet.io.formats import image_stem, is_image_file

_CHANNEL = re.compile(r"(.+)_(\d{4})")


@dataclass(frozen=True, slots=True)
class ImageCase:
    """A case by its name, with the file of each channel."""

    name: str
    images: tuple[Path, ...]


def list_cases(folder: Path, n_channels: int) -> tuple[ImageCase, ...]:
    """List the cases of a folder in order of their names; no image is read.

    Parameters
    ----------
    folder
        Holds ``CASE_0000.nii.gz``, ``CASE_0001.nii.gz``, … (or another image format), one for each channel. Where there
        is one channel, the number may be missing.
    n_channels
        How many a case must have.

    Raises
    ------
    DatasetError
        If the folder is missing or has no image, a case misses a channel, has one more, or one twice.
    """
    if not folder.is_dir():
        raise DatasetError(f"{folder}: no such folder", expected="a folder of images, CASE_0000.nii.gz and the like")
    found: dict[str, dict[int, list[Path]]] = {}
    for path in sorted(folder.iterdir()):
        if is_image_file(path) and not path.name.startswith("."):
            match = _CHANNEL.fullmatch(image_stem(path))
            name, number = (match[1], int(match[2])) if match else (image_stem(path), 0)
            found.setdefault(name, {}).setdefault(number, []).append(path)
    if not found:
        raise DatasetError(f"{folder}: the folder has no image", expected="CASE_0000.nii.gz and the like")
    return tuple(ImageCase(name, _in_order(name, files, n_channels)) for name, files in sorted(found.items()))


def _in_order(name: str, files: Mapping[int, list[Path]], n_channels: int) -> tuple[Path, ...]:
    """File of each channel, exactly one."""
    if sorted(files) != list(range(n_channels)) or any(len(paths) > 1 for paths in files.values()):
        wanted = ", ".join(f"{name}_{number:04d}" for number in range(n_channels))
        raise DatasetError(
            f"case “{name}” does not have one image for each channel of the model",
            expected=wanted,
            got=", ".join(path.name for paths in files.values() for path in paths),
        )
    return tuple(files[number][0] for number in range(n_channels))
