"""Anatomy folders: meshes, maps of single bones, whole maps."""

import gzip
import json
import struct
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.errors import FormatError, GeometryError, InputError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.image.voxelise import voxelise
from osteomet.io.anatomy_folder import list_anatomies, read_anatomy
from osteomet.io.formats import write_labels
from osteomet.io.meshes import read_mesh

CORNERS = np.array([[x, y, z] for x in (0, 1) for y in (0, 1) for z in (0, 1)], dtype=float)
QUADS = [(0, 1, 3, 2), (4, 6, 7, 5), (0, 4, 5, 1), (2, 3, 7, 6), (0, 2, 6, 4), (1, 5, 7, 3)]


def box(low: tuple[float, float, float], size: tuple[float, float, float]) -> NDArray[np.float64]:
    return np.asarray(np.array(low) + CORNERS * size)


def write_obj(path: Path, corners: NDArray[np.float64], quads: Sequence[tuple[int, ...]] = QUADS) -> None:
    lines = [f"v {x} {y} {z}" for x, y, z in corners]
    lines += ["f " + " ".join(f"{i + 1}//1" for i in quad) for quad in quads]
    text = "\n".join(lines).encode()
    path.write_bytes(gzip.compress(text) if path.suffix == ".gz" else text)


def triangles(corners: NDArray[np.float64]) -> list[NDArray[np.float64]]:
    return [corners[[a, b, c]] for q in QUADS for a, b, c in ((q[0], q[1], q[2]), (q[0], q[2], q[3]))]


def write_stl(path: Path, corners: NDArray[np.float64], *, text: bool) -> None:
    if text:
        facets = "".join(
            "facet normal 0 0 0\nouter loop\n"
            + "".join(f"vertex {x} {y} {z}\n" for x, y, z in t)
            + "endloop\nendfacet\n"
            for t in triangles(corners)
        )
        path.write_text(f"solid box\n{facets}endsolid box\n", encoding="ascii")
        return
    body = b"".join(struct.pack("<12fH", 0, 0, 0, *t.ravel(), 0) for t in triangles(corners))
    path.write_bytes(b"solid but binary".ljust(80) + struct.pack("<I", 12) + body)


def write_ply(path: Path, corners: NDArray[np.float64], *, text: bool) -> None:
    kind = "ascii" if text else "binary_little_endian"
    header = f"ply\nformat {kind} 1.0\nelement vertex 8\nproperty float x\nproperty float y\nproperty float z\n"
    header += "element face 6\nproperty list uchar int vertex_indices\nend_header\n"
    if text:
        rows = [" ".join(map(str, row)) for row in corners] + ["4 " + " ".join(map(str, q)) for q in QUADS]
        path.write_text(header + "\n".join(rows), encoding="ascii")
        return
    body = corners.astype("<f4").tobytes() + b"".join(struct.pack("<B4i", 4, *q) for q in QUADS)
    path.write_bytes(header.encode() + body)


@pytest.mark.parametrize("kind", ["text.stl", "binary.stl", "text.ply", "binary.ply", "box.obj", "box.obj.gz"])
def test_every_mesh_format_gives_the_same_box(kind: str, tmp_path: Path) -> None:
    corners, path = box((3, 4, 5), (20, 30, 40)), tmp_path / kind
    if ".obj" in kind:
        write_obj(path, corners)
    else:
        (write_stl if kind.endswith("stl") else write_ply)(path, corners, text=kind.startswith("text"))
    mesh = read_mesh(path)
    assert (len(mesh.vertices), len(mesh.triangles)) == (8, 12)
    # Voxel centres lie at 0.5, 1.5, … mm: exactly 20 × 30 × 40 of them inside.
    grid = Grid.from_spacing((40, 50, 60), (1.0, 1.0, 1.0), origin_mm=(0.5, 0.5, 0.5))
    inside = voxelise(mesh.vertices, mesh.triangles, grid)
    assert np.count_nonzero(inside) == 24000
    assert inside[3:23, 4:34, 5:45].all()


