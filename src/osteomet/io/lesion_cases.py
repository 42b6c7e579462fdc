"""Images of a data set with the maps of their lesions, in nnU-Net's raw layout.

``imagesTr/CASE_0000.nii.gz`` and so on, one file a channel; ``instancesTr/CASE.nii.gz``, each value one lesion, or else
``labelsTr/CASE.nii.gz``, whose values are labels. An external test set lies beside them with ``Ts``.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

from osteomet.core.errors import DatasetError, FormatError, UsageError
from osteomet.io.formats import image_stem, is_image_file

_PARTS = ("Tr", "Ts")


@dataclass(frozen=True, slots=True)
class LesionCase:
    """One image and the map of its lesions; ``is_instances`` when each value of the map is one lesion."""

    case: str
    image: Path
    lesions: Path
    is_instances: bool


def list_lesion_cases(data: Path, *, channel: int | None) -> tuple[LesionCase, ...]:
    """List the cases of a data set that have a map of lesions, in order of their names; no image is read.

    Parameters
    ----------
    data
        Folder of the data set.
    channel
        Which channel to take; may be None where there is only one.

    Raises
    ------
    DatasetError
        If there is no such folder or no map in it, or a case lacks the channel or has it twice; the message names the
        case.
    UsageError
        If there are several channels and none is named, or the one named does not exist.
    FormatError
        If ``dataset.json`` is damaged.
    """
    if not data.is_dir():
        raise DatasetError(f"{data}: no such folder", expected="a data set with imagesTr and instancesTr or labelsTr")
    number = _choose_channel(data, channel)
    cases = []
    for part in _PARTS:
        instances, labels = data / f"instances{part}", data / f"labels{part}"
        maps = instances if instances.is_dir() else labels
        if maps.is_dir():
            images = _by_stem(data / f"images{part}")
            for case, files in _by_stem(maps).items():
                image = _only(images.get(f"{case}_{number:04d}", []), case, f"an image of channel {number}")
                cases.append(LesionCase(case, image, _only(files, case, "a map of lesions"), maps is instances))
    if not cases:
        raise DatasetError(
            f"{data}: no map of lesions in the data set",
            expected="instancesTr/CASE.nii.gz or labelsTr/CASE.nii.gz, beside imagesTr/CASE_0000.nii.gz",
        )
    return tuple(sorted(cases, key=lambda case: case.case))


def _choose_channel(data: Path, channel: int | None) -> int:
    """Number of the channel to take."""
    names = _channel_names(data)
    known = ", ".join(f"{number}: {name}" for number, name in sorted(names.items()))
    if channel is None and len(names) > 1:
        raise UsageError("the data set has several channels", expected="--channel with one of their numbers", got=known)
    if channel is not None and channel not in names:
        raise UsageError("the data set has no such channel", expected=known, got=f"--channel {channel}")
    return min(names) if channel is None else channel


def _channel_names(data: Path) -> dict[int, str]:
    """Name of each channel from ``dataset.json``; without that file, what the files of images are numbered."""
    path = data / "dataset.json"
    if not path.is_file():
        stems = [stem for part in _PARTS for stem in _by_stem(data / f"images{part}")]
        numbers = {int(stem[-4:]) for stem in stems if stem[-5:-4] == "_" and stem[-4:].isdigit()}
        return {number: f"channel {number}" for number in numbers} or {0: "channel 0"}
    try:
        table = json.loads(path.read_text(encoding="utf-8"))["channel_names"]
        names = {int(number): str(name) for number, name in table.items()}
    except (OSError, ValueError, KeyError, AttributeError, TypeError) as error:
        raise FormatError(
            f"{path}: the channels are not named", expected='"channel_names": {"0": "CT"}', got=repr(error)
        ) from error
    return names or {0: "channel 0"}


def _by_stem(folder: Path) -> Mapping[str, list[Path]]:
    """Image files of a folder by name without suffix; none where there is no folder."""
    files: dict[str, list[Path]] = {}
    for path in sorted(folder.iterdir()) if folder.is_dir() else []:
        if is_image_file(path) and not path.name.startswith("."):
            files.setdefault(image_stem(path), []).append(path)
    return files


def _only(files: list[Path], case: str, what: str) -> Path:
    """The one file, or a complaint."""
    if len(files) != 1:
        got = " and ".join(path.name for path in files) or "none"
        raise DatasetError(f"case “{case}” of the data set", expected=what, got=got)
    return files[0]
