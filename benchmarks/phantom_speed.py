"""Time and peak memory of phantom CT: a training crop of 96³ at 1 mm, and with ``--whole`` a 512×512×600 whole spine.

Run: `.venv/bin/python benchmarks/phantom_speed.py [--whole]`. Aims: the crop in 0.3 s on one core; the whole spine in
2 minutes on two cores under 6 GB.
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
from machine import describe_machine

from osteomet.core.grid import Grid
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.ct.rendering import CtScanner, render_ct

CROP_SHAPE, CROP_SPACING_MM = (96, 96, 96), (1.0, 1.0, 1.0)
WHOLE_SHAPE, WHOLE_SPACING_MM = (512, 512, 600), (0.8, 0.8, 1.25)
SCANNER = CtScanner(blur_mm=0.6, noise_hu=20.0, slice_thickness_mm=1.25, overshoot=0.3)
LEVELS = ("L3", "T8", "C5")


def crop_grid(body: Body, level: str) -> Grid:
    """A crop about one vertebra."""
    centre = body.column.nearest(level).centre_mm
    return Grid.from_spacing(CROP_SHAPE, CROP_SPACING_MM, origin_mm=(centre - 47.5).tolist())


def whole_grid(body: Body) -> Grid:
    """From the hips to the skull, or as far up as 600 slices reach."""
    middle = float(np.mean([v.centre_mm[1] for v in body.column.vertebrae]))
    return Grid.from_spacing(WHOLE_SHAPE, WHOLE_SPACING_MM, origin_mm=(-204.4, middle - 240.0, -60.0))


def clock(body: Body, grid: Grid) -> tuple[float, float]:
    """Wall time and processor time of one rendering, s."""
    wall, processor = time.perf_counter(), time.process_time()
    render_ct(body, grid, SCANNER, np.random.default_rng(0))
    return time.perf_counter() - wall, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--whole", action="store_true", help="render the whole spine too")
    arguments = parser.parse_args()
    print(describe_machine("numba", "scipy"))
    began = time.process_time()
    body = sample_body(np.random.default_rng(1), n_metastases=6)
    print(f"body: {time.process_time() - began:.2f} s")
    clock(body, crop_grid(body, "L3"))
    for level in LEVELS:
        runs = [clock(body, crop_grid(body, level)) for _ in range(3)]
        wall, processor = (min(r[n] for r in runs) for n in range(2))
        print(f"crop 96³ at {level}: {wall:.2f} s by the clock, {processor:.2f} s of one core")
    if arguments.whole:
        wall, processor = clock(body, whole_grid(body))
        peak_gb = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6
        print(
            f"whole spine 512×512×600: {wall:.0f} s by the clock, {processor:.0f} s of cores, {peak_gb:.2f} GB at most"
        )


if __name__ == "__main__":
    main()
