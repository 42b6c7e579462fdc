"""Speed and memory of the evaluation, beside the libraries that compute parts of it, in one run.

Run: `.venv/bin/python benchmarks/evaluation_speed.py --peers PEERS/bin/python`, after

    python3.11 -m venv PEERS
    PEERS/bin/pip install panoptica picai_eval surface-distance-based-measures SimpleITK

Without `--peers`, or where one is not installed, it says so. picai_eval takes minutes. `--part bootstrap` runs one part
alone; `--quick` makes everything small, to see that it runs: its figures say nothing.

Aims, on two cores: 100 cases of 256³ with 20 lesions each in 60 s, every metric, memory that does not grow with the
number of cases; one 512×512×400 pair with 30 lesions five times as fast as panoptica and surface-distance together and
a hundred times as fast as picai_eval; 10,000 patient bootstraps of every metric of 500 patients in 10 s.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray

from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.evaluation.cases import CaseRecord, CaseSettings, EvaluatedCases, evaluate_case, evaluate_cases
from osteomet.evaluation.detection import detection_measures
from osteomet.evaluation.matching import RULES, MatchingRule, match_case
from osteomet.evaluation.metrics import Resampling, evaluate_lesions
from osteomet.evaluation.protocols import PROTOCOLS
from osteomet.io.case_images import CaseImages, LesionMap
from osteomet.io.dataset import CaseFacts, pair_cases
from osteomet.io.formats import write_labels

NAMES = {"lytic": 1, "sclerotic": 2}
PEERS = Path(__file__).with_name("evaluation_peers.py")
Mask = NDArray[np.uint8]


def draw_pair(shape: tuple[int, int, int], n_lesions: int, rng: np.random.Generator) -> tuple[Mask, Mask]:
    """Ellipsoids of 4 to 12 voxels radius; of the predicted ones most shift and swell, some are missed or false."""
    reference, prediction = (np.zeros(shape, np.uint8, order="F") for _ in range(2))
    for _ in range(n_lesions):
        radii, centre = rng.uniform(4, 12, 3), np.array([rng.uniform(20, n - 20) for n in shape])
        label = int(rng.integers(1, 3))
        _paint(reference, centre, radii, label)
        away = rng.uniform(20, np.array(shape) - 20) if rng.random() < 0.15 else centre + rng.normal(0, 1.2, 3)
        _paint(prediction, away, radii * rng.uniform(0.8, 1.2, 3), label)
    return reference, prediction


def _paint(mask: Mask, centre: NDArray[np.float64], radii: NDArray[np.float64], label: int) -> None:
    """Fill one ellipsoid."""
    low, high = np.floor(centre - radii).astype(int), np.ceil(centre + radii).astype(int) + 1
    box = tuple(slice(a, b) for a, b in zip(low, high, strict=True))
    axes = np.ogrid[box]
    inside = sum(((a - c) / r) ** 2 for a, c, r in zip(axes, centre, radii, strict=True)) <= 1
    mask[box][np.asarray(inside)] = label


def write_cohort(folder: Path, n_cases: int) -> None:
    """Data set of cases of 256³ voxels of 0.8×0.8×1.5 mm, two a patient."""
    rng = np.random.default_rng(1)
    grid = Grid.from_spacing((256, 256, 256), (0.8, 0.8, 1.5))
    for side in ("labelsTs", "prediction"):
        (folder / side).mkdir()
    (folder / "dataset.json").write_text(json.dumps({"labels": {"background": 0, **NAMES}}))
    rows = [f"case_{n:03d},patient_{n // 2:03d}" for n in range(n_cases)]
    (folder / "cases.csv").write_text("\n".join(["case,patient", *rows]))
    for n in range(n_cases):
        for side, mask in zip(("labelsTs", "prediction"), draw_pair(grid.shape, 20, rng), strict=True):
            write_labels(LabelMap(mask, grid, NAMES), folder / side / f"case_{n:03d}.nii.gz")


def peak_gb() -> float:
    """Peak memory of this process so far, GB."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6


