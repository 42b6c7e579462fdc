"""Features of the lesions of an image, or of a whole data set, as a table."""

from __future__ import annotations

import csv
import json
import math
import zlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet import __version__
from osteomet.core.errors import DatasetError, InputError, UsageError
from osteomet.core.grid import check_same_grid
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.io.feature_table import PERTURBATION
from osteomet.io.formats import image_stem, read_labels, read_volume
from osteomet.io.lesion_cases import LesionCase, channel_names, lesions_of, list_lesion_cases, read_lesions
from osteomet.io.naming import naming_case
from osteomet.io.output import output_file
from osteomet.radiomics.extract import RadiomicFeatures, extract_features
from osteomet.radiomics.names import feature_names
from osteomet.radiomics.perturb import perturb_mask
from osteomet.radiomics.settings import RadiomicsSettings

KEY_COLUMNS = ("case", "lesion", "label", "n_voxels")
"""First columns of the table; the features follow."""


@dataclass(frozen=True, slots=True)
class FeatureRow:
    """Features of one lesion; ``lesion`` is its value in the map, or its number among those of the case.

    ``perturbation`` numbers the perturbed masks of the lesion from 1; None for the mask as it is.
    """

    case: str
    lesion: int
    label: str
    features: RadiomicFeatures
    perturbation: int | None = None


@dataclass(frozen=True, slots=True)
class Perturbations:
    """How many perturbed masks of each lesion to compute features of, and the seed they follow from."""

    n: int
    seed: int

    def __post_init__(self) -> None:
        if self.n < 1 or self.seed < 0:
            raise UsageError(
                "perturbed masks cannot be made",
                expected="--perturb from 1 and --seed from 0",
                got=f"--perturb {self.n} --seed {self.seed}",
            )


def extract_from_image(
    image: Path,
    mask: Path,
    out: Path,
    *,
    label: int | None,
    settings: RadiomicsSettings,
    progress: Callable[[int, int], None],
    perturbations: Perturbations | None = None,
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
        Of the extraction.
    perturbations
        Where given, the features are those of perturbed masks instead of the masks themselves.

    Raises
    ------
    UsageError
        If a file is there already.
    GeometryError
        If mask and image differ in geometry.
    InputError
        If a file cannot be used, the mask is empty, or it has no such label.
    """
    _check_new(out)
    volume, labels = read_volume(image, modality=Modality.MR), read_labels(mask)
    check_same_grid(volume.grid, labels.grid, names=("the image", "the mask"))
    wanted = _wanted(labels, mask, label)
    rows: list[FeatureRow] = []
    for done, (name, value) in enumerate(wanted.items()):
        progress(done, len(wanted))
        lesion = _Lesion(image_stem(image), value, name, labels.mask(name))
        rows += _rows_of_lesion(lesion, volume, settings, perturbations)
    progress(len(wanted), len(wanted))
    _write(rows, settings, out, source={"image": image.name, "mask": mask.name})
    return tuple(rows)


def extract_from_dataset(
    data: Path,
    out: Path,
    *,
    channel: int | None,
    settings: RadiomicsSettings,
    progress: Callable[[int, int], None],
    perturbations: Perturbations | None = None,
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
    _check_new(out)
    cases = list_lesion_cases(data, channel=channel)
    rows: list[FeatureRow] = []
    for done, case in enumerate(cases):
        progress(done, len(cases))
        with naming_case(case.case):
            rows += _rows_of(case, settings, perturbations)
    progress(len(cases), len(cases))
    if not rows:
        raise DatasetError(f"{data}: no case has a lesion", got=f"{len(cases)} empty maps")
    source = {"data": data.name, "channel": channel or 0, "channel_name": channel_names(data).get(channel or 0)}
    _write(rows, settings, out, source=source)
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


def _check_new(out: Path) -> None:
    """Refuse to replace a file."""
    for path in (out, _beside(out)):
        if path.exists():
            raise UsageError(f"{path} exists already", remedy="name a new file")
    if not out.parent.is_dir():
        raise UsageError("cannot write a file into a folder that does not exist", got=str(out.parent))


def _beside(out: Path) -> Path:
    """JSON file that belongs to a table."""
    return out.with_suffix(".json")


@dataclass(frozen=True, slots=True, eq=False)
class _Lesion:
    """Voxels of a lesion, and what its rows begin with."""

    case: str
    number: int
    label: str
    region: NDArray[np.bool_]


def _rows_of(
    case: LesionCase, settings: RadiomicsSettings, perturbations: Perturbations | None
) -> Iterator[FeatureRow]:
    """Features of each lesion of a case."""
    labels = read_lesions(case)
    if not labels.present():
        return
    volume: Volume = read_volume(case.image, modality=Modality.MR)
    check_same_grid(volume.grid, labels.grid, names=("the image", "the map of lesions"))
    for number, name, region in lesions_of(labels, is_instances=case.is_instances):
        yield from _rows_of_lesion(_Lesion(case.case, number, name, region), volume, settings, perturbations)


def _rows_of_lesion(
    lesion: _Lesion, volume: Volume, settings: RadiomicsSettings, perturbations: Perturbations | None
) -> Iterator[FeatureRow]:
    """Features of a lesion, or of its perturbed masks; these depend on seed, case and number alone."""
    key = lesion.case, lesion.number, lesion.label
    if perturbations is None:
        yield FeatureRow(*key, extract_features(volume, lesion.region, settings))
        return
    rng = np.random.default_rng([perturbations.seed, zlib.crc32(lesion.case.encode()), lesion.number])
    for n in range(1, perturbations.n + 1):
        mask = perturb_mask(lesion.region, volume.grid.spacing_mm, rng=rng)
        yield FeatureRow(*key, extract_features(volume, mask, settings), perturbation=n)


def _write(rows: Sequence[FeatureRow], settings: RadiomicsSettings, out: Path, *, source: dict[str, Any]) -> None:
    """Write table and settings, both or neither."""
    names = feature_names(settings)
    with output_file(_beside(out)) as sidecar, output_file(out) as table:
        with table.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            perturbed = any(row.perturbation is not None for row in rows)
            writer.writerow((*KEY_COLUMNS, *([PERTURBATION] if perturbed else []), *names))
            for row in rows:
                values = [row.features.values[name] for name in names]
                cells = ["" if math.isnan(value) else repr(float(value)) for value in values]
                number = [row.perturbation] if perturbed else []
                writer.writerow((row.case, row.lesion, row.label, row.features.n_voxels, *number, *cells))
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
    key = {"case": row.case, "lesion": row.lesion}
    if row.perturbation is not None:
        key[PERTURBATION] = row.perturbation
    return [{**key, "reason": reason, "features": names} for reason, names in by_reason.items()]
