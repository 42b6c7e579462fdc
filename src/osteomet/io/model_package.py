"""Model packages: a folder or zip of ``model.json``, weights as safetensors, and a model card.

A package is data. Nothing in it is executed or unpickled, every file must be listed in ``model.json`` with its SHA-256,
and every listed file must be there, so that what runs is what was published.
"""

from __future__ import annotations

import hashlib
import importlib.resources
import json
import shutil
import tempfile
import zipfile
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from pathlib import Path, PurePosixPath
from types import MappingProxyType
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError

from osteomet.core.errors import ModelError, UsageError
from osteomet.core.model import NORM_GROUPS, PACKAGE_FORMAT, ModelDescription, ModelPart

DESCRIPTION_FILE = "model.json"
CARD_FILE = "card.md"
MAXIMUM_BYTES = 4 * 2**30
"""Largest package that is read, unpacked; a zip that promises more is refused before it is unpacked."""

_SHIPPED = Path(str(importlib.resources.files("osteomet"))) / "models"
_FETCH_AGAIN = "get the package again from where it came, unpacked or as zip, and change nothing inside it"
_ADAPTER: TypeAdapter[ModelDescription] = TypeAdapter(ModelDescription)

Tensors = Mapping[str, NDArray[Any]]
"""Weights of one network by parameter name."""


@dataclass(frozen=True, slots=True, eq=False)
class ModelPackage:
    """A model package whose files are what they claim to be.

    Parameters
    ----------
    description
        The content of ``model.json``.
    weights
        Tensors by parameter name for each weights file of the description.
    card
        The model card, Markdown.
    sha256
        Of ``model.json``. As that holds the SHA-256 of every other file, it stands for the whole package, and a folder
        and a zip of the same content have the same.
    """

    description: ModelDescription
    weights: Mapping[str, Tensors]
    card: str
    sha256: str


def shipped_names() -> list[str]:
    """Names of the packages that ship with osteomet."""
    return sorted(p.parent.name for p in _SHIPPED.glob(f"*/{DESCRIPTION_FILE}"))


def find_package(name_or_path: str) -> Path:
    """Path of a package that ships with osteomet, by its name, or else the path itself.

    Raises
    ------
    ModelError
        If there is neither a shipped package of this name nor anything at this path.

    Examples
    --------
    >>> find_package("no-such-model")
    Traceback (most recent call last):
    ...
    osteomet.core.errors.ModelError: there is no model 'no-such-model'; expected ...
    """
    names = shipped_names()
    if name_or_path in names:
        return _SHIPPED / name_or_path
    if Path(name_or_path).exists():
        return Path(name_or_path)
    raise ModelError(
        f"there is no model {name_or_path!r}",
        expected=f"a name out of {names}, or the path of a package folder or zip",
        remedy="list the models with `osteomet model list`",
    )


def read_package(path: Path) -> ModelPackage:
    """Read and check a package.

    Parameters
    ----------
    path
        A folder, or a zip that holds the files at its top or inside one folder.

    Returns
    -------
    ModelPackage
        With all weights in memory.

    Raises
    ------
    ModelError
        If there is nothing at this place, a file is missing, not listed or differs from its SHA-256, a path leaves the
        package, ``model.json`` follows another format or contradicts itself, or weights are damaged.

    Notes
    -----
    Each file is read once, and the same bytes are hashed and parsed, so that a file changed in between is noticed.
    """
    files = _read_zip(path) if path.is_file() else _read_folder(path)
    text = files.pop(DESCRIPTION_FILE, None)
    if text is None:
        raise ModelError(f"{path} is not a model package: it has no {DESCRIPTION_FILE}", remedy=_FETCH_AGAIN)
    description = _parse_description(text, path)
    _check_description(description)
    _check_files(description, files)
    weights = {name: _parse_weights(name, files[name]) for part in description.parts for name in part.weights}
    return ModelPackage(
        description=description,
        weights=MappingProxyType(weights),
        card=files[CARD_FILE].decode(errors="replace"),
        sha256=hashlib.sha256(text).hexdigest(),
    )


