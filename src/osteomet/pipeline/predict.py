"""Apply a segmentation model to a batch of cases; a stopped run goes on where it ended."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from osteomet import __version__
from osteomet.core.errors import OsteometError, UsageError
from osteomet.core.model import NnunetPart
from osteomet.core.volume import LabelMap, Modality
from osteomet.inference.engine import Device, Engine, load_nnunet_engines
from osteomet.inference.nnunet.predict import segment_with_stages
from osteomet.io.case_folder import ImageCase, list_cases
from osteomet.io.formats import read_volume, write_labels
from osteomet.io.model_package import ModelPackage
from osteomet.io.output import output_file

RECORD_FILE, LABELS_FILE = "prediction.json", "labels.json"

Progress = Callable[[str, int, int], None]
"""Called with ``cases`` or ``windows``, how many are done, and how many there are."""


@dataclass(frozen=True, slots=True)
class PredictionRun:
    """What a run did: cases segmented now, and those that lay there already."""

    predicted: tuple[str, ...]
    kept: tuple[str, ...]
    engine: str


def predict_folder(
    package: ModelPackage, source: Path, out: Path, *, device: Device, cache_dir: Path, progress: Progress
) -> PredictionRun:
    """Segment every case of a folder.

    Parameters
    ----------
    package
        A model that nnU-Net trained.
    source
        Images, as `osteomet.io.case_folder.list_cases` takes them.
    out
        Gets ``CASE.nii.gz`` on the grid of the images, ``labels.json`` with the label of each name, and
        ``prediction.json`` with the model and its hash. It grows as it goes, each file whole. A case whose map is newer
        than its images is passed over.

    Raises
    ------
    UsageError
        If ``out`` holds something else, or maps of another model.
    ModelError
        If nnU-Net did not train the model.
    InputError
        If an image cannot be used; the message names the case. Cases before it stay.
    """
    part = package.description.nnunet
    engines = load_nnunet_engines(package, device=device, cache_dir=cache_dir)
    assert part is not None
    cases = list_cases(source, len(part.channels))
    open_predictions(out, package, engines[-1].description)
    _write_json({n: v for n, v in zip(part.outputs, part.values, strict=True) if v}, out / LABELS_FILE)
    predicted: list[str] = []
    kept: list[str] = []
    for done, case in enumerate(cases):
        progress("cases", done, len(cases))
        target = out / f"{case.name}.nii.gz"
        if _is_current(target, case):
            kept.append(case.name)
            continue
        write_labels(_segment(engines, part, case, package.description.modality, progress), target)
        predicted.append(case.name)
    progress("cases", len(cases), len(cases))
    return PredictionRun(tuple(predicted), tuple(kept), engines[-1].description)


def _segment(
    engines: Sequence[Engine], part: NnunetPart, case: ImageCase, modality: Modality, progress: Progress
) -> LabelMap:
    """Read and segment one case; errors name it."""
    try:
        volumes = [read_volume(path, modality=modality) for path in case.images]
        return segment_with_stages(
            engines, part, volumes, progress=lambda done, total: progress("windows", done, total)
        )
    except OsteometError as error:
        what = f"case “{case.name}”: {error.what}"
        raise type(error)(what, expected=error.expected, got=error.got, remedy=error.remedy) from error


def _is_current(target: Path, case: ImageCase) -> bool:
    """Whether the map of a case is there and newer than its images."""
    return target.is_file() and all(image.stat().st_mtime <= target.stat().st_mtime for image in case.images)


def open_predictions(out: Path, package: ModelPackage, engine: str) -> None:
    """Make the folder of a model's predictions, or make sure that it is one of this model.

    ``engine`` says what runs the model.

    Raises
    ------
    UsageError
        If ``out`` holds something else, or predictions of another model.
    """
    record = out / RECORD_FILE
    if out.exists() and not out.is_dir():
        raise UsageError(f"{out} is a file", expected="a folder to write", remedy="choose another --out")
    if record.is_file():
        found = _model_of(record)
        if found != package.sha256:
            raise UsageError(
                f"{out} holds predictions of another model",
                expected=f"model {package.description.name!r}, SHA-256 {package.sha256}",
                got=f"SHA-256 {found}",
                remedy="choose another --out, or remove the folder",
            )
    elif out.is_dir() and any(out.iterdir()):
        raise UsageError(f"{out} holds files of something else", remedy="choose another --out")
    out.mkdir(parents=True, exist_ok=True)
    facts = {
        "software": f"osteomet {__version__}",
        "model": package.description.name,
        "model_sha256": package.sha256,
        "engine": engine,
    }
    _write_json(facts, record)


def _model_of(record: Path) -> str:
    """Hash of the model that filled the folder; nothing where the record is damaged."""
    try:
        return str(json.loads(record.read_text(encoding="utf-8"))["model_sha256"])
    except (ValueError, KeyError, TypeError):
        return ""


def _write_json(content: dict[str, Any], path: Path) -> None:
    with output_file(path) as partial:
        partial.write_text(json.dumps(content, indent=2) + "\n", encoding="utf-8")