def test_rays_through_edges_and_corners_count_once() -> None:
    corners = box((2, 2, 2), (4, 4, 4))
    index = np.array([[a, b, c] for q in QUADS for a, b, c in ((q[0], q[1], q[2]), (q[0], q[2], q[3]))])
    grid = Grid.from_spacing((9, 9, 9), (1.0, 1.0, 1.0))
    # Half-open in each axis: the centres at 2, 3, 4 and 5 are inside, those at 6 are not.
    inside = voxelise(corners, index, grid)
    assert np.count_nonzero(inside) == 64
    assert inside[2:6, 2:6, 2:6].all()


def sphere(radius: float, n: int = 40) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
    """Rings of latitude with a pole at each end."""
    theta, phi = np.linspace(0, np.pi, n + 1)[1:-1], np.arange(2 * n) * np.pi / n
    ring = np.stack(np.broadcast_arrays(
        np.sin(theta)[:, None] * np.cos(phi), np.sin(theta)[:, None] * np.sin(phi), np.cos(theta)[:, None] + 0 * phi
    ), axis=-1).reshape(-1, 3)  # fmt: skip
    vertices = np.vstack([ring, [[0, 0, 1], [0, 0, -1]]]) * radius

    def at(i: int, j: int) -> int:
        return i * 2 * n + j % (2 * n)

    faces = [(len(ring), at(0, j), at(0, j + 1)) for j in range(2 * n)]
    faces += [(len(ring) + 1, at(n - 2, j + 1), at(n - 2, j)) for j in range(2 * n)]
    for i in range(n - 2):
        for j in range(2 * n):
            faces += [(at(i, j), at(i + 1, j), at(i + 1, j + 1)), (at(i, j), at(i + 1, j + 1), at(i, j + 1))]
    return vertices, np.array(faces)


def test_a_sphere_has_its_volume_on_an_oblique_grid() -> None:
    vertices, index = sphere(15.0)
    turn = np.array([[0.8, -0.6, 0.0], [0.6, 0.8, 0.0], [0.0, 0.0, 1.0]])
    start = -turn @ (np.array([0.7, 0.9, 1.1]) * [30, 25, 20])
    grid = Grid.from_spacing((60, 50, 40), (0.7, 0.9, 1.1), origin_mm=start.tolist(), direction=turn)
    volume = np.count_nonzero(voxelise(vertices, index, grid)) * grid.voxel_volume_mm3
    assert volume == pytest.approx(4 / 3 * np.pi * 15**3, rel=0.02)


def test_an_open_mesh_is_refused(tmp_path: Path) -> None:
    write_obj(tmp_path / "L1.obj", box((0, 0, 0), (40, 40, 30)), QUADS[:-1])
    with pytest.raises(FormatError, match="is not closed; got 4 edges that do not join two triangles"):
        read_mesh(tmp_path / "L1.obj")


def test_a_truncated_mesh_is_refused(tmp_path: Path) -> None:
    write_ply(tmp_path / "L1.ply", box((0, 0, 0), (40, 40, 30)), text=False)
    (tmp_path / "L1.ply").write_bytes((tmp_path / "L1.ply").read_bytes()[:-8])
    with pytest.raises(FormatError, match="truncated or corrupt"):
        read_mesh(tmp_path / "L1.ply")


def write_lumbar_meshes(folder: Path, *, scale: float) -> None:
    """L1 above L2, x to anterior, y to the left, z up: bodies of 30 mm with an arch of 20 mm behind."""
    for name, floor in (("L1", 40.0), ("L2", 0.0)):
        write_obj(folder / f"{name}.obj", box((-20, -20, floor), (50, 40, 30)) * scale)
        write_obj(folder / f"{name}_body.obj", box((0, -20, floor), (30, 40, 30)) * scale)


