"""MR phantoms beside real scans: pictures and figures, for `docs/explanation/phantom-beside-real-scans.md`.

Run: `.venv/bin/python benchmarks/mr_realism.py OUT [--data DIR] [--phantoms-only]`. Looks for real scans in
`../shared/data` beside the repository, or in DIR; writes a PNG for each scan with a phantom in the same voxels beside
it, and prints a table. What it writes of real scans shows patients: keep it out of the repository.

Tissues of a real scan are measured in boxes that we placed by eye, those of a phantom where its truth says that a
tissue fills voxel and neighbours. Each figure is a ratio of signals, so that coil and scaling count little.
"""

from __future__ import annotations

import argparse
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import SimpleITK
from machine import describe_machine
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import binary_erosion, gaussian_filter, zoom

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.mr.acquisition import acquire
from osteomet.phantom.mr.geometry import Stack
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.saturation import sample_band
from osteomet.phantom.mr.scanner import Composition, MrScanner, sample_mr_scanner
from osteomet.phantom.mr.scene import Marrow, compose
from osteomet.phantom.mr.sequences import Sequence
from osteomet.phantom.mr.tissues import Tissue
from osteomet.phantom.skeleton.anatomy import Sex

Picture = NDArray[np.float32]
Places = Mapping[str, NDArray[np.bool_]]
Box = tuple[int, int, int, int, int, int]
"""First and last index along i, j and k."""

LUMBAR = "mr_lumbar_t2/t2_lumbar.nii.gz"
PELVIS = "mr_dicom_pelvis/ProstateX-0000/07-07-2011"
PELVIC_SERIES = {"T2": "4.*", "DWI": "6.*", "ADC": "7.*"}
LUMBAR_BOXES: Mapping[str, tuple[Box, ...]] = {
    "marrow": ((14, 22, 92, 104, 112, 122), (14, 22, 96, 108, 80, 90), (14, 22, 86, 98, 142, 150)),
    "disc": ((17, 21, 94, 104, 100, 102), (17, 21, 102, 110, 67, 69), (17, 21, 86, 96, 160, 162)),
    "fluid": ((20, 22, 86, 88, 87, 89), (20, 22, 80, 84, 102, 106), (20, 22, 73, 74, 168, 172)),
    "cord": ((20, 22, 67, 70, 160, 176),),
    "muscle": ((4, 6, 52, 57, 98, 112), (32, 34, 64, 67, 100, 110)),
    "fat": ((18, 22, 43, 46, 119, 121), (18, 22, 39, 42, 139, 141), (18, 22, 46, 47, 87, 89)),
    "air": ((4, 34, 230, 250, 120, 190),),
}
T2_BOXES: Mapping[str, tuple[Box, ...]] = {
    "marrow": ((5, 30, 180, 210, 8, 10), (350, 375, 180, 210, 13, 15)),
    "muscle": ((105, 120, 180, 230, 4, 4), (92, 104, 210, 250, 9, 9), (250, 290, 340, 360, 4, 4)),
    "fat": ((150, 190, 300, 315, 4, 4), (140, 200, 25, 40, 9, 9), (120, 160, 290, 320, 14, 14)),
    "urine": ((140, 200, 100, 140, 14, 14),),
    "gland": ((150, 165, 205, 225, 9, 9), (225, 240, 175, 205, 9, 9)),
    "air": ((0, 30, 0, 12, 4, 9), (350, 383, 0, 8, 4, 9)),
}
RATIOS = {
    "lumbar": (("disc", "marrow"), ("fluid", "marrow"), ("cord", "fluid"), ("muscle", "marrow"), ("fat", "marrow"),
               ("fat", "muscle")),
    "pelvis": (("fat", "muscle"), ("marrow", "muscle"), ("urine", "muscle"), ("gland", "muscle")),
}  # fmt: skip


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """A picture with its spacing (mm) and where each tissue lies in it. Axes run to the left, back and head."""

    picture: Picture
    spacing_mm: tuple[float, float, float]
    places: Places


