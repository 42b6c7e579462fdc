"""Time and peak memory of the main job on a 512×512×400 CT of 0.8×0.8×1 mm, and of `osteomet --help`.

Run: `.venv/bin/python benchmarks/analyze_speed.py`. Aim: under 3 minutes and 4 GB on two cores; help under 0.5 s.
"""

from __future__ import annotations

import resource
import subprocess
import sys
import time
from pathlib import Path
from tempfile import TemporaryDirectory

import numpy as np
from machine import describe_machine

from osteomet.core.grid import Grid
from osteomet.io.formats import write_volume
from osteomet.phantom.body import sample_body
from osteomet.phantom.ct.rendering import render_ct, sample_scanner

SHAPE, SPACING_MM = (512, 512, 400), (0.8, 0.8, 1.0)
OSTEOMET = Path(sys.executable).with_name("osteomet")


def write_large_phantom(path: Path) -> None:
    """Lumbar and thoracic spine with the pelvis, the whole trunk inside, no bone beyond the field of view."""
    rng = np.random.default_rng(1)
    body = sample_body(rng, n_metastases=6)
    middle = float(np.mean([v.centre_mm[1] for v in body.column.vertebrae[:8]]))
    grid = Grid.from_spacing(SHAPE, SPACING_MM, origin_mm=(-204.4, middle - 240.0, -60.0))
    write_volume(render_ct(body, grid, sample_scanner(rng), rng).volume, path)


def run(*arguments: str) -> tuple[float, float]:
    """Wall time in s and, so far over all children, peak memory in GB."""
    began = time.monotonic()
    subprocess.run([str(OSTEOMET), *arguments], check=True, capture_output=True)
    return time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss / 1e6


def main() -> None:
    print(describe_machine("openvino", "torch"))
    best = min(run("--help")[0] for _ in range(5))
    print(f"osteomet --help: {best:.2f} s")
    with TemporaryDirectory() as folder:
        scan = Path(folder) / "scan.nii.gz"
        # In a process of its own, so that the phantom's memory does not count.
        subprocess.run([sys.executable, __file__, str(scan)], check=True)
        for attempt in ("first", "second"):
            seconds, peak_gb = run("analyze", str(scan), "--out", str(Path(folder) / attempt))
            print(f"osteomet analyze, {attempt} run: {seconds:.0f} s, {peak_gb:.2f} GB at most")


if __name__ == "__main__":
    if len(sys.argv) > 1:
        write_large_phantom(Path(sys.argv[1]))
    else:
        main()
