"""Files of a study wherever they lie: in folders of any depth or inside a zip, read without unpacking it."""

from __future__ import annotations

import os
import struct
import warnings
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from io import BytesIO
from itertools import groupby
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from pydicom import Dataset, dcmread
from pydicom.uid import (
    UID,
    CTImageStorage,
    DeflatedExplicitVRLittleEndian,
    EnhancedCTImageStorage,
    EnhancedMRImageStorage,
    LegacyConvertedEnhancedCTImageStorage,
    LegacyConvertedEnhancedMRImageStorage,
    MediaStorageDirectoryStorage,
    MRImageStorage,
)

from osteomet.core.errors import FormatError, InputError

IMAGE_CLASSES = frozenset(
    {
        CTImageStorage,
        EnhancedCTImageStorage,
        LegacyConvertedEnhancedCTImageStorage,
        MRImageStorage,
        EnhancedMRImageStorage,
        LegacyConvertedEnhancedMRImageStorage,
    }
)
"""SOP classes whose pixels osteomet reads."""

_DICOM_SUFFIXES = frozenset({".dcm", ".dicom", ".dic", ".ima"})
_JUNK_PARTS = frozenset({"__MACOSX"})
_MAX_MEMBER_BYTES = 4 * 1024**3
"""Members of a zip are held in memory one at a time; a larger one is an accident or an attack."""
_PIXEL_TAGS = frozenset({(0x7FE0, 0x0008), (0x7FE0, 0x0009), (0x7FE0, 0x0010)})
_UNDEFINED_LENGTH = 0xFFFFFFFF
_LONG_LENGTH_VRS = frozenset({b"OB", b"OW", b"OF", b"OD", b"UN"})


@dataclass(frozen=True, slots=True, order=True)
class FileRef:
    """A file on disk (``member`` empty) or a member of the zip archive ``path``.

    Members are read where they are, never unpacked: a name such as ``../../x`` has nowhere to go, and nothing is left
    to clean up.

    Examples
    --------
    >>> ref = FileRef(Path("study.zip"), "CT/1.dcm")
    >>> str(ref), ref.folder
    ('study.zip/CT/1.dcm', 'study.zip/CT')
    """

    path: Path
    member: str = ""

    @property
    def name(self) -> str:
        """File name without folders."""
        return PurePosixPath(self.member).name if self.member else self.path.name

    @property
    def folder(self) -> str:
        """Folder that holds the file, for a member including the archive."""
        return str((self.path / self.member).parent)

    def __str__(self) -> str:
        return str(self.path / self.member) if self.member else str(self.path)


def list_files(path: Path) -> list[FileRef]:
    """List every visible file of a folder (any depth) or zip archive, or the file itself, in order of name.

    Hidden files and the resource forks of macOS are left out. Links to folders are not followed, so a loop does no
    harm. An empty folder gives an empty list.

    Raises
    ------
    InputError
        If the path does not exist, or a folder below it cannot be listed.
    FormatError
        If a zip archive is damaged.
    """
    if not path.exists():
        raise InputError("there is no such file or folder", got=str(path), remedy="check the path")
    if path.is_dir():
        return sorted(_walk(path))
    if zipfile.is_zipfile(path):
        return sorted(_members(path))
    if path.suffix.lower() == ".zip":
        raise FormatError("this is not a readable zip archive", got=str(path), remedy="copy or download it again")
    return [FileRef(path)]


def _walk(folder: Path) -> Iterator[FileRef]:
    """Visible files below a folder."""

    def refuse(error: OSError) -> None:
        raise InputError("a folder cannot be listed", got=str(error), remedy="check its permissions")

    for root, folders, names in os.walk(folder, onerror=refuse):
        folders[:] = [name for name in folders if not _is_junk(name)]
        yield from (FileRef(Path(root, name)) for name in names if not _is_junk(name) and Path(root, name).is_file())


def _members(path: Path) -> Iterator[FileRef]:
    """Visible files of a zip archive."""
    with _archive(path) as archive:
        for info in archive.infolist():
            if not info.is_dir() and not any(_is_junk(part) for part in PurePosixPath(info.filename).parts):
                yield FileRef(path, info.filename)


def _is_junk(name: str) -> bool:
    return (name.startswith(".") and name.strip(".") != "") or name in _JUNK_PARTS


@contextmanager
def _archive(path: Path) -> Iterator[zipfile.ZipFile]:
    """Open a zip; damage becomes a message."""
    try:
        with zipfile.ZipFile(path) as archive:
            yield archive
    except (zipfile.BadZipFile, zlib.error, EOFError) as error:
        raise FormatError(
            "the zip archive is damaged", got=f"{path}: {error}", remedy="copy or download it again"
        ) from error


def open_each(files: Iterable[FileRef]) -> Iterator[tuple[FileRef, BinaryIO]]:
    """Open the files one after the other for reading; an archive is opened once for all its neighbouring members.

    Raises
    ------
    FormatError
        If an archive is damaged or encrypted, or a member is larger than 4 GiB.
    InputError
        If a file cannot be opened.
    """
    for path, refs in groupby(files, key=lambda ref: ref.path):
        members = list(refs)
        if members[0].member:
            with _archive(path) as archive:
                for ref in members:
                    yield ref, BytesIO(_read_member(archive, ref))
        else:
            for ref in members:
                try:
                    stream = ref.path.open("rb")
                except OSError as error:
                    raise InputError("a file cannot be read", got=str(error), remedy="check its permissions") from error
                with stream:
                    yield ref, stream


