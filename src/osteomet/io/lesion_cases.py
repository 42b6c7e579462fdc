"""Images of a data set with the maps of their lesions, in nnU-Net's raw layout.

``imagesTr/CASE_0000.nii.gz`` and so on, one file a channel; ``instancesTr/CASE.nii.gz``, each value one lesion, or else
``labelsTr/CASE.nii.gz``, whose values are labels. An external test set lies beside them with ``Ts``.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import DatasetError, FormatError, UsageError
from osteomet.core.volume import LabelMap
from osteomet.image.components import label_components
from osteomet.io.formats import image_stem, is_image_file, read_instances, read_labels

_PARTS = ("Tr", "Ts")


@dataclass(frozen=True, slots=True)
class LesionCase:
    """Images of one case, one for each channel that was asked for, and the map of its lesions.

    ``is_instances`` when each value of the map is one lesion.
    """

    case: str
    images: tuple[Path, ...]
    lesions: Path
    is_instances: bool

    @property
    def image(self) -> Path:
        """The image, where one channel was asked for."""
        (image,) = self.images
        return image


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
    _check_folder(data)
    return _list_cases(data, [_choose_channel(data, channel)])


def list_lesion_images(data: Path, channels: Sequence[str] = ()) -> tuple[tuple[str, ...], tuple[LesionCase, ...]]:
    """Names of channels, and the cases with an image of each; of all channels where none is named.

    Raises
    ------
    DatasetError
        As `list_lesion_cases`, and if the data set has no channel of a name.
    FormatError
        If ``dataset.json`` is damaged.
    """
    _check_folder(data)
    numbers = {name: number for number, name in sorted(channel_names(data).items())}
    missing = [name for name in channels if name not in numbers]
    if missing:
        raise DatasetError(
            f"{data}: the data set lacks the channel {' and '.join(f'“{name}”' for name in missing)}",
            expected=", ".join(channels),
            got=", ".join(numbers),
            remedy="name the channels so in dataset.json",
        )
    names = tuple(channels) or tuple(numbers)
    return names, _list_cases(data, [numbers[name] for name in names])


def read_lesions(case: LesionCase) -> LabelMap:
    """Read the map of lesions of a case."""
    return read_instances(case.lesions) if case.is_instances else read_labels(case.lesions)


def lesions_of(labels: LabelMap, *, is_instances: bool) -> Iterator[tuple[int, str, NDArray[np.bool_]]]:
    """Number, label and voxels of each lesion of a map; of one of labels these are 26-connected components."""
    if is_instances:
        for name, value in labels.present().items():
            yield value, name, labels.mask(name)
        return
    number = 0
    for name in labels.present():
        components, n = label_components(labels.mask(name))
        for component in range(1, n + 1):
            number += 1
            yield number, name, np.asarray(components == component)


def _check_folder(data: Path) -> None:
    if not data.is_dir():
        raise DatasetError(f"{data}: no such folder", expected="a data set with imagesTr and instancesTr or labelsTr")


def _list_cases(data: Path, channels: Sequence[int]) -> tuple[LesionCase, ...]:
    """Cases with an image of each of these channels."""
    cases = []
    for part in _PARTS:
        instances, labels = data / f"instances{part}", data / f"labels{part}"
        maps = instances if instances.is_dir() else labels
        if maps.is_dir():
            images = _by_stem(data / f"images{part}")
            for case, files in _by_stem(maps).items():
                found = tuple(
                    _only(images.get(f"{case}_{n:04d}", []), case, f"an image of channel {n}") for n in channels
                )
                cases.append(LesionCase(case, found, _only(files, case, "a map of lesions"), maps is instances))
    if not cases:
        raise DatasetError(
            f"{data}: no map of lesions in the data set",
            expected="instancesTr/CASE.nii.gz or labelsTr/CASE.nii.gz, beside imagesTr/CASE_0000.nii.gz",
        )
    return tuple(sorted(cases, key=lambda case: case.case))


def _choose_channel(data: Path, channel: int | None) -> int:
    """Number of the channel to take."""
    names = channel_names(data)
    known = ", ".join(f"{number}: {name}" for number, name in sorted(names.items()))
    if channel is None and len(names) > 1:
        raise UsageError("the data set has several channels", expected="--channel with one of their numbers", got=known)
    if channel is not None and channel not in names:
        raise UsageError("the data set has no such channel", expected=known, got=f"--channel {channel}")
    return min(names) if channel is None else channel


def channel_names(data: Path) -> dict[int, str]:
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
