"""What a file really is, told from its first bytes, for messages about a file that is not what its name says."""

from __future__ import annotations

from osteomet.core.errors import FormatError

_SIGNATURES = (
    (b"%PDF", "a PDF document"),
    (b"\x1f\x8b", "gzip-compressed data"),
    (b"PK\x03\x04", "a zip archive"),
    (b"NRRD", "an NRRD file"),
    (b"ObjectType", "a MetaImage file"),
    (b"\x89PNG", "a PNG picture"),
    (b"\xff\xd8\xff", "a JPEG picture"),
)
_NIFTI_MAGIC = (b"n+1\0", b"ni1\0")
_PRINTABLE = frozenset(range(32, 127)) | {9, 10, 13}


def describe_content(head: bytes) -> str:
    r"""Name the kind of data that begins with ``head`` (the first 512 bytes or so of a file).

    Examples
    --------
    >>> describe_content(b"%PDF-1.7 ...")
    'a PDF document'
    >>> describe_content(b"patient,lesion\n")
    'text'
    >>> describe_content(b"")
    'an empty file'
    """
    if not head:
        return "an empty file"
    for signature, kind in _SIGNATURES:
        if head.startswith(signature):
            return kind
    if head[128:132] == b"DICM":
        return "a DICOM file"
    if head[344:348] in _NIFTI_MAGIC or head[4:7] == b"n+2":
        return "an uncompressed NIfTI file"
    if all(byte in _PRINTABLE for byte in head):
        return "text"
    return f"unknown data beginning with {head[:4].hex(' ')}"


def wrong_content(head: bytes, *, expected: str) -> FormatError:
    """Error for a file of another kind than its suffix announces."""
    return FormatError(
        "the file is not what its name says",
        expected=expected,
        got=describe_content(head),
        remedy="give the file its true suffix or export it again",
    )