def write_package(
    description: ModelDescription, weights: Mapping[str, Tensors], *, card: str, folder: Path
) -> ModelDescription:
    """Write a package folder, whole or not at all.

    Parameters
    ----------
    description
        What ``model.json`` will say; its ``files`` are filled in here.
    weights
        Tensors by parameter name for each weights file that the parts name.
    card
        The model card, Markdown.
    folder
        Must not exist yet; its parents are made.

    Returns
    -------
    ModelDescription
        As written, ``files`` included.

    Raises
    ------
    UsageError
        If the folder exists.
    ModelError
        If the description contradicts itself or the weights are not those that it names.
    """
    if folder.exists():
        raise UsageError(f"{folder} exists already", remedy="name a new folder for the package")
    wanted = {name for part in description.parts for name in part.weights}
    if wanted != set(weights):
        raise ModelError("weights and description differ", expected=str(sorted(wanted)), got=str(sorted(weights)))
    files = {name: safetensors.numpy.save(dict(tensors)) for name, tensors in weights.items()}
    files[CARD_FILE] = card.encode()
    filled = replace(description, files={name: _sha256(data) for name, data in sorted(files.items())})
    _check_description(filled)
    files[DESCRIPTION_FILE] = _ADAPTER.dump_json(filled, indent=2) + b"\n"
    _write_folder(files, folder)
    return filled


def _write_folder(files: Mapping[str, bytes], folder: Path) -> None:
    """Write beside the target, then move into place."""
    folder.parent.mkdir(parents=True, exist_ok=True)
    building = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
    try:
        building.chmod(0o755)
        for name, data in files.items():
            target = building / name
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(data)
        building.rename(folder)
    except BaseException:
        shutil.rmtree(building, ignore_errors=True)
        raise


def _read_folder(folder: Path) -> dict[str, bytes]:
    """Read every file below a folder by its POSIX path; links are refused because they can lead out of it."""
    if not folder.is_dir():
        raise ModelError(f"there is no model package at {folder}", remedy="list the models with `osteomet model list`")
    found = [path for path in sorted(folder.rglob("*")) if path.is_symlink() or not path.is_dir()]
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise ModelError("a model package holds plain files only", got=str(path), remedy=_FETCH_AGAIN)
    _check_size(sum(path.stat().st_size for path in found))
    return {path.relative_to(folder).as_posix(): path.read_bytes() for path in found}


def _read_zip(path: Path) -> dict[str, bytes]:
    """Read every file of a zip by its path inside the package."""
    try:
        with zipfile.ZipFile(path) as archive:
            entries = [entry for entry in archive.infolist() if not entry.is_dir()]
            if any(entry.flag_bits & 1 for entry in entries):
                raise ModelError(f"{path} is encrypted", remedy="decrypt it first")
            _check_size(sum(entry.file_size for entry in entries))
            names = [entry.filename for entry in entries]
            _check_paths(names)
            files = {entry.filename: archive.read(entry) for entry in entries}
    except (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError) as error:
        raise ModelError(f"{path} is not a readable zip", got=str(error), remedy=_FETCH_AGAIN) from error
    if len(files) != len(names):
        raise ModelError(f"{path} holds two files of one name", remedy=_FETCH_AGAIN)
    return _without_top_folder(files)


def _without_top_folder(files: dict[str, bytes]) -> dict[str, bytes]:
    """Drop the one folder that all paths share, as zipping a folder leaves it."""
    tops = {PurePosixPath(name).parts[0] for name in files}
    if DESCRIPTION_FILE in files or len(tops) != 1:
        return files
    return {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix(): data for name, data in files.items()}


def _check_size(n_bytes: int) -> None:
    if n_bytes > MAXIMUM_BYTES:
        raise ModelError(
            "the model package is larger than any that can be meant",
            expected=f"at most {MAXIMUM_BYTES / 2**30:.0f} GiB",
            got=f"{n_bytes / 2**30:.1f} GiB",
            remedy=_FETCH_AGAIN,
        )


def _check_paths(names: Iterable[str]) -> None:
    """Refuse any path that could lead out of the package on any system."""
    for name in names:
        parts = name.split("/")
        if "\\" in name or ":" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise ModelError("a path leads out of the model package", got=repr(name), remedy=_FETCH_AGAIN)


