"""Seconds for the 1316 features of one lesion, beside PyRadiomics, and how they grow with the lesion.

Run: `.venv/bin/python benchmarks/radiomics_speed.py --peer PEER/bin/python`, after

    python3.11 -m venv PEER
    PEER/bin/pip install numpy SimpleITK PyWavelets pykwalify six setuptools wheel
    PEER/bin/pip install --no-build-isolation --no-deps pyradiomics==3.0.1

PyRadiomics has no wheel for today's Python; the last line needs a C compiler. Without `--peer` it says so.

Aims, on two cores, for a region of 60×60×40 voxels: three times as fast as PyRadiomics at a bin width of 25, twenty
times at a width of 10 on a wide range and where the region lies in a large image; time in proportion to the region.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from machine import describe_machine
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from osteomet.core.grid import Grid
from osteomet.core.volume import Modality, Unit, Volume
from osteomet.radiomics.extract import extract_features
from osteomet.radiomics.settings import RadiomicsSettings

PEER = Path(__file__).with_name("radiomics_peer.py")
REGION = (60, 60, 40)
AROUND = (62, 62, 42)
"""Image hardly larger than the region; PyRadiomics refuses a mask without background."""
Shape = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Case:
    """A box of voxels in the middle of an image of smoothed noise with a standard deviation."""

    name: str
    image: Shape
    region: Shape
    deviation: float
    bin_width: float

    def arrays(self) -> tuple[NDArray[np.int16], NDArray[np.bool_]]:
        noise = gaussian_filter(np.random.default_rng(0).normal(size=self.image), 1.0)
        mask = np.zeros(self.image, dtype=bool)
        start = [(n - r) // 2 for n, r in zip(self.image, self.region, strict=True)]
        mask[tuple(slice(s, s + r) for s, r in zip(start, self.region, strict=True))] = True
        return (100 + noise / noise.std() * self.deviation).astype(np.int16), mask


CASES = (
    Case("width 25", AROUND, REGION, 80, 25),
    Case("width 10, wide range", AROUND, REGION, 700, 10),
    Case("width 25, in a large image", (256, 256, 120), REGION, 80, 25),
)
GROWTH = tuple(Case(f"{n}×{n}×{n}", (n, n, n), (n, n, n), 80, 25) for n in (20, 40, 80))


def measure(case: Case, *, repeats: int) -> tuple[float, float, dict[str, float]]:
    """Best wall and processor time of some runs, and the features."""
    array, mask = case.arrays()
    volume = Volume(array, Grid.from_spacing(case.image, (1.0, 1.0, 1.0)), Modality.MR, Unit.ARBITRARY)
    settings = RadiomicsSettings(bin_width=case.bin_width)
    walls, processors = [], []
    for _ in range(repeats):
        wall, processor = time.perf_counter(), time.process_time()
        result = extract_features(volume, mask, settings)
        walls.append(time.perf_counter() - wall)
        processors.append(time.process_time() - processor)
    return min(walls), min(processors), dict(result.values)


def run_peer(interpreter: str, case: Case) -> dict[str, Any]:
    with TemporaryDirectory() as folder:
        path = Path(folder) / "arrays.npz"
        array, mask = case.arrays()
        np.savez(path, image=array, mask=mask.astype(np.uint8))
        command = [interpreter, str(PEER), str(path), str(case.bin_width)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    return json.loads(done.stdout) if done.returncode == 0 else {"missing": done.stderr.strip().splitlines()[-1]}


def compare(case: Case, interpreter: str | None, *, repeats: int) -> None:
    wall, processor, ours = measure(case, repeats=repeats)
    print(f"{case.name:28} ours {wall:6.2f} s (processor {processor:.2f})", end="")
    if interpreter is None:
        print("; no --peer given: the head of this file says how to install PyRadiomics")
        return
    theirs = run_peer(interpreter, case)
    if "missing" in theirs:
        print(f"; PyRadiomics: {theirs['missing']}")
        return
    apart = np.array([abs(ours[name] - value) / max(abs(value), 1e-9) for name, value in theirs["features"].items()])
    print(
        f"; PyRadiomics {theirs['wall_s']:6.2f} s (processor {theirs['processor_s']:.2f}), "
        f"{theirs['wall_s'] / wall:.1f} times as long (processor {theirs['processor_s'] / processor:.1f}); "
        f"{np.mean(apart < 1e-6):.1%} of the features within 1e-6, {np.mean(apart < 1e-3):.1%} within 1e-3"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", help="Python interpreter that has PyRadiomics")
    parser.add_argument("--repeats", type=int, default=3)
    arguments = parser.parse_args()
    print(describe_machine("numba", "scipy"))
    measure(GROWTH[0], repeats=1)  # compiles
    for case in CASES:
        compare(case, arguments.peer, repeats=arguments.repeats)
    for case in GROWTH:
        wall, processor, _ = measure(case, repeats=arguments.repeats)
        n = int(np.prod(case.region))
        print(f"{case.name:28} ours {wall:6.2f} s (processor {processor:.2f}), {processor / n * 1e6:.1f} µs a voxel")


if __name__ == "__main__":
    main()
