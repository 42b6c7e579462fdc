"""Features of the lesions of an image, or of a whole data set, as a table."""

from __future__ import annotations

import csv
import json
import math
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet import __version__
from osteomet.core.errors import DatasetError, GeometryError, InputError, OsteometError, UsageError
from osteomet.core.grid import check_same_grid
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.image.components import label_components
from osteomet.io.formats import image_stem, read_instances, read_labels, read_volume
from osteomet.io.lesion_cases import LesionCase, list_lesion_cases
from osteomet.io.output import output_file
from osteomet.radiomics.extract import RadiomicFeatures, extract_features
from osteomet.radiomics.names import feature_names
from osteomet.radiomics.settings import RadiomicsSettings, read_settings

KEY_COLUMNS = ("case", "lesion", "label", "n_voxels")
"""First columns of the table; the features follow."""


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """Features of one lesion; ``lesion`` is its value in the map, or its number among those of the case."""

    case: str
    lesion: int
    label: str
    features: RadiomicFeatures


def extract_from_image(
    image: Path,
    mask: Path,
    out: Path,
    *,
    label: int | None,
    settings: Path | None,
    progress: Callable[[int, int], None],
) -> tuple[FeatureRow, ...]:
    """Write the features of each label of a mask, or of one of them, and return them.

    Parameters
    ----------
    image, mask
        Image, and label map on the same grid; each label is a region.
    out
        Table to write. A JSON file of the same name beside it has the settings and what could not be computed.
    label
        The one label to take; where None, every label that is present.
    settings
        TOML file of `osteomet.radiomics.settings.RadiomicsSettings`; where None, the defaults.

    Raises
    ------
    UsageError
        If a file is there already, or a setting cannot be meant.
    GeometryError
        If mask and image differ in geometry.
    InputError
        If a file cannot be used, the mask is empty, or it has no such label.
    """
    chosen = _prepare(out, settings)
    volume, labels = read_volume(image, modality=Modality.MR), read_labels(mask)
    check_same_grid(volume.grid, labels.grid, names=("the image", "the mask"))
    wanted = _wanted(labels, mask, label)
    rows = []
    for done, (name, value) in enumerate(wanted.items()):
        progress(done, len(wanted))
        rows.append(FeatureRow(image_stem(image), value, name, extract_features(volume, labels.mask(name), chosen)))
    progress(len(wanted), len(wanted))
    _write(rows, chosen, out, source={"image": image.name, "mask": mask.name})
    return tuple(rows)


def extract_from_dataset(
    data: Path,
    out: Path,
    *,
    channel: int | None,
    settings: Path | None,
    progress: Callable[[int, int], None],
) -> tuple[FeatureRow, ...]:
    """Write the features of every lesion of a data set, and return them.

    Parameters
    ----------
    data
        Data set as `osteomet.io.lesion_cases` reads it. Without instance maps a lesion is a 26-connected component of
        the voxels of one label. A case without lesions has no row.
    channel
        Which channel to take; may be None where there is only one.

    Raises
    ------
    UsageError
        As `extract_from_image`, and if the channel is not known.
    DatasetError, GeometryError
        If a case cannot be used, which the message names, or no case has a lesion.
    """
    chosen = _prepare(out, settings)
    cases = list_lesion_cases(data, channel=channel)
    rows: list[FeatureRow] = []
    for done, case in enumerate(cases):
        progress(done, len(cases))
        with _about(case):
            rows += _rows_of(case, chosen)
    progress(len(cases), len(cases))
    if not rows:
        raise DatasetError(f"{data}: no case has a lesion", got=f"{len(cases)} empty maps")
    _write(rows, chosen, out, source={"data": data.name, "channel": channel or 0})
    return tuple(rows)


def _wanted(labels: LabelMap, mask: Path, label: int | None) -> dict[str, int]:
    """Labels to take by name."""
    present = labels.present()
    if not present:
        raise InputError(f"{mask}: the mask is empty", expected="voxels of one label or more")
    if label is not None and label not in present.values():
        known = ", ".join(str(value) for value in present.values())
        raise InputError(f"{mask}: the mask has no such label", expected=known, got=f"--label {label}")
    return {name: value for name, value in present.items() if label in (None, value)}


def _prepare(out: Path, settings: Path | None) -> RadiomicsSettings:
    """Refuse to replace a file, and read the settings."""
    for path in (out, _beside(out)):
        if path.exists():
            raise UsageError(f"{path} exists already", remedy="name a new file")
    if not out.parent.is_dir():
        raise UsageError("cannot write a file into a folder that does not exist", got=str(out.parent))
    return RadiomicsSettings() if settings is None else read_settings(settings)


def _beside(out: Path) -> Path:
    """JSON file that belongs to a table."""
    return out.with_suffix(".json")


def _rows_of(case: LesionCase, settings: RadiomicsSettings) -> Iterator[FeatureRow]:
    """Features of each lesion of a case."""
    labels = read_instances(case.lesions) if case.is_instances else read_labels(case.lesions)
    if not labels.present():
        return
    volume: Volume = read_volume(case.image, modality=Modality.MR)
    check_same_grid(volume.grid, labels.grid, names=("the image", "the map of lesions"))
    for number, name, region in _lesions_of(labels, is_instances=case.is_instances):
        yield FeatureRow(case.case, number, name, extract_features(volume, region, settings))


def _lesions_of(labels: LabelMap, *, is_instances: bool) -> Iterator[tuple[int, str, NDArray[np.bool_]]]:
    """Number, label and voxels of each lesion."""
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


@contextmanager
def _about(case: LesionCase) -> Iterator[None]:
    """Put the case in front of every error."""
    try:
        yield
    except OsteometError as error:
        kind = GeometryError if isinstance(error, GeometryError) else DatasetError
        raise kind(
            f"case “{case.case}”: {error.what}", expected=error.expected, got=error.got, remedy=error.remedy
        ) from error


def _write(rows: Sequence[FeatureRow], settings: RadiomicsSettings, out: Path, *, source: dict[str, Any]) -> None:
    """Write table and settings, both or neither."""
    names = feature_names(settings)
    with output_file(_beside(out)) as sidecar, output_file(out) as table:
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow((*KEY_COLUMNS, *names))
            for row in rows:
                values = [row.features.values[name] for name in names]
                cells = ["" if math.isnan(value) else repr(float(value)) for value in values]
                writer.writerow((row.case, row.lesion, row.label, row.features.n_voxels, *cells))
        document = {
            "software": f"osteomet {__version__}",
            **source,
            "settings": asdict(settings),
            "not_computed": [missing for row in rows for missing in _missing(row)],
        }
        sidecar.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _missing(row: FeatureRow) -> list[dict[str, Any]]:
    """For each reason, the features of a lesion that could not be computed."""
    by_reason: dict[str, list[str]] = {}
    for name, reason in row.features.not_computed.items():
        by_reason.setdefault(reason, []).append(name)
    return [
        {"case": row.case, "lesion": row.lesion, "reason": reason, "features": names}
        for reason, names in by_reason.items()
    ]