def _parse_description(text: bytes, path: Path) -> ModelDescription:
    """Parse ``model.json``; the format comes first, because another format has other fields."""
    try:
        document = json.loads(text)
        found = document.get("format") if isinstance(document, dict) else None
        if found != PACKAGE_FORMAT:
            raise ModelError(
                f"{path} follows another format of model packages",
                expected=repr(PACKAGE_FORMAT),
                got=repr(found),
                remedy="use the version of osteomet that the model card names",
            )
        return _ADAPTER.validate_python(document)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(step) for step in first["loc"])
        raise ModelError(f"{DESCRIPTION_FILE} does not fit its format", got=f"{first['msg']} at {place}") from error
    except (ValueError, RecursionError) as error:
        raise ModelError(f"{DESCRIPTION_FILE} is not JSON", got=str(error), remedy=_FETCH_AGAIN) from error


def _check_description(description: ModelDescription) -> None:
    """Refuse a description that contradicts itself."""
    _check_paths(description.files)
    names = [part.name for part in description.parts]
    if not names or len(set(names)) != len(names):
        raise ModelError("a model has at least one part, each with its own name", got=str(names))
    for part in description.parts:
        _check_part(part)
        unlisted = sorted(set(part.weights) - set(description.files))
        if unlisted:
            raise ModelError(f"the weights of part {part.name!r} have no SHA-256", got=str(unlisted))
    if CARD_FILE not in description.files:
        raise ModelError(f"the model package has no {CARD_FILE}", remedy="write a model card")


def _check_part(part: ModelPart) -> None:
    """Refuse a part whose outputs, patch, spacing, window and network do not fit each other."""
    step = 2 ** len(part.network.channels)
    n_inputs = len(part.windows) + (part.near_bone_mm is not None)
    rules = {
        "outputs named once each, background first, one for each channel of the network": part.outputs[:1]
        == ("background",)
        and len(set(part.outputs)) == len(part.outputs) == part.network.n_outputs,
        f"channels that are positive multiples of {NORM_GROUPS}": bool(part.network.channels)
        and all(n > 0 and n % NORM_GROUPS == 0 for n in part.network.channels),
        f"patch sides that are positive multiples of {step}": all(n > 0 and n % step == 0 for n in part.patch),
        "a finite positive spacing": all(0 < s < np.inf for s in part.spacing_mm),
        "windows whose low end lies below their high end": bool(part.windows)
        and all(-np.inf < w.low < w.high < np.inf for w in part.windows),
        "a distance from bone of zero or more, if any": part.near_bone_mm is None or 0 <= part.near_bone_mm < np.inf,
        f"{n_inputs} inputs, one for each window and one for bones where it sees them": part.network.n_inputs
        == n_inputs,
        "at least one file of weights": bool(part.weights),
    }
    for rule, holds in rules.items():
        if not holds:
            raise ModelError(f"part {part.name!r} of the model contradicts itself", expected=rule, got=str(part))


def _check_files(description: ModelDescription, files: Mapping[str, bytes]) -> None:
    """Refuse files that differ from the list in number, name or hash."""
    missing = sorted(set(description.files) - set(files))
    unlisted = sorted(set(files) - set(description.files))
    if missing:
        raise ModelError("the model package lacks files", got=f"no {missing}", remedy=_FETCH_AGAIN)
    if unlisted:
        what = f"the model package holds files that {DESCRIPTION_FILE} does not list"
        raise ModelError(what, got=str(unlisted), remedy="remove them, or get the package again")
    for name, expected in description.files.items():
        got = _sha256(files[name])
        if got != expected:
            what = f"{name} is damaged or was changed"
            raise ModelError(what, expected=f"SHA-256 {expected}", got=got, remedy=_FETCH_AGAIN)


def _parse_weights(name: str, data: bytes) -> Tensors:
    """Tensors of one safetensors file, all finite."""
    try:
        tensors = safetensors.numpy.load(data)
    except (SafetensorError, KeyError) as error:
        raise ModelError(f"{name} is not a readable safetensors file", got=str(error), remedy=_FETCH_AGAIN) from error
    for key, tensor in tensors.items():
        if tensor.dtype.kind not in "fiu" or not np.isfinite(tensor).all():
            what = f"tensor {key!r} of {name} cannot be used"
            raise ModelError(what, expected="finite numbers", got=str(tensor.dtype), remedy="train or export it again")
    return MappingProxyType(tensors)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
