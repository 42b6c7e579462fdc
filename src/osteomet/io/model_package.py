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
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
import safetensors.numpy
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError
from safetensors import SafetensorError

from osteomet.core.errors import ModelError, UsageError
from osteomet.core.model import PACKAGE_FORMAT, ModelDescription
from osteomet.io.package_files import FETCH_AGAIN, list_files, without_top_folder
from osteomet.io.package_rules import CARD_FILE, check_description

DESCRIPTION_FILE = "model.json"
_SHIPPED = Path(str(importlib.resources.files("osteomet"))) / "models"
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
    pictures
        Pictures that the card shows, PNG, by path in the package.
    """

    description: ModelDescription
    weights: Mapping[str, Tensors]
    card: str
    sha256: str
    pictures: Mapping[str, bytes] = field(default_factory=dict)


def shipped_names() -> list[str]:
    """Names of the packages that ship with osteomet."""
    return _names_in(_SHIPPED)


def package_names(imported: Path) -> list[str]:
    """Names of the packages that ship with osteomet, then of those in the folder of imported ones."""
    return [*shipped_names(), *(name for name in _names_in(imported) if name not in shipped_names())]


def find_package(name_or_path: str, *, imported: Path | None = None) -> Path:
    """Path of a package by its name, or else the path itself.

    Parameters
    ----------
    name_or_path
        Name of a package that ships with osteomet or was imported, or a path.
    imported
        Folder that holds the imported packages.

    Raises
    ------
    ModelError
        If there is neither a package of this name nor anything at this path.

    Examples
    --------
    >>> find_package("no-such-model")
    Traceback (most recent call last):
    ...
    osteomet.core.errors.ModelError: there is no model 'no-such-model'; expected ...
    """
    if name_or_path in shipped_names():
        return _SHIPPED / name_or_path
    if imported is not None and name_or_path in _names_in(imported):
        return imported / name_or_path
    if Path(name_or_path).exists():
        return Path(name_or_path)
    names = shipped_names() if imported is None else package_names(imported)
    raise ModelError(
        f"there is no model {name_or_path!r}",
        expected=f"a name out of {names}, or the path of a package folder or zip",
        remedy="list the models with `osteomet model list`",
    )


def _names_in(folder: Path) -> list[str]:
    """Names of the packages in a folder; hidden ones are being written."""
    return sorted(p.parent.name for p in folder.glob(f"*/{DESCRIPTION_FILE}") if not p.parent.name.startswith("."))


def read_files(path: Path) -> dict[str, bytes]:
    """Read every file of a package by its path inside it; nothing is checked but that the paths stay inside."""
    listed = list_files(path)
    files = listed.read(listed.sizes)
    return without_top_folder(files, mark=DESCRIPTION_FILE) if path.is_file() else files


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
    files = read_files(path)
    text = files.pop(DESCRIPTION_FILE, None)
    if text is None:
        raise ModelError(f"{path} is not a model package: it has no {DESCRIPTION_FILE}", remedy=FETCH_AGAIN)
    description = _parse_description(text, path)
    check_description(description)
    _check_files(description, files)
    weights = {name: _parse_weights(name, files[name]) for name in description.weights}
    return ModelPackage(
        description=description,
        weights=MappingProxyType(weights),
        card=files[CARD_FILE].decode(errors="replace"),
        sha256=hashlib.sha256(text).hexdigest(),
        pictures=MappingProxyType({name: data for name, data in files.items() if name.endswith(".png")}),
    )


def write_package(
    description: ModelDescription,
    weights: Mapping[str, Tensors],
    *,
    card: str,
    folder: Path,
    pictures: Mapping[str, bytes] = MappingProxyType({}),
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
    pictures
        Pictures that the card shows, by path in the package; the paths end in ``.png``.

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
    wanted = set(description.weights)
    if wanted != set(weights):
        raise ModelError("weights and description differ", expected=str(sorted(wanted)), got=str(sorted(weights)))
    files = {name: safetensors.numpy.save(_in_order(tensors)) for name, tensors in weights.items()}
    files |= pictures
    files[CARD_FILE] = card.encode()
    filled = replace(description, files={name: _sha256(data) for name, data in sorted(files.items())})
    check_description(filled)
    files[DESCRIPTION_FILE] = _ADAPTER.dump_json(filled, indent=2) + b"\n"
    _write_folder(files, folder)
    return filled


def _in_order(tensors: Tensors) -> dict[str, Any]:
    """Tensors in the order of their axes: safetensors writes memory as it lies, and would scramble any other order."""
    return {name: np.asarray(tensor, order="C") for name, tensor in tensors.items()}


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
        raise ModelError(f"{DESCRIPTION_FILE} is not JSON", got=str(error), remedy=FETCH_AGAIN) from error


def _check_files(description: ModelDescription, files: Mapping[str, bytes]) -> None:
    """Refuse files that differ from the list in number, name or hash."""
    missing = sorted(set(description.files) - set(files))
    unlisted = sorted(set(files) - set(description.files))
    if missing:
        raise ModelError("the model package lacks files", got=f"no {missing}", remedy=FETCH_AGAIN)
    if unlisted:
        what = f"the model package holds files that {DESCRIPTION_FILE} does not list"
        raise ModelError(what, got=str(unlisted), remedy="remove them, or get the package again")
    for name, expected in description.files.items():
        got = _sha256(files[name])
        if got != expected:
            what = f"{name} is damaged or was changed"
            raise ModelError(what, expected=f"SHA-256 {expected}", got=got, remedy=FETCH_AGAIN)


def _parse_weights(name: str, data: bytes) -> Tensors:
    """Tensors of one safetensors file, all finite."""
    try:
        tensors = safetensors.numpy.load(data)
    except (SafetensorError, KeyError) as error:
        raise ModelError(f"{name} is not a readable safetensors file", got=str(error), remedy=FETCH_AGAIN) from error
    for key, tensor in tensors.items():
        if tensor.dtype.kind not in "fiu" or not np.isfinite(tensor).all():
            what = f"tensor {key!r} of {name} cannot be used"
            raise ModelError(what, expected="finite numbers", got=str(tensor.dtype), remedy="train or export it again")
    return MappingProxyType(tensors)


def _sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()