def measure_cohort(n_cases: int) -> None:
    """Time from files to every metric with intervals, and memory after a tenth of the cases and after all."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        subprocess.run([sys.executable, __file__, "--write-cohort", name, "--cases", str(n_cases)], check=True)
        paired = pair_cases(folder / "labelsTs", folder / "prediction")
        peaks: list[float] = []
        began, busy = time.perf_counter(), time.process_time()
        cases = evaluate_cases(paired, CaseSettings(), progress=lambda *_: peaks.append(peak_gb()))
        read, busy = time.perf_counter() - began, time.process_time() - busy
        evaluation = evaluate_lesions(cases, PROTOCOLS["default"], Resampling())
        total = time.perf_counter() - began
    print(f"\n{n_cases} cases of 256³, about 20 lesions each, from .nii.gz to {len(evaluation.metrics)} metrics")
    print(f"  {total:6.1f} s, of which {read:.1f} s for the cases (processor: {busy / n_cases:.2f} s each)")
    tenth = peaks[max(0, n_cases // 10 - 1)]
    print(f"  {peaks[-1]:6.2f} GB at most while evaluating all cases; {tenth:.2f} GB after the first tenth")


def measure_bootstrap(n_patients: int) -> None:
    """Time of 10,000 resamples of patients for every metric of the default protocol."""
    rng = np.random.default_rng(2)
    grid = Grid.from_spacing((48, 48, 48), (2, 2, 2))
    records = tuple(_small_records(grid, n_patients, rng))
    began, busy = time.perf_counter(), time.process_time()
    evaluation = evaluate_lesions(EvaluatedCases(records, (), ()), PROTOCOLS["default"], Resampling())
    seconds, busy = time.perf_counter() - began, time.process_time() - busy
    print(f"\n10,000 patient bootstraps (BCa) of {n_patients} patients, {len(evaluation.metrics)} metrics")
    print(f"  {seconds:6.1f} s of the clock, {busy:.1f} s of the processor")


def _small_records(grid: Grid, n: int, rng: np.random.Generator) -> Iterator[CaseRecord]:
    """Records of small cases."""
    for number in range(n):
        maps = (LabelMap(mask, grid, NAMES) for mask in draw_pair(grid.shape, int(rng.integers(0, 4)), rng))
        reference, prediction = (LesionMap(m, tuple(NAMES)) for m in maps)
        facts = CaseFacts(f"{number:03d}", f"{number:03d}", {})
        yield evaluate_case(CaseImages(facts, reference, prediction), CaseSettings())


def measure_pair(peers: str | None, shape: tuple[int, int, int]) -> None:
    """Time of one large pair of masks in memory, ours with every metric and each peer with those it has."""
    spacing = (0.75, 0.75, 1.0)
    masks = [(mask > 0).astype(np.uint8) for mask in draw_pair(shape, 30, np.random.default_rng(3))]
    grid = Grid.from_spacing(masks[0].shape, spacing)
    reference, prediction = (LesionMap(LabelMap(m, grid, {"metastasis": 1}), ("metastasis",)) for m in masks)
    images = CaseImages(CaseFacts("case", "case", {}), reference, prediction)
    rules = {"kim2024": RULES["kim2024"], "iou 0.1": MatchingRule("iou", 0.1, "hungarian")}
    wall, busy, figures = min((_time_ours(images, rules) for _ in range(5)), key=lambda result: result[1])
    size = "×".join(map(str, shape))
    print(f"\none {size} pair, 30 lesions, masks in memory; seconds of the clock and of the processor")
    print(f"  {'osteomet, every metric, two matching rules':44s}{wall:8.2f}{busy:8.2f}")
    for name, theirs in _time_peers(peers, masks, spacing):
        if "missing" in theirs:
            print(f"  {name:44s} missing: {theirs['missing']}")
            continue
        apart = max(abs(figures[key] - value) for key, value in theirs["figures"].items())
        same = f"{', '.join(theirs['figures'])} within {apart:.0e}"
        clocks = f"{theirs['seconds']:8.2f}{theirs['processor_seconds']:8.2f}"
        print(f"  {name:44s}{clocks}{theirs['processor_seconds'] / busy:8.1f} times ours; {same}")


def _time_ours(images: CaseImages, rules: dict[str, MatchingRule]) -> tuple[float, float, dict[str, float]]:
    """Seconds of the clock and of the processor, and the figures that the peers compute as well."""
    began, busy = time.perf_counter(), time.process_time()
    record = evaluate_case(images, CaseSettings())
    cases = {name: match_case(record.instances, rule) for name, rule in rules.items()}
    detection = detection_measures([cases["iou 0.1"]]).values()
    wall, busy = time.perf_counter() - began, time.process_time() - busy
    whole = record.voxels.labels[0]
    found = sum(lesion.found for lesion in cases["iou 0.1"].references)
    figures = {name: whole.value(name) for name in ("dice", "hausdorff_mm", "hd95_mm", "assd_mm", "nsd")}
    figures |= {"pq": detection["pq"], "sq": detection["sq"], "found": found}
    return wall, busy, {name: float(value) for name, value in figures.items() if value is not None}


def _time_peers(
    python: str | None, masks: list[Mask], spacing: tuple[float, float, float]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """Result of each peer in a process of its own."""
    names = ("panoptica", "surface-distance", "SimpleITK Hausdorff", "picai_eval")
    with TemporaryDirectory() as folder:
        paths = [str(Path(folder) / name) for name in ("reference.npy", "prediction.npy")]
        for path, mask in zip(paths, masks, strict=True):
            np.save(path, mask)
        for name in names:
            if python is None:
                yield name, {"missing": "no --peers given; the head of this file says how to install them"}
                continue
            command = [python, str(PEERS), name, *paths, json.dumps(spacing)]
            done = subprocess.run(command, check=True, capture_output=True, text=True)
            yield name, json.loads(done.stdout)


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--peers", help="Python interpreter that has the peers")
    parser.add_argument("--cases", type=int, default=100, help="number of cases of the cohort")
    parser.add_argument("--part", choices=("cohort", "bootstrap", "pair"), help="run this part alone")
    parser.add_argument("--quick", action="store_true", help="two cases, 20 patients and a small pair")
    parser.add_argument("--write-cohort", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.write_cohort:
        write_cohort(arguments.write_cohort, arguments.cases)
        return
    print(describe_machine("scipy", "connected-components-3d"))
    if arguments.part in (None, "cohort"):
        measure_cohort(2 if arguments.quick else arguments.cases)
    if arguments.part in (None, "bootstrap"):
        measure_bootstrap(20 if arguments.quick else 500)
    if arguments.part in (None, "pair"):
        measure_pair(arguments.peers, (96, 96, 64) if arguments.quick else (512, 512, 400))
    print(f"\nload at the end {os.getloadavg()[0]:.1f}")


if __name__ == "__main__":
    main()
