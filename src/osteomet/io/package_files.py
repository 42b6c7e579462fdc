"""Files of a model, in a folder or a zip, by their paths inside it; nothing is unpacked onto the disk."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from osteomet.core.errors import ModelError
from osteomet.io.output import output_file

MAXIMUM_BYTES = 4 * 2**30
"""Largest content of a model that is read, unpacked; a zip that promises more is refused before it is unpacked."""
FETCH_AGAIN = "get the package again from where it came, unpacked or as zip, and change nothing inside it"
_ZIP_ERRORS = (zipfile.BadZipFile, zlib.error, NotImplementedError, EOFError)
_EPOCH = (1980, 1, 1, 0, 0, 0)


@dataclass(frozen=True, slots=True)
class PackageFiles:
    """What a folder or zip holds; ``sizes`` are the bytes of each file, unpacked, by its POSIX path."""

    source: Path
    sizes: Mapping[str, int]

    def read(self, names: Iterable[str]) -> dict[str, bytes]:
        """Read files; raises `ModelError` where they are too large together, or damaged."""
        wanted = list(names)
        _check_size(sum(self.sizes[name] for name in wanted))
        if self.source.is_dir():
            return {name: (self.source / name).read_bytes() for name in wanted}
        with _opened(self.source) as archive:
            return {name: archive.read(name) for name in wanted}


def list_files(source: Path) -> PackageFiles:
    """List the files below a folder or in a zip.

    Raises
    ------
    ModelError
        If there is nothing at this place, the folder holds a link (it can lead out of it) or a device, the zip is
        damaged or encrypted, or one of its paths is there twice or leads out of it.
    """
    if source.is_file():
        return PackageFiles(source, _sizes_in_zip(source))
    if not source.is_dir():
        raise ModelError(f"there is no model package at {source}", remedy="list the models with `osteomet model list`")
    found = [path for path in sorted(source.rglob("*")) if path.is_symlink() or not path.is_dir()]
    for path in found:
        if path.is_symlink() or not path.is_file():
            raise ModelError("a model package holds plain files only", got=str(path), remedy=FETCH_AGAIN)
    return PackageFiles(source, {path.relative_to(source).as_posix(): path.stat().st_size for path in found})


def check_paths(names: Iterable[str]) -> None:
    """Refuse any path that could lead out of the package on any system."""
    for name in names:
        parts = name.split("/")
        if "\\" in name or ":" in name or "\0" in name or any(part in ("", ".", "..") for part in parts):
            raise ModelError("a path leads out of the model package", got=repr(name), remedy=FETCH_AGAIN)


def without_top_folder(files: Mapping[str, bytes], *, mark: str) -> dict[str, bytes]:
    """Drop the one folder that all paths share, as zipping a folder leaves it, unless ``mark`` lies at the top."""
    tops = {PurePosixPath(name).parts[0] for name in files}
    if mark in files or len(tops) != 1:
        return dict(files)
    return {PurePosixPath(*PurePosixPath(name).parts[1:]).as_posix(): data for name, data in files.items()}


def write_zip(files: Mapping[str, bytes], path: Path) -> None:
    """Write a zip, whole or not at all; the same files give the same bytes."""
    with output_file(path) as partial, zipfile.ZipFile(partial, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in sorted(files.items()):
            entry = zipfile.ZipInfo(name, _EPOCH)
            entry.external_attr = 0o644 << 16
            archive.writestr(entry, data, zipfile.ZIP_DEFLATED)


def _sizes_in_zip(path: Path) -> dict[str, int]:
    """Size of each file of a zip by its path."""
    with _opened(path) as archive:
        entries = [entry for entry in archive.infolist() if not entry.is_dir()]
    if any(entry.flag_bits & 1 for entry in entries):
        raise ModelError(f"{path} is encrypted", remedy="decrypt it first")
    check_paths(entry.filename for entry in entries)
    sizes = {entry.filename: entry.file_size for entry in entries}
    if len(sizes) != len(entries):
        raise ModelError(f"{path} holds two files of one name", remedy=FETCH_AGAIN)
    return sizes


@contextmanager
def _opened(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; what is wrong with it becomes a `ModelError`."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except _ZIP_ERRORS as error:
        raise ModelError(f"{path} is not a readable zip", got=str(error), remedy=FETCH_AGAIN) from error


def _check_size(n_bytes: int) -> None:
    if n_bytes > MAXIMUM_BYTES:
        raise ModelError(
            "the model package is larger than any that can be meant",
            expected=f"at most {MAXIMUM_BYTES / 2**30:.0f} GiB",
            got=f"{n_bytes / 2**30:.1f} GiB",
            remedy=FETCH_AGAIN,
        )
