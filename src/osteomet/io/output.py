"""Output that appears whole or not at all."""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from osteomet.core.errors import OutputError, UsageError

MARKER = ".osteomet"
"""Name of the file that says that osteomet wrote a folder, and may therefore replace it."""

_REFUSALS = frozenset((errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO, errno.EROFS))
_MARKER_TEXT = "osteomet wrote this folder; `--overwrite` may replace all of it.\n"


@contextmanager
def output_file(path: Path) -> Iterator[Path]:
    """Yield a temporary path in the folder of ``path`` that replaces it when the block ends without an exception.

    The temporary name ends like the final one, so that writers that go by suffix work.

    Raises
    ------
    UsageError
        If the folder does not exist.
    OutputError
        If the system refuses to write.
    """
    if not path.parent.is_dir():
        raise UsageError("cannot write a file into a folder that does not exist", got=str(path.parent))
    partial = path.with_name(f".partial-{secrets.token_hex(4)}-{path.name}")
    try:
        yield partial
        partial.replace(path)
    except OSError as error:
        raise OutputError(
            "the file could not be written",
            expected="space and permission to write",
            got=error.strerror or str(error),
            remedy="free space, or write elsewhere",
        ) from error
    finally:
        partial.unlink(missing_ok=True)


@contextmanager
def output_folder(path: Path, *, overwrite: bool) -> Iterator[Path]:
    """Yield a temporary folder that becomes ``path`` when the block ends without an exception.

    Parameters
    ----------
    path
        The folder to make; missing parents are made too. A link is followed.
    overwrite
        Whether a folder that is already there may be replaced. It stays untouched until the new one is complete.

    Yields
    ------
    Path
        An empty folder beside ``path``, named ``.NAME.partial-…``. After an exception it is removed, with the parents
        made for it; after a kill it stays, and the next run for the same ``path`` removes it.

    Raises
    ------
    UsageError
        If ``path`` exists and ``overwrite`` is False, if it is not a folder that osteomet wrote (one with a file
        ``.osteomet``, or an empty one), or if no folder can be made there.
    OutputError
        If the disk is full or fails while the block writes.

    Notes
    -----
    A run holds a lock (``flock``) on its partial folder. The system drops the lock when the process ends, however it
    ends, so that a partial folder without a lock is known to be left over. POSIX cannot exchange two folders in one
    step: with ``overwrite`` the old folder is renamed to ``.NAME.previous-…`` first. A kill between the two renames
    leaves it there, and the next run puts it back.
    """
    path = path.resolve()
    with refusals_named(path), _tidied_parents(path):
        partial, lock = _start(path, overwrite=overwrite)
        try:
            yield partial
            (partial / MARKER).write_text(_MARKER_TEXT, encoding="utf-8")
            _publish(partial, path)
        finally:
            shutil.rmtree(partial, ignore_errors=True)
            os.close(lock)


@contextmanager
def refusals_named(
    path: Path, *, remedy: str = "free space, or choose another --out; nothing was left behind"
) -> Iterator[None]:
    """Name the folder that was asked for, not a file in it or in its partial twin, where the system refuses to write.

    Raises
    ------
    OutputError
        If the disk is full or fails while the block writes.
    """
    try:
        yield
    except (OutputError, OSError) as error:
        if isinstance(error, OSError) and error.errno not in _REFUSALS:
            raise
        raise OutputError(
            f"{path} could not be written",
            expected="a disk with space that can be written to",
            got=error.got if isinstance(error, OutputError) else error.strerror or str(error),
            remedy=remedy,
        ) from error


@contextmanager
def _tidied_parents(path: Path) -> Iterator[None]:
    """Remove the parents that the block made, where they are empty at its end."""
    made = [parent for parent in path.parents if not parent.exists()]
    try:
        yield
    finally:
        for parent in made:
            with suppress(OSError):
                parent.rmdir()


def _start(path: Path, *, overwrite: bool) -> tuple[Path, int]:
    """Tidy up after killed runs, check the target, and make and lock a partial folder."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        _tidy(path)
        _check_replaceable(path, overwrite=overwrite)
        partial = path.with_name(f".{path.name}.partial-{secrets.token_hex(4)}")
        partial.mkdir()
    except OSError as error:
        raise UsageError(
            f"cannot write in {path.parent}",
            got=error.strerror or str(error),
            remedy="choose another --out or change the permissions",
        ) from error
    return partial, _lock(partial)


def _tidy(path: Path) -> None:
    """Remove what killed runs for this target left; put the old folder back where the new one never took its place."""
    for kind in ("partial", "previous"):
        prefix = f".{path.name}.{kind}-"
        for folder in [p for p in path.parent.iterdir() if p.name.startswith(prefix) and p.is_dir()]:
            try:
                lock = _lock(folder)
            except UsageError:
                continue
            if kind == "previous" and not path.exists():
                folder.rename(path)
            else:
                shutil.rmtree(folder, ignore_errors=True)
            os.close(lock)


def _check_replaceable(path: Path, *, overwrite: bool) -> None:
    """Refuse a target that is there and was not meant, or that somebody else made."""
    if not path.exists():
        return
    if not path.is_dir():
        raise UsageError(f"{path} is a file", expected="a folder to write", remedy="choose another --out")
    if not overwrite:
        raise UsageError(f"{path} exists already", remedy="pass --overwrite to replace it, or choose another --out")
    if any(path.iterdir()) and not (path / MARKER).is_file():
        raise UsageError(
            f"{path} holds files that osteomet did not write",
            expected=f"a folder with the marker {MARKER}, or an empty one",
            remedy="choose another --out, or remove the folder yourself",
        )


def _publish(partial: Path, path: Path) -> None:
    """Give the finished folder its name; the old one goes only after that."""
    if not path.exists():
        partial.rename(path)
        return
    previous = path.with_name(f".{path.name}.previous-{secrets.token_hex(4)}")
    lock = _lock(path)
    try:
        path.rename(previous)
        try:
            partial.rename(path)
        except BaseException:
            previous.rename(path)
            raise
        shutil.rmtree(previous, ignore_errors=True)
    finally:
        os.close(lock)


def _lock(folder: Path) -> int:
    """Open descriptor that holds the lock of a folder until it is closed or the process ends."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise UsageError(f"another run is writing {folder}", remedy="wait for it, or choose another --out") from error
    return descriptor
