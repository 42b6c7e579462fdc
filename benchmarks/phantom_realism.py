"""Phantoms beside real scans: pictures and figures, for `docs/explanation/phantom-beside-real-scans.md`.

Run: `.venv/bin/python benchmarks/phantom_realism.py OUT [--data DIR] [--phantoms-only]`. Looks for real scans in
`../shared/data` beside the repository, or in DIR; writes a PNG for each scan with a phantom of the same spacing beside
it, and prints a table. What it writes of real scans shows patients: keep it out of the repository.
"""

from __future__ import annotations

import argparse
from dataclasses import dataclass, replace
from itertools import count
from pathlib import Path

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion, distance_transform_edt, gaussian_filter, label, map_coordinates, zoom

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES
from osteomet.core.volume import Modality, Volume
from osteomet.io.formats import read_volume
from osteomet.phantom.body import sample_body
from osteomet.phantom.ct.rendering import CtScanner, render_ct
from osteomet.phantom.ct.scanner import SCANNERS

BONE_WINDOW, SOFT_WINDOW = (-450.0, 1050.0), (-160.0, 240.0)


@dataclass(frozen=True, slots=True)
class Pair:
    """A real scan and the protocol and levels of the phantom beside it."""

    path: str
    scanner: CtScanner
    lowest: str
    labels: str | None = None


