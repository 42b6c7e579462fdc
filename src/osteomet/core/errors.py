"""The whole error tree on one screen; the class decides the exit code of the command line."""


class OsteometError(Exception):
    """Base of every error that osteomet raises on purpose.

    A message says what happened, what was expected, what was got and what to do about it.

    Parameters
    ----------
    what
        One clause naming the thing that failed.
    expected, got
        The two values that disagree, in words or numbers with units.
    remedy
        What the reader can do next, ideally a command.

    Examples
    --------
    >>> print(InputError("the folder holds no image", got="3 text files", remedy="pass a DICOM folder"))
    the folder holds no image; got 3 text files; remedy: pass a DICOM folder
    """

    exit_code = 5

    def __init__(self, what: str, *, expected: str = "", got: str = "", remedy: str = "") -> None:
        self.what = what
        self.expected = expected
        self.got = got
        self.remedy = remedy
        parts = [what]
        if expected:
            parts.append(f"expected {expected}")
        if got:
            parts.append(f"got {got}")
        if remedy:
            parts.append(f"remedy: {remedy}")
        super().__init__("; ".join(parts))


class UsageError(OsteometError):
    """The command or call asks for something that cannot be meant."""

    exit_code = 2


class InputError(OsteometError):
    """An input cannot be used; nothing has been written."""

    exit_code = 3


class FormatError(InputError):
    """A file is not what its name says, is truncated, or holds values that no image can have."""


class GeometryError(InputError):
    """Two things that must share a place in the world do not, or a grid cannot exist."""


class SeriesError(InputError):
    """A DICOM series is incomplete or contradicts itself."""


class DatasetError(InputError):
    """A data set misses a case, a label or a column, or mixes patients across its parts."""


class OutputError(OsteometError):
    """The system refuses to write, for want of space or permission; nothing half written is left."""


class ModelError(OsteometError):
    """A model package is missing, damaged, tampered with, or does not fit the study."""

    exit_code = 4