def in_boxes(shape: tuple[int, ...], boxes: Mapping[str, tuple[Box, ...]]) -> Places:
    """Voxels of boxes by tissue."""
    places = {}
    for name, some in boxes.items():
        mask = np.zeros(shape, dtype=np.bool_)
        for i0, i1, j0, j1, k0, k1 in some:
            mask[i0 : i1 + 1, j0 : j1 + 1, k0 : k1 + 1] = True
        places[name] = mask
    return places


TISSUES: Mapping[str, tuple[Tissue, ...]] = {
    "marrow": (Tissue.MIXED_MARROW,),
    "disc": (Tissue.NUCLEUS_HYDRATED, Tissue.NUCLEUS_DEGENERATED),
    "fluid": (Tissue.CSF,),
    "cord": (Tissue.CORD,),
    "muscle": (Tissue.MUSCLE,),
    "fat": (Tissue.SUBCUTANEOUS_FAT,),
    "urine": (Tissue.URINE,),
    "gland": (Tissue.NUCLEUS_HYDRATED,),
    "air": (Tissue.AIR,),
}


def in_truth(composition: Composition, stack: Stack) -> Places:
    """Voxels by tissue whose neighbours hold it as well; muscle and fat with their streaks."""
    layers = [slice(None)] * 3
    layers[stack.slice_axis] = slice(stack.n_layers // 2, None, stack.n_layers)
    tissue = composition.index_a[tuple(layers)]
    thin = np.ones((3, 3, 1), dtype=np.bool_)
    return {name: binary_erosion(np.isin(tissue, some), thin) for name, some in TISSUES.items()}


_LEAST_VOXELS = 20


def means(scan: Scan) -> dict[str, float]:
    """Median signal of each tissue that the scan shows."""
    return {
        name: float(np.median(scan.picture[mask])) for name, mask in scan.places.items() if mask.sum() > _LEAST_VOXELS
    }


def grain(scan: Scan, name: str) -> float:
    """Standard deviation of a tissue against its surroundings of 6 mm, over its median; NaN where there is none."""
    mask = scan.places.get(name)
    if mask is None or mask.sum() < _LEAST_VOXELS:
        return float("nan")
    width = [6.0 / s / 2 for s in scan.spacing_mm[:2]] + [0.0]
    weight = gaussian_filter(mask.astype(np.float32), width)
    local = gaussian_filter(np.where(mask, scan.picture, 0).astype(np.float32), width) / np.maximum(weight, 1e-3)
    return float((scan.picture - local)[mask].std() / np.median(scan.picture[mask]))


def skin_rise_mm(scan: Scan, axis: int, *, from_end: bool) -> float:
    """Median 10–90 % rise from air into the fat below the skin along an axis, from its start or its end."""
    lines = np.moveaxis(scan.picture, axis, -1)[..., :: -1 if from_end else 1]
    spacing, rises, median = scan.spacing_mm[axis], [], means(scan)
    if not {"air", "fat"} <= set(median):
        return float("nan")
    air, fat = median["air"], median["fat"]
    middle = lines.shape[0] // 2
    for line in lines[middle - lines.shape[0] // 6 : middle + lines.shape[0] // 6].reshape(-1, lines.shape[-1]):
        above = np.flatnonzero(line > air + 0.5 * (fat - air))
        if not above.size or above[0] < 6 or above[0] + 8 > line.size:
            continue
        piece = line[above[0] - 6 : above[0] + 8].astype(np.float64)
        low, top = float(piece[:3].mean()), int(np.argmax(piece[6:12])) + 6
        fine = np.interp(np.arange(0, top, 0.02), np.arange(piece.size), (piece - low) / max(piece[top] - low, 1e-6))
        low_at, high_at = np.flatnonzero(fine < 0.1), np.flatnonzero(fine > 0.9)
        if low_at.size and high_at.size and high_at[0] > low_at[low_at < high_at[0]][-1]:
            rises.append(0.02 * spacing * (high_at[0] - low_at[low_at < high_at[0]][-1]))
    return float(np.median(rises)) if len(rises) > 20 else float("nan")


def figures(scan: Scan, kind: str, *, skin_axis: int, from_end: bool) -> dict[str, float]:
    """Everything that the table compares."""
    median = means(scan)
    found = {f"{a}/{b}": median[a] / median[b] if a in median and b in median else np.nan for a, b in RATIOS[kind]}
    found["air/marrow"] = median["air"] / median["marrow"] if "air" in median else np.nan
    found["grain of marrow"], found["grain of muscle"] = grain(scan, "marrow"), grain(scan, "muscle")
    found["skin 10–90 %, mm"] = skin_rise_mm(scan, skin_axis, from_end=from_end)
    return found


def read_lumbar(data: Path) -> Scan:
    """The sagittal T2; its axes already run as those of the boxes do."""
    image = SimpleITK.ReadImage(str(data / LUMBAR))
    picture = np.ascontiguousarray(SimpleITK.GetArrayFromImage(image).T.astype(np.float32))
    return Scan(picture, image.GetSpacing(), in_boxes(picture.shape, LUMBAR_BOXES))


def read_pelvis(data: Path, name: str) -> Scan:
    """One series of the pelvis; of the diffusion series the images of the highest b value."""
    folder = next((data / PELVIS).glob(PELVIC_SERIES[name]))
    reader = SimpleITK.ImageSeriesReader()
    files = reader.GetGDCMSeriesFileNames(str(folder))
    places = [SimpleITK.ReadImage(f) for f in files]
    heights = np.array([image.GetOrigin()[2] for image in places])
    stacked = [SimpleITK.GetArrayFromImage(image)[0].T for image in places]
    order = np.argsort(heights, kind="stable")
    repeats = len(files) // np.unique(np.round(heights, 1)).size
    picture = np.stack([stacked[n] for n in order[repeats - 1 :: repeats]], axis=-1).astype(np.float32)
    spacing = (*places[0].GetSpacing()[:2], 3.0)
    return Scan(picture, spacing, in_boxes(picture.shape, T2_BOXES) if name == "T2" else {})


def make_lumbar(seed: int) -> dict[str, Scan]:
    """Sagittal phantoms in voxels of 1 mm: T2 as in the scan, T1 and STIR in slices of 4 mm for the picture."""
    body = _patient(seed, Sex.FEMALE, age_years=38.0)
    middle = body.column.nearest("L2").centre_mm
    marrow, scanner = Marrow(0.42, 0.075), _scanner(seed, 1.5)
    band = sample_band(np.random.default_rng(seed), body.column, middle[2] - 135, middle[2] + 115)
    scanner = replace(scanner, band=band)
    scans = {}
    for name, slice_mm, n in (("T2", 1.0, 38), ("T1", 4.0, 9), ("STIR", 4.0, 9)):
        direction = np.array([[0, 0, 1], [1, 0, 0], [0, 1, 0]], dtype=np.float64)
        shape, spacing = (257, 201, n), (1.0, 1.0, slice_mm)
        half = direction @ (np.array(spacing) * (np.array(shape) - 1) / 2)
        origin = middle + [0.0, -22.0, -10.0] - half
        grid = Grid.from_spacing(shape, spacing, origin_mm=origin.tolist(), direction=direction)
        stack = Stack(grid, slice_mm, 1 if slice_mm == 1 else 4, slice_axis=2, phase_axis=1)
        sequence = preset(SequenceRole[name], 1.5)
        if name == "T2":
            sequence = replace(sequence, tr_ms=2000.0, te_ms=115.0, train_ms=250.0)
        scans[name] = _imaged(body, stack, marrow, scanner, sequence, seed, turn=(2, 0, 1))
    return scans


def make_pelvis(seed: int) -> dict[str, Scan]:
    """Axial phantoms of a man: T2 in the voxels of the scan, a T2 of the whole width, diffusion."""
    body = _patient(seed, Sex.MALE, age_years=62.0)
    scale, marrow, scanner = body.column.scale, Marrow(0.45, 0.08), _scanner(seed, 3.0)
    scans = {}
    for name, role, spacing, shape, front_mm in (
        ("T2", SequenceRole.T2, (0.5, 0.5, 3.0), (384, 384, 19), -118.0),
        ("wide T2", SequenceRole.T2, (1.1, 1.1, 6.0), (360, 240, 15), -120.0),
        ("DWI", SequenceRole.DWI, (2.0, 2.0, 3.0), (190, 128, 19), -120.0),
        ("ADC", SequenceRole.ADC, (2.0, 2.0, 3.0), (190, 128, 19), -120.0),
    ):
        origin = (-(shape[0] - 1) * spacing[0] / 2, front_mm, -20.0 * scale - (shape[2] - 1) * spacing[2] / 2)
        stack = Stack(Grid.from_spacing(shape, spacing, origin_mm=origin), spacing[2], 2, slice_axis=2, phase_axis=1)
        sequence = preset(role, 3.0)
        if role is SequenceRole.T2:
            sequence = replace(sequence, tr_ms=5660.0, te_ms=104.0)
        scans[name] = _imaged(body, stack, marrow, scanner, sequence, seed)
    return scans


def _patient(seed: int, sex: Sex, age_years: float) -> Body:
    """A patient without lesions or metal."""
    drawn = sample_body(np.random.default_rng(seed), n_metastases=0, sex=sex, age_years=age_years)
    return replace(drawn, hardware=None)


def _scanner(seed: int, field_strength_t: float) -> MrScanner:
    """A scanner whose intensity is corrected as in the scans, with a patient who lies still."""
    drawn = sample_mr_scanner(np.random.default_rng(seed), field_strength_t)
    return replace(drawn, motion_px=0.0, coil=replace(drawn.coil, anterior_share=0.85))


def _imaged(
    body: Body,
    stack: Stack,
    marrow: Marrow,
    scanner: MrScanner,
    sequence: Sequence,
    seed: int,
    turn: tuple[int, int, int] = (0, 1, 2),
) -> Scan:
    """One acquisition and its truth, with axes turned to the left, back and head."""
    composition = compose(body, stack.fine, marrow).composition
    sequence = replace(sequence, sampled=(0.85, 0.75))
    acquired = acquire(composition, sequence, scanner, np.random.default_rng(seed), stack)
    volume = acquired.images[acquired.main]
    places = {name: mask.transpose(turn) for name, mask in in_truth(composition, stack).items()}
    spacing = [volume.grid.spacing_mm[axis] for axis in turn]
    return Scan(volume.array.astype(np.float32).transpose(turn), (spacing[0], spacing[1], spacing[2]), places)


def grey(plane: Picture, factors: tuple[float, float], top: float) -> NDArray[np.uint8]:
    """A plane, enlarged, in 64 grey levels; what reaches ``top`` is white."""
    return np.asarray(np.clip(np.floor(zoom(plane, factors, order=1) / top * 64) * 4, 0, 255), dtype=np.uint8)


def side_by_side(panels: list[NDArray[np.uint8]]) -> NDArray[np.uint8]:
    """Panels in a row."""
    height = max(p.shape[0] for p in panels)
    return np.hstack([np.pad(p, ((0, height - p.shape[0]), (0, 4))) for p in panels])


def lumbar_row(scans: list[Scan], *, back_is_left: bool) -> NDArray[np.uint8]:
    """Sagittal plane with most fluid of each scan, with the back to the left."""
    panels = []
    for scan in scans:
        middle = int(np.argmax(scan.places["fluid"].sum(axis=(1, 2))))
        plane = scan.picture[middle].T[::-1, :: 1 if back_is_left else -1]
        factors = scan.spacing_mm[2] * 1.2, scan.spacing_mm[1] * 1.2
        panels.append(grey(plane, factors, float(np.percentile(scan.picture, 99.5))))
    return side_by_side(panels)


def pelvis_row(scan: Scan, shares: tuple[float, ...], factor: float) -> NDArray[np.uint8]:
    """Axial planes at some shares of the height."""
    top = float(np.percentile(scan.picture, 99.5))
    places = [int(share * (scan.picture.shape[2] - 1)) for share in shares]
    factors = (scan.spacing_mm[1] * factor, scan.spacing_mm[0] * factor)
    return side_by_side([grey(scan.picture[:, :, k].T, factors, top) for k in places])


def save(rows: list[NDArray[np.uint8]], path: Path) -> None:
    """Rows one below the other."""
    width = max(row.shape[1] for row in rows)
    stacked = np.vstack([np.pad(row, ((0, 4), (0, width - row.shape[1]))) for row in rows])
    Image.fromarray(stacked).save(path, optimize=True)


def table(title: str, real: dict[str, float] | None, phantom: dict[str, float]) -> str:
    """Lines of a table with one figure a line."""
    rows = [f"| {title} | real | phantom |", "|---|---|---|"]
    for name in phantom:
        values = (float("nan") if found is None else found[name] for found in (real, phantom))
        rows.append(f"| {name} | " + " | ".join("–" if np.isnan(v) else f"{v:.2f}" for v in values) + " |")
    return "\n".join(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("out", type=Path)
    parser.add_argument("--data", type=Path, default=Path(__file__).parents[2] / "shared" / "data")
    parser.add_argument("--phantoms-only", action="store_true", help="pictures of the phantoms alone")
    arguments = parser.parse_args()
    arguments.out.mkdir(parents=True, exist_ok=True)
    print(describe_machine("scipy", "SimpleITK"))
    lumbar, pelvis = make_lumbar(2), make_pelvis(7)
    save([lumbar_row([lumbar[n] for n in ("T2", "T1", "STIR")], back_is_left=False)], arguments.out / "mr-lumbar.png")
    factors = {"wide T2": 0.6, "T2": 0.9, "DWI": 0.55, "ADC": 0.55}
    phantom_rows = [pelvis_row(pelvis[name], (0.2, 0.5, 0.8), factor) for name, factor in factors.items()]
    save(phantom_rows, arguments.out / "mr-pelvis.png")
    found = {"lumbar": (arguments.data / LUMBAR).exists(), "pelvis": (arguments.data / PELVIS).exists()}
    real = read_lumbar(arguments.data) if found["lumbar"] else None
    print(table("lumbar T2", None if real is None else figures(real, "lumbar", skin_axis=1, from_end=False),
                figures(lumbar["T2"], "lumbar", skin_axis=1, from_end=True)))  # fmt: skip
    if real is not None and not arguments.phantoms_only:
        rows = [lumbar_row([real], back_is_left=True), lumbar_row([lumbar["T2"]], back_is_left=False)]
        save(rows, arguments.out / "mr-lumbar-beside-real.png")
    real = read_pelvis(arguments.data, "T2") if found["pelvis"] else None
    print(table("pelvis T2", None if real is None else figures(real, "pelvis", skin_axis=1, from_end=False),
                figures(pelvis["T2"], "pelvis", skin_axis=1, from_end=False)))  # fmt: skip
    if real is not None and not arguments.phantoms_only:
        rows = [pelvis_row(read_pelvis(arguments.data, n), (0.2, 0.5, 0.8), 1.0) for n in PELVIC_SERIES]
        save(rows + [pelvis_row(pelvis[n], (0.2, 0.5, 0.8), 1.0) for n in PELVIC_SERIES],
             arguments.out / "mr-pelvis-beside-real.png")  # fmt: skip


if __name__ == "__main__":
    main()