PAIRS = (
    Pair("lesion_free_ct/thoracic_spine.nii.gz", CtScanner(0.5, 24.0, 1.0, 0.4), "L1"),
    Pair("ct_abdomen_pelvis/ct.nii.gz", CtScanner(0.9, 9.0, 3.0), "S1",
         "ct_abdomen_pelvis/structures_totalsegmentator_ids.nii.gz"),
    Pair("ct_thorax/ct.nii.gz", CtScanner(0.7, 14.0, 1.5), "L1"),
    Pair("ct_lesion_patches/1.nii.gz", SCANNERS["trauma"], "L4"),
    Pair("ct_lesion_patches/4.nii.gz", SCANNERS["trauma"], "S1"),
    Pair("lesion_free_ct/trunk.nii.gz", CtScanner(0.85, 10.0, 2.5), "S1"),
    Pair("lesion_free_ct/thoracolumbar.nii.gz", CtScanner(0.75, 11.0, 5.0), "L3"),
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Figures:
    """What the table compares; NaN where a scan does not show it.

    ``core_hu`` and ``core_spread_hu`` are mean and standard deviation inside vertebral bodies, ``core_high_hu`` the
    ninety-fifth percentile; ``cortex_hu`` and ``cortex_mm`` peak and width at half height of the shell;
    ``noise_hu`` the standard deviation and ``noise_frequency_per_mm`` the mean frequency of the power of what varies
    in quiet soft tissue;
    ``skin_mm`` the 10–90 % rise from air to skin.
    """

    core_hu: float
    core_spread_hu: float
    core_high_hu: float
    cortex_hu: float
    cortex_mm: float
    noise_hu: float
    noise_frequency_per_mm: float
    skin_mm: float


def find_cores(hu: NDArray[np.float32], spacing_mm: NDArray[np.float64]) -> NDArray[np.bool_]:
    """Largest smooth dense bodies near the middle of the patient: vertebral bodies without a model or labels."""
    smooth = gaussian_filter(hu, 2.0 / spacing_mm)
    body = smooth > 90
    body[gaussian_filter(hu, 4.0 / spacing_mm) < 70] = False
    middle = hu.shape[0] * np.array([0.35, 0.65])
    body[: int(middle[0])] = False
    body[int(middle[1]) :] = False
    deep = distance_transform_edt(body, sampling=spacing_mm) > 7.0
    parts, n = label(deep)
    if n == 0:
        return deep
    sizes = np.bincount(parts.ravel())[1:]
    keep = 1 + np.flatnonzero(sizes > 0.15 * sizes.max())
    return np.asarray(np.isin(parts, keep))


def measure(volume: Volume, cores: NDArray[np.bool_]) -> Figures:
    """Compute the figures of one scan; ``cores`` are voxels deep in vertebral bodies."""
    hu, spacing = volume.array.astype(np.float32), np.array(volume.grid.spacing_mm)
    inside = hu[cores]
    core = [float(f(inside)) if inside.size > 200 else np.nan for f in (np.mean, np.std)]
    high = float(np.percentile(inside, 95)) if inside.size > 200 else np.nan
    return Figures(*core, high, *cortex(hu, spacing, cores), *noise_of(hu, spacing), skin_rise_mm(hu, spacing))


def cortex(hu: NDArray[np.float32], spacing: NDArray[np.float64], cores: NDArray[np.bool_]) -> tuple[float, float]:
    """Median peak (HU) and width at half height above both sides (mm) along rays forward out of vertebral bodies."""
    rng, places = np.random.default_rng(0), np.argwhere(cores)
    peaks, widths = [], []
    for start in places[rng.integers(len(places), size=min(400, len(places)))] if len(places) > 200 else []:
        angle = rng.uniform(-0.9, 0.9) + np.pi / 2
        along = np.arange(0, 30, 0.25)
        points = start[:, None] - np.array([np.cos(angle), np.sin(angle), 0.0])[:, None] * along / spacing[:, None]
        line = map_coordinates(hu, points, order=1, cval=-1000.0)
        outside = np.flatnonzero(line < 80)
        if outside.size == 0 or outside[0] < 16:
            continue
        top = int(np.argmax(line[: outside[0]]))
        if outside[0] - top > 16:
            continue
        floor = float(np.median(line[: max(8, outside[0] - 24)]))
        half = (line[top] + floor) / 2
        above = line[max(0, top - 16) : top + 17] > half
        peaks.append(line[top])
        widths.append(0.25 * float(above.sum()))
    return (float(np.median(peaks)), float(np.median(widths))) if len(peaks) > 20 else (np.nan, np.nan)


def noise_of(hu: NDArray[np.float32], spacing: NDArray[np.float64]) -> tuple[float, float]:
    """Standard deviation and mean frequency of what a smooth surface leaves in homogeneous patches of soft tissue."""
    side = max(8, round(24.0 / spacing[0]))
    step = max(4, side // 2)
    found: list[tuple[float, NDArray[np.float64]]] = []
    for k in range(0, hu.shape[2], max(1, hu.shape[2] // 40)):
        for i in range(0, hu.shape[0] - side, step):
            for j in range(0, hu.shape[1] - side, step):
                patch = hu[i : i + side, j : j + side, k].astype(float)
                if patch.min() > -60 and patch.max() < 260 and 20 < patch.mean() < 180:
                    x, y = np.meshgrid(*[np.linspace(-1, 1, side)] * 2, indexing="ij")
                    base = np.column_stack([np.ones(side**2), *(t.ravel() for t in (x, y, x * y, x * x, y * y))])
                    rest = patch.ravel() - base @ np.linalg.lstsq(base, patch.ravel(), rcond=None)[0]
                    found.append((float(rest.std()), rest.reshape(side, side)))
    if len(found) < 5:
        return np.nan, np.nan
    quiet = sorted(found, key=lambda pair: pair[0])[: max(5, len(found) // 3)]
    power = np.mean([np.abs(np.fft.fft2(rest)) ** 2 for _, rest in quiet], axis=0)
    frequency = np.hypot(*np.meshgrid(*[np.fft.fftfreq(side, spacing[0])] * 2))
    high = frequency > 2.5 / (side * spacing[0])
    return float(np.median([s for s, _ in quiet])), float((frequency * power)[high].sum() / power[high].sum())


def skin_rise_mm(hu: NDArray[np.float32], spacing: NDArray[np.float64]) -> float:
    """Median 10–90 % rise from air into the body along the first axis, from the left and the right."""
    rises = []
    for k in range(0, hu.shape[2], max(1, hu.shape[2] // 30)):
        for j in range(hu.shape[1] // 3, 2 * hu.shape[1] // 3, 3):
            for line in (hu[:, j, k], hu[::-1, j, k]):
                edge = np.flatnonzero(line > -500)
                if edge.size == 0 or edge[0] < 5 or edge[0] > line.size - 8:
                    continue
                piece = line[edge[0] - 5 : edge[0] + 6]
                low, high = piece[:3].mean(), piece[-4:].mean()
                if low > -900 or not -150 < high < 100:
                    continue
                fine = np.interp(np.arange(0, 10, 0.05), np.arange(11), (piece - low) / (high - low))
                if (fine > 0.9).any():
                    last = np.argmax(fine > 0.9)
                    rises.append(0.05 * spacing[0] * (last - np.flatnonzero(fine[:last] < 0.1)[-1]))
    return float(np.median(rises)) if len(rises) > 20 else float("nan")


def oriented(volume: Volume) -> Volume:
    """The same scan with axes to the left, posterior and superior."""
    order = [int(np.argmax(np.abs(volume.grid.direction[row]))) for row in range(3)]
    array = np.transpose(volume.array, order)
    affine = volume.grid.affine[:, [*order, 3]].copy()
    for axis in range(3):
        if affine[axis, axis] < 0:
            array = np.flip(array, axis)
            affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
            affine[:, axis] *= -1
    grid = Grid(array.shape, affine, volume.grid.frame_of_reference_uid)
    return Volume(np.ascontiguousarray(array), grid, volume.modality, volume.unit)


def phantom_like(volume: Volume, pair: Pair, seed: int, core_hu: float) -> tuple[Volume, NDArray[np.bool_]]:
    """A phantom without metastases or metal, of the same density, shape and spacing, and the cores of its bodies.

    Patients are drawn until one has no homogeneous marrow, as none of the scans has.
    """
    drawn = (sample_body(np.random.default_rng([seed, n]), n_metastases=0) for n in count())
    body = replace(next(b for b in drawn if b.rim == 1.0), hardware=None)
    if np.isfinite(core_hu):
        body = replace(body, density=core_hu)
    shape, spacing = volume.grid.shape, np.array(volume.grid.spacing_mm)
    extent = np.array(shape) * spacing
    lowest = body.column.sacrum_centre_mm if pair.lowest == "S1" else body.column.nearest(pair.lowest).centre_mm
    bottom = lowest[2] - (min(0.45 * extent[2], 230.0) if pair.lowest == "S1" else 20.0)
    covered = [v.centre_mm[1] for v in body.column.vertebrae if bottom < v.centre_mm[2] < bottom + extent[2]]
    behind = 0.42 if extent[1] < 160 else 0.72
    origin = (-(extent[0] - spacing[0]) / 2, float(np.mean(covered or [lowest[1]])) - behind * extent[1], bottom)
    grid = Grid.from_spacing(shape, spacing.tolist(), origin_mm=origin)
    made = render_ct(body, grid, pair.scanner, np.random.default_rng(seed))
    ids = [s.id for s in STRUCTURES.values() if s.name[0] in "CTL" and s.name[1:].isdigit()]
    return made.volume, np.isin(made.truth.bones, ids) & (made.truth.parts == 1) & (made.depth_mm > 4)


def cores_of(volume: Volume, pair: Pair, data: Path) -> NDArray[np.bool_]:
    """Voxels deep in vertebral bodies: by labels where the scan has them, else by their look."""
    spacing = np.array(volume.grid.spacing_mm)
    cores = find_cores(volume.array.astype(np.float32), spacing)
    if pair.labels is not None:
        labels = oriented(read_volume(data / pair.labels, modality=Modality.CT)).array
        cores &= binary_erosion((labels >= 26) & (labels <= 50))
    return cores


def panel(volume: Volume, bounds: tuple[float, float]) -> NDArray[np.uint8]:
    """Mid-sagittal, coronal and axial plane side by side at 1 mm."""
    hu, spacing = volume.array.astype(np.float32), volume.grid.spacing_mm
    dense = (hu > 300).sum(axis=(1, 2)).astype(float)
    low, high = int(0.4 * len(dense)), max(int(0.6 * len(dense)), int(0.4 * len(dense)) + 1)
    i = low + int(np.argmax(gaussian_filter(dense, 2.0)[low:high]))
    j = int(np.argmax(gaussian_filter((hu[low:high] > 300).sum(axis=(0, 2)).astype(float), 2.0)))
    k = hu.shape[2] // 2
    planes = (
        (hu[i].T[::-1], (spacing[2], spacing[1])),
        (hu[:, j].T[::-1], (spacing[2], spacing[0])),
        (hu[:, :, k].T, (spacing[1], spacing[0])),
    )
    images = [zoom(plane, factors, order=1) for plane, factors in planes]
    height = max(image.shape[0] for image in images)
    row = np.hstack([np.pad(m, ((0, height - m.shape[0]), (0, 4)), constant_values=-1000) for m in images])
    return np.asarray(np.clip((row - bounds[0]) / (bounds[1] - bounds[0]) * 255, 0, 255), dtype=np.uint8)


def save(volumes: list[Volume], path: Path) -> None:
    """Each volume in both windows, one below the other."""
    rows = [panel(volume, bounds) for volume in volumes for bounds in (BONE_WINDOW, SOFT_WINDOW)]
    width = max(row.shape[1] for row in rows)
    Image.fromarray(np.vstack([np.pad(r, ((0, 4), (0, width - r.shape[1]))) for r in rows])).save(path, optimize=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--phantoms-only", action="store_true", help="pictures of the phantoms alone")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(describe_machine("scipy"))
    columns = list(Figures.__dataclass_fields__)
    print("| scan | | " + " | ".join(columns) + " |\n" + "|---" * (len(columns) + 2) + "|")
    for seed, pair in enumerate(PAIRS):
        path = arguments.data / pair.path
        if not path.exists():
            print(f"| {pair.path} | not found | " + "| " * len(columns))
            continue
        real = oriented(read_volume(path, modality=Modality.CT))
        figures = measure(real, cores_of(real, pair, arguments.data))
        made, made_cores = phantom_like(real, pair, seed, figures.core_hu)
        name = pair.path.replace("/", "_").removesuffix(".nii.gz")
        for who, row in (("real", figures), ("phantom", measure(made, made_cores))):
            print(f"| {name} | {who} | " + " | ".join(f"{getattr(row, c):.3g}" for c in columns) + " |", flush=True)
        save([made] if arguments.phantoms_only else [real, made], arguments.out / f"{name}.png")


if __name__ == "__main__":
    main()