@pytest.mark.parametrize("scale", [0.001, 1.0])
def test_meshes_in_metres_or_millimetres_stand_upright(scale: float, tmp_path: Path) -> None:
    write_lumbar_meshes(tmp_path, scale=scale)
    (source,) = list_anatomies(tmp_path)
    maps = read_anatomy(source)
    bones, parts = maps.bones, maps.parts
    assert parts is not None
    for name in ("L1", "L2"):
        ml = np.count_nonzero(bones.mask(name)) * bones.grid.voxel_volume_ml
        assert ml == pytest.approx(60.0, rel=0.03)
        body = np.count_nonzero(bones.mask(name) & parts.mask("body")) * bones.grid.voxel_volume_ml
        assert body == pytest.approx(36.0, rel=0.03)
    xyz = {part: bones.grid.to_xyz_mm(np.argwhere(parts.mask(part))).mean(axis=0) for part in ("body", "posterior")}
    assert xyz["posterior"][1] - xyz["body"][1] == pytest.approx(25.0, abs=1.0)
    high, low = (bones.grid.to_xyz_mm(np.argwhere(bones.mask(n))).mean(axis=0) for n in ("L1", "L2"))
    np.testing.assert_allclose(high - low, [0, 0, 40], atol=1.0)


def test_the_unit_of_meshes_is_asked_for_where_it_cannot_be_told(tmp_path: Path) -> None:
    write_lumbar_meshes(tmp_path, scale=0.1)
    (source,) = list_anatomies(tmp_path)
    with pytest.raises(
        FormatError, match=r"unit of the meshes cannot be told.*got 7; remedy: state it in anatomy.json"
    ):
        read_anatomy(source)
    (tmp_path / "anatomy.json").write_text(json.dumps({"unit": "cm", "axes": "ALS"}), encoding="utf-8")
    bones = read_anatomy(source).bones
    assert np.count_nonzero(bones.mask("L1")) * bones.grid.voxel_volume_ml == pytest.approx(60.0, rel=0.03)
    (tmp_path / "anatomy.json").write_text(json.dumps({"unit": "cm", "axes": "AAS"}), encoding="utf-8")
    with pytest.raises(FormatError, match="names no axes; expected three letters such as LPS; got AAS"):
        read_anatomy(source)


def write_mask(path: Path, start: int, *, spacing: float = 1.0) -> None:
    grid = Grid.from_spacing((20, 20, 40), (spacing,) * 3)
    array = np.zeros(grid.shape, dtype=np.uint8)
    array[5:15, 5:15, start : start + 10] = 1
    write_labels(LabelMap(array, grid, {"bone": 1}), path)


def test_maps_of_single_bones(tmp_path: Path) -> None:
    (tmp_path / "s01" / "segmentations").mkdir(parents=True)
    folder = tmp_path / "s01" / "segmentations"
    write_mask(folder / "vertebrae_L4.nii.gz", 25)
    write_mask(folder / "vertebrae_L5.nii.gz", 10)
    write_mask(folder / "liver.nii.gz", 0)
    (source,) = list_anatomies(tmp_path / "s01")
    bones = read_anatomy(source).bones
    assert source.name == "s01"
    assert {name: np.count_nonzero(bones.mask(name)) for name in bones.present()} == {"L4": 1000, "L5": 1000}
    write_mask(folder / "sacrum.nii.gz", 0, spacing=2.0)
    (source,) = list_anatomies(tmp_path / "s01")
    with pytest.raises(GeometryError, match="differ in geometry"):
        read_anatomy(source)


@pytest.mark.parametrize("exists", [True, False])
def test_a_folder_without_bones_is_refused(exists: bool, tmp_path: Path) -> None:
    folder = tmp_path / "anatomy"
    if exists:
        folder.mkdir()
        (folder / "notes.txt").write_text("none", encoding="utf-8")
    with pytest.raises(
        InputError, match=r"holds no bones; expected label maps.*got notes.txt" if exists else "no such"
    ):
        list_anatomies(folder)


DATA = Path(__file__).parents[2].parent / "shared" / "data" / "anatomy"


@pytest.mark.skipif(not DATA.is_dir(), reason=f"no real anatomy at {DATA}")
def test_real_anatomies_are_found() -> None:
    sources = list_anatomies(DATA)
    assert [len(s.files) for s in sources] == [1, 1, 12]
    assert [s.parts is not None for s in sources] == [True, False, False]
    bones = read_anatomy(sources[2]).bones
    heights = [bones.grid.to_xyz_mm(np.argwhere(bones.mask(n))).mean(axis=0)[2] for n in ("L1", "L3", "L5", "sacrum")]
    assert heights == sorted(heights, reverse=True)
    left, right = (np.argwhere(bones.mask(f"hip_{side}")).mean(axis=0)[0] for side in ("left", "right"))
    assert left > right
