"""Names for the labels of a file that cannot hold them: ``labels.json`` or ``dataset.json`` beside it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from osteomet.core.errors import FormatError


def names_beside(folder: Path, stem: str) -> dict[str, int] | None:
    """Label of each name from the JSON file that belongs to a label map, or None where there is none.

    Parameters
    ----------
    folder
        Folder of the label map.
    stem
        Its file name without suffix.

    Notes
    -----
    ``labels.json`` as `osteomet analyze` writes it, ``{"bones": {name: label}, "lesions": {label: {...}}}``, names the
    maps called ``bones`` and ``lesions``, and any other map where it has one of the two parts only; a lesion is named
    ``lesion_LABEL``. It may also have the form of ``dataset.json``, or be ``{name: label}`` alone. Failing that,
    ``dataset.json`` of nnU-Net (version 2), ``{"labels": {name: label}}``, in the same folder, or in the one above a
    folder whose name begins with ``labels`` (``labelsTr``). A region, which stands for several labels, has no label of
    its own and is left out.

    Raises
    ------
    FormatError
        If the JSON file is damaged or of another form.
    """
    path = folder / "labels.json"
    if path.is_file():
        names = _from_labels_json(path, stem)
        if names is not None:
            return names
    places = [folder, folder.parent] if folder.name.startswith("labels") else [folder]
    for place in places:
        path = place / "dataset.json"
        if path.is_file():
            return _as_labels(path, _part(_load(path), "labels", path))
    return None


def _from_labels_json(path: Path, stem: str) -> dict[str, int] | None:
    content = _load(path)
    if "labels" in content:
        return _as_labels(path, _part(content, "labels", path))
    if content and all(isinstance(label, int) for label in content.values()):
        return _as_labels(path, content)
    parts = {part for part in ("bones", "lesions") if content.get(part)}
    part = stem if stem in ("bones", "lesions") else parts.pop() if len(parts) == 1 else None
    if part is None or part not in content:
        return None
    table = _part(content, part, path)
    if part == "lesions":
        table = {f"lesion_{label}": label for label in table}
    return _as_labels(path, table)


def _as_labels(path: Path, table: Mapping[str, Any]) -> dict[str, int]:
    """Whole-number labels without background and regions."""
    try:
        labels = {name: int(label) for name, label in table.items() if not isinstance(label, list)}
    except (TypeError, ValueError) as error:
        raise _bad(path, "whole-number labels, one for each name", str(error)) from error
    return {name: label for name, label in labels.items() if label != 0}


def _part(content: Mapping[str, Any], part: str, path: Path) -> dict[str, Any]:
    table = content.get(part)
    if not isinstance(table, dict):
        raise _bad(path, f'an object "{part}"', f"{type(table).__name__}")
    return table


def _load(path: Path) -> dict[str, Any]:
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise _bad(path, "JSON", str(error)) from error
    if not isinstance(content, dict):
        raise _bad(path, "a JSON object", type(content).__name__)
    return content


def _bad(path: Path, expected: str, got: str) -> FormatError:
    return FormatError(
        f"{path.name} beside the label map cannot be used",
        expected=expected,
        got=got,
        remedy="mend the file or move it away; labels are then named label_1, label_2, …",
    )
