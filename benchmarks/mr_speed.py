"""Processor time of imaging a 96³ composition in four sequences with all artefacts, as a training step does.

Run: `OMP_NUM_THREADS=1 .venv/bin/python benchmarks/mr_speed.py`. Aim: 0.3 s on one core. The composition itself is
made before; Dixon and diffusion make several images each.
"""

from __future__ import annotations

import time

import numpy as np
from machine import describe_machine

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.phantom.mr.acquisition import acquire
from osteomet.phantom.mr.protocols import preset
from osteomet.phantom.mr.scanner import Composition, sample_mr_scanner
from osteomet.phantom.mr.tissues import Tissue

SHAPE = (96, 96, 96)
COMBINATIONS = (
    (SequenceRole.T1, SequenceRole.T2, SequenceRole.CE, SequenceRole.STIR),
    (SequenceRole.T1, SequenceRole.FO, SequenceRole.CE, SequenceRole.DWI),
)
N_RUNS = 9


def mottled(grid: Grid, rng: np.random.Generator) -> Composition:
    """Blocks of every tissue but metal, which few patients have, with mixed borders."""
    tissues = np.array([tissue for tissue in Tissue if tissue is not Tissue.METAL], dtype=np.uint8)
    blocks = rng.choice(tissues, [n // 8 for n in grid.shape])
    first = np.kron(blocks, np.ones((8, 8, 8), dtype=np.uint8))
    share = np.where(rng.random(grid.shape) < 0.3, 0.5, 0).astype(np.float32)
    return Composition(grid, first, np.roll(first, 4, axis=0), share, rng.random(grid.shape, dtype=np.float32))


def main() -> None:
    print(describe_machine("scipy", "numba"))
    composition = mottled(Grid.from_spacing(SHAPE, (1.2, 1.2, 1.2)), np.random.default_rng(0))
    for roles in COMBINATIONS:
        seconds = []
        for seed in range(N_RUNS + 1):
            rng = np.random.default_rng(seed)
            scanner = sample_mr_scanner(rng, 3.0)
            began = time.process_time()
            for role in roles:
                acquire(composition, preset(role, 3.0, rng), scanner, rng)
            seconds.append(time.process_time() - began)
        timed = seconds[1:]
        names = ", ".join(role.value for role in roles)
        print(f"{names}: median {np.median(timed):.2f} s, from {min(timed):.2f} to {max(timed):.2f} s")


if __name__ == "__main__":
    main()
