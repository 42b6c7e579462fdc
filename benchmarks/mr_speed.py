"""Processor time of a training crop of 96³ voxels: composing the tissue of a patient, and imaging it in four sequences.

Run: `OMP_NUM_THREADS=1 .venv/bin/python benchmarks/mr_speed.py [BASELINE]`. Aim: 0.6 s on one core for both. The crop
holds a vertebra and what lies around it in voxels of 1.2 mm; scanners have all their artefacts, Dixon and diffusion
make several images each. BASELINE is the `src` folder of another version, which is measured in the same run.
"""

from __future__ import annotations

import argparse
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
from machine import describe_machine

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.mr.acquisition import acquire
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.scanner import sample_mr_scanner
from osteomet.phantom.mr.scene import compose, sample_marrow

SHAPE, SPACING_MM = (96, 96, 96), (1.2, 1.2, 1.2)
LEVELS = ("L3", "T9", "L5", "T5", "L1", "C6")
N_METASTASES = 5
COMBINATIONS = (
    (SequenceRole.T1, SequenceRole.T2, SequenceRole.CE, SequenceRole.STIR),
    (SequenceRole.T1, SequenceRole.FO, SequenceRole.CE, SequenceRole.DWI),
)


def crop_at(body: Body, level: str) -> Grid:
    """Grid whose middle lies in the canal behind a vertebra."""
    middle = body.column.nearest(level).centre_mm + [0.0, 15.0, 0.0]
    origin = middle - np.array(SPACING_MM) * (np.array(SHAPE) - 1) / 2
    return Grid.from_spacing(SHAPE, SPACING_MM, origin_mm=origin.tolist())


def measure(seed: int) -> list[float]:
    """Seconds to compose one crop, and to image it in each combination of sequences."""
    rng = np.random.default_rng(seed)
    body = sample_body(rng, n_metastases=N_METASTASES)
    marrow, grid = sample_marrow(rng, body.column.age_years), crop_at(body, LEVELS[seed % len(LEVELS)])
    began = time.process_time()
    composition = compose(body, grid, marrow).composition
    seconds = [time.process_time() - began]
    for roles in COMBINATIONS:
        rng = np.random.default_rng(seed)
        scanner = sample_mr_scanner(rng, 3.0)
        began = time.process_time()
        for role in roles:
            acquire(composition, preset(role, 3.0, rng), scanner, rng)
        seconds.append(time.process_time() - began)
    return seconds


def describe(name: str, seconds: list[float]) -> str:
    """Median and range of one column."""
    return f"{name}: median {np.median(seconds):.2f} s, from {min(seconds):.2f} to {max(seconds):.2f} s"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("baseline", type=Path, nargs="?", help="`src` folder of the version to compare with")
    baseline = parser.parse_args().baseline
    if baseline is not None:
        print(f"{baseline}:", flush=True)
        environment = os.environ | {"PYTHONPATH": str(baseline)}
        subprocess.run([sys.executable, __file__], env=environment, check=True)
        print("this version:", flush=True)
    print(describe_machine("scipy", "numba"))
    measure(len(LEVELS))
    measured = np.array([measure(seed) for seed in range(len(LEVELS))])
    print(describe("composing", measured[:, 0].tolist()))
    for column, roles in enumerate(COMBINATIONS, start=1):
        names = ", ".join(role.value for role in roles)
        print(describe(f"imaging {names}", measured[:, column].tolist()))
        print(describe("  with composing", (measured[:, 0] + measured[:, column]).tolist()))


if __name__ == "__main__":
    main()
