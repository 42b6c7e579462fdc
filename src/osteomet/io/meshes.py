"""Read closed surfaces of triangles: STL (text and binary), OBJ and PLY (text and binary), also gzipped."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from types import MappingProxyType
from typing import Any

import numpy as np
from numpy.typing import NDArray

from osteomet.core.errors import FormatError, InputError

_MERGE = 1e-6
_STL_HEADER, _STL_TRIANGLE = 84, 50
_PLY_TYPES: Mapping[str, str] = MappingProxyType(
    {
        **dict.fromkeys(("char", "int8"), "i1"),
        **dict.fromkeys(("uchar", "uint8"), "u1"),
        **dict.fromkeys(("short", "int16"), "i2"),
        **dict.fromkeys(("ushort", "uint16"), "u2"),
        **dict.fromkeys(("int", "int32"), "i4"),
        **dict.fromkeys(("uint", "uint32"), "u4"),
        **dict.fromkeys(("float", "float32"), "f4"),
        **dict.fromkeys(("double", "float64"), "f8"),
    }
)


@dataclass(frozen=True, slots=True, eq=False)
class Mesh:
    """A closed surface: ``vertices`` of shape (n, 3) in the unit of the file, ``triangles`` of shape (m, 3)."""

    vertices: NDArray[np.float64]
    triangles: NDArray[np.int64]


def mesh_stem(path: Path) -> str | None:
    """File name without the suffix of a mesh, None where the name has no such suffix.

    Examples
    --------
    >>> mesh_stem(Path("bones/L1_body.OBJ.gz")), mesh_stem(Path("L1.nii.gz"))
    ('L1_body', None)
    """
    name = path.name[:-3] if path.name.lower().endswith(".gz") else path.name
    return name[:-4] if name.lower()[-4:] in _READERS else None


def read_mesh(path: Path) -> Mesh:
    """Read a mesh, merge vertices that coincide, and check that it is closed.

    Vertices within a millionth of the extent of the mesh are one: files repeat them for each triangle or normal.
    Polygons become fans of triangles.

    Raises
    ------
    InputError
        If the file cannot be opened.
    FormatError
        If it is damaged, has no triangles, or has holes: then nobody can say what lies inside.
    """
    suffix = (path.name[:-3] if path.name.lower().endswith(".gz") else path.name).lower()[-4:]
    if suffix not in _READERS:
        raise FormatError(
            f"{path}: the suffix names no known mesh format",
            expected=" ".join(_READERS),
            got=path.suffix or "no suffix",
            remedy="convert the mesh, or pass a label map",
        )
    try:
        data = path.read_bytes()
        data = gzip.decompress(data) if path.name.lower().endswith(".gz") else data
    except (OSError, EOFError) as error:
        raise InputError(
            f"{path}: the file cannot be opened",
            expected="a mesh that can be read",
            got=str(error),
            remedy="check the path and the permissions",
        ) from error
    try:
        vertices, triangles = _READERS[suffix](data)
    except (ValueError, IndexError, KeyError, UnicodeDecodeError) as error:
        raise FormatError(
            f"{path}: the mesh is truncated or corrupt",
            expected=f"a whole {suffix} file",
            got=str(error),
            remedy="export the mesh again",
        ) from error
    if not len(triangles) or not np.isfinite(vertices).all():
        n_lost = np.count_nonzero(~np.isfinite(vertices).all(axis=-1))
        raise FormatError(
            f"{path}: the mesh has no triangles, or a vertex that is not finite",
            expected="triangles between finite points",
            got=f"{len(triangles)} triangles, {n_lost} points that are not finite",
            remedy="export the mesh again",
        )
    mesh = _merged(vertices, triangles)
    n_open = _open_edges(mesh.triangles)
    if n_open:
        raise FormatError(
            f"{path}: the mesh is not closed",
            got=f"{n_open} edges that do not join two triangles",
            remedy="close its holes in a mesh editor, or pass a label map",
        )
    return mesh


def _merged(vertices: NDArray[np.float64], triangles: NDArray[np.int64]) -> Mesh:
    """Merge vertices that coincide, drop triangles that collapse and vertices that nothing uses."""
    used = np.unique(triangles)
    extent = float(np.ptp(vertices[used], axis=0).max()) or 1.0
    cells = np.rint(vertices / (extent * _MERGE)).astype(np.int64)
    _, first, index = np.unique(cells[used], axis=0, return_index=True, return_inverse=True)
    lookup = np.zeros(len(vertices), dtype=np.int64)
    lookup[used] = index.ravel()
    merged = lookup[triangles]
    a, b, c = merged.T
    return Mesh(vertices[used][first], merged[(a != b) & (b != c) & (c != a)])


def _open_edges(triangles: NDArray[np.int64]) -> int:
    """Number of edges that an odd number of triangles share."""
    edges = np.sort(np.concatenate([triangles[:, [0, 1]], triangles[:, [1, 2]], triangles[:, [2, 0]]]), axis=1)
    _, counts = np.unique(edges, axis=0, return_counts=True)
    return int(np.count_nonzero(counts % 2))


def _read_stl(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """STL: binary where its length is what its triangle count says, else text."""
    n = int.from_bytes(data[_STL_HEADER - 4 : _STL_HEADER], "little")
    if len(data) == _STL_HEADER + n * _STL_TRIANGLE:
        record = np.dtype([("normal", "<f4", 3), ("corners", "<f4", (3, 3)), ("attribute", "<u2")])
        corners = np.frombuffer(data, record, offset=_STL_HEADER)["corners"].reshape(-1, 3)
    else:
        words = [line.split() for line in data.decode("ascii").splitlines()]
        corners = np.array([w[1:4] for w in words if w and w[0].lower() == "vertex"], dtype=np.float64)
    if len(corners) % 3 or not len(corners):
        raise ValueError(f"{len(corners)} corners are no whole number of triangles")
    return corners.astype(np.float64), np.arange(len(corners)).reshape(-1, 3)


def _read_obj(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Wavefront OBJ: vertices and faces; indices count from 1, negative ones from the last vertex so far."""
    vertices: list[list[float]] = []
    triangles: list[tuple[int, int, int]] = []
    for line in data.decode("utf-8").splitlines():
        words = line.split()
        if words[:1] == ["v"]:
            vertices.append([float(w) for w in words[1:4]])
        elif words[:1] == ["f"]:
            index = [int(w.split("/")[0]) for w in words[1:]]
            corners = [i - 1 if i > 0 else len(vertices) + i for i in index]
            triangles += _fan(corners)
    return _checked(np.array(vertices, dtype=np.float64), np.array(triangles, dtype=np.int64))