def _read_member(archive: zipfile.ZipFile, ref: FileRef) -> bytes:
    """Bytes of one member."""
    info = archive.getinfo(ref.member)
    if info.file_size > _MAX_MEMBER_BYTES:
        raise FormatError("a file in the zip archive is too large", expected="at most 4 GiB", got=str(ref))
    if info.flag_bits & 0x1:
        raise FormatError("the zip archive is encrypted", got=str(ref), remedy="unpack it and pass the folder")
    try:
        return archive.read(info)
    except NotImplementedError as error:
        raise FormatError("unknown zip compression", got=f"{ref}: {error}", remedy="unpack it first") from error


@contextmanager
def quiet_pydicom() -> Iterator[None]:
    """Keep pydicom's remarks on slightly wrong values off the screen; what matters is checked by us."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        yield


def read_header(file: FileRef, stream: BinaryIO) -> Dataset | None:
    """Read everything before the pixels; None for a file that is not DICOM, or is a DICOMDIR.

    The pixels themselves stay unread, but it is checked that all their bytes are there, so that a truncated slice is
    found before it can be taken for a missing one.

    Raises
    ------
    FormatError
        If a DICOM file is truncated or corrupt, or a file named ``*.dcm`` is not DICOM.
    """
    start = stream.read(132)
    stream.seek(0)
    claims_dicom = start[128:132] == b"DICM" or Path(file.name).suffix.lower() in _DICOM_SUFFIXES
    if start[128:132] != b"DICM" and not _may_lack_preamble(start):
        if claims_dicom:
            raise damaged(file, "no DICOM header")
        return None
    try:
        with warnings.catch_warnings(record=True) as remarks:
            warnings.simplefilter("always")
            dataset = dcmread(stream, stop_before_pixels=True, force=True)
        sop_class = sop_class_of(dataset)
        modality = str(dataset.get("Modality", ""))
    except MemoryError:
        raise
    except Exception as error:  # a corrupt file can make the parser fail in any way
        raise damaged(file, str(error)) from error
    if any("end of file" in str(remark.message) for remark in remarks):
        raise damaged(file, "the header ends early")
    if sop_class == MediaStorageDirectoryStorage:
        return None
    if sop_class and not UID(sop_class).is_valid:
        raise damaged(file, "the SOP class is not a UID")
    if sop_class in IMAGE_CLASSES or (not sop_class and modality in ("CT", "MR")):
        _check_pixels_complete(dataset, stream, file)
    elif not modality and "SOPInstanceUID" not in dataset:
        if claims_dicom:
            raise damaged(file, "neither modality nor SOP instance UID")
        return None
    return dataset


def sop_class_of(dataset: Dataset) -> str:
    """SOP class UID from the data set or, where a de-identifier emptied it, from the file's meta header."""
    return str(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID") or "")


def _may_lack_preamble(start: bytes) -> bool:
    """Tell by the first tag whether this can be a data set without preamble: group 2 or 8, low element."""
    return start[:2] in (b"\x02\x00", b"\x08\x00") and start[3:4] == b"\x00"


def damaged(file: FileRef, why: str) -> FormatError:
    """Error for a DICOM file that cannot be used, by name."""
    return FormatError(
        "a DICOM file is truncated or corrupt", got=f"{file}: {why}", remedy="export or copy the series again"
    )


def _check_pixels_complete(dataset: Dataset, stream: BinaryIO, file: FileRef) -> None:
    """Refuse an image file that ends before its pixel data do; the stream stands at the pixel data element."""
    if dataset.file_meta.get("TransferSyntaxUID") == DeflatedExplicitVRLittleEndian:
        return  # pydicom inflated the whole file, which fails where bytes are missing
    is_implicit, is_little = dataset.original_encoding
    order = "<" if is_little else ">"
    here = stream.tell()
    size = stream.seek(0, os.SEEK_END)
    stream.seek(here)
    head = stream.read(12)
    if len(head) < 12 or struct.unpack(order + "HH", head[:4]) not in _PIXEL_TAGS:
        raise damaged(file, f"no pixel data in {size} bytes")
    is_short = is_implicit or head[4:6] not in _LONG_LENGTH_VRS
    (length,) = struct.unpack(order + "L", head[4:8] if is_short else head[8:12])
    start = here + (8 if is_short else 12)
    if length == _UNDEFINED_LENGTH:
        _check_fragments_complete(stream, start, file)
    elif start + length > size:
        raise damaged(file, f"{size - start} of {length} bytes of pixel data")


def _check_fragments_complete(stream: BinaryIO, start: int, file: FileRef) -> None:
    """Walk over the items of compressed pixel data to their delimiter.

    Where it is left out, the file must end with an item, not counting the first, which is only a table of offsets.
    """
    size = stream.seek(0, os.SEEK_END)
    n_items = 0
    while not (start == size and n_items > 1):
        stream.seek(start)
        head = stream.read(8)
        if len(head) < 8:
            raise damaged(file, "compressed pixel data end early")
        group, element, length = struct.unpack("<HHL", head)
        if (group, element) == (0xFFFE, 0xE0DD):
            return
        if (group, element) != (0xFFFE, 0xE000):
            raise damaged(file, "compressed pixel data are not a sequence of items")
        start += 8 + length
        n_items += 1
