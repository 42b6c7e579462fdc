"""Which case an error is about."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from osteomet.core.errors import DatasetError, GeometryError, OsteometError


@contextmanager
def naming_case(case: str) -> Iterator[None]:
    """Put the case in front of every error, and make one kind of those that are not about geometry."""
    try:
        yield
    except OsteometError as error:
        kind = GeometryError if isinstance(error, GeometryError) else DatasetError
        raise kind(
            f"case “{case}”: {error.what}", expected=error.expected, got=error.got, remedy=error.remedy
        ) from error