def _read_ply(data: bytes) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Polygon File Format: elements vertex (x, y, z) and face (a list of vertex indices)."""
    header, _, body = data.partition(b"end_header")
    lines = [line.split() for line in header.decode("ascii").splitlines()]
    body = body[body.index(b"\n") + 1 :]
    kind = next(words[1] for words in lines if words[:1] == ["format"])
    elements: list[tuple[str, int, list[list[str]]]] = []
    for words in lines:
        if words[:1] == ["element"]:
            elements.append((words[1], int(words[2]), []))
        elif words[:1] == ["property"]:
            elements[-1][2].append(words[1:])
    rows = _text_rows(body, elements) if kind == "ascii" else _binary_rows(body, elements, kind)
    names = [p[-1] for name, _, properties in elements if name == "vertex" for p in properties]
    at = [names.index(axis) for axis in "xyz"]
    vertices = np.array([[float(row[i]) for i in at] for row in rows["vertex"]])
    triangles = [triangle for row in rows["face"] for triangle in _fan([int(i) for i in row[0]])]
    return _checked(vertices, np.array(triangles, dtype=np.int64))


def _text_rows(body: bytes, elements: list[tuple[str, int, list[list[str]]]]) -> dict[str, list[Any]]:
    """Rows of each element of a PLY in text."""
    words = iter(body.decode("ascii").split())
    rows: dict[str, list[Any]] = {}
    for name, n, properties in elements:
        rows[name] = [
            [[next(words) for _ in range(int(next(words)))] if p[0] == "list" else next(words) for p in properties]
            for _ in range(n)
        ]
    return rows


def _binary_rows(body: bytes, elements: list[tuple[str, int, list[list[str]]]], kind: str) -> dict[str, list[Any]]:
    """Rows of each element of a binary PLY."""
    order = {"binary_little_endian": "<", "binary_big_endian": ">"}[kind]
    rows: dict[str, list[Any]] = {}
    offset = 0
    for name, n, properties in elements:
        rows[name] = []
        for _ in range(n):
            row: list[Any] = []
            for p in properties:
                if p[0] == "list":
                    count, offset = _take(body, offset, order + _PLY_TYPES[p[1]], 1)
                    value, offset = _take(body, offset, order + _PLY_TYPES[p[2]], int(count[0]))
                    row.append(value)
                else:
                    value, offset = _take(body, offset, order + _PLY_TYPES[p[0]], 1)
                    row.append(value[0])
            rows[name].append(row)
    return rows


def _take(body: bytes, offset: int, dtype: str, n: int) -> tuple[NDArray[Any], int]:
    """``n`` numbers from an offset, and the offset behind them."""
    values = np.frombuffer(body, dtype, count=n, offset=offset)
    return values, offset + values.nbytes


def _fan(corners: list[int]) -> list[tuple[int, int, int]]:
    """Triangles of a polygon."""
    if len(corners) < 3:
        raise ValueError("a face has fewer than three corners")
    return [(corners[0], b, c) for b, c in pairwise(corners[1:])]


def _checked(
    vertices: NDArray[np.float64], triangles: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Refuse triangles whose corners do not exist."""
    if len(triangles) and (triangles.min() < 0 or triangles.max() >= len(vertices)):
        raise ValueError("a triangle names a vertex that the file does not hold")
    return vertices, triangles


_READERS: Mapping[str, Callable[[bytes], tuple[NDArray[np.float64], NDArray[np.int64]]]] = MappingProxyType(
    {".stl": _read_stl, ".obj": _read_obj, ".ply": _read_ply}
)
