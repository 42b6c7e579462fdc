"""A phantom patient: skeleton, soft tissue and deposits, before any scanner looks at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteomet.phantom.anatomy import Column, sample_column
from osteomet.phantom.bones import add_hips_and_femora, add_ribs, add_sacrum, add_vertebra, spongiosa_hu
from osteomet.phantom.deposits import Deposit
from osteomet.phantom.hardware import Hardware, sample_hardware
from osteomet.phantom.metastases import sample_metastases
from osteomet.phantom.mimics import sample_mimics
from osteomet.phantom.shapes import Shapes, ShapeTable, Warp, random_warp
from osteomet.phantom.sites import places_in
from osteomet.phantom.soft_tissue import SoftTissue, sample_soft_tissue


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One phantom patient: everything that does not depend on the scanner.

    ``labelled`` are bones of a label map, which take the place of primitives where there are any.
    """

    column: Column
    bones: Shapes
    soft_tissue: SoftTissue
    deposits: tuple[Deposit, ...]
    warp: Warp
    density: float
    cortex_hu: float
    cortex_factor: float
    texture_hu: float
    hardware: Hardware | None
    labelled: LabelledBones | None = None

    @property
    def top_mm(self) -> float:
        """Height of the uppermost modelled vertebra, LPS z in mm."""
        return float(self.column.vertebrae[-1].centre_mm[2])


def sample_body(rng: np.random.Generator, *, n_metastases: int, labelled: LabelledBones | None = None) -> Body:
    """Draw a patient with ``n_metastases`` metastases and a natural number of mimics, about labelled bones if any."""
    column = sample_column(rng) if labelled is None else None
    if labelled is not None:
        size = float(np.clip(rng.normal(1, SIZE_SPREAD), 1 - 2 * SIZE_SPREAD, 1 + 2 * SIZE_SPREAD))
        column, labelled = fit_column(rng, resized(labelled, size))
    table = ShapeTable()
    for vertebra in column.vertebrae:
        add_vertebra(table, vertebra, rng)
    add_ribs(table, column, rng)
    add_sacrum(table, column, rng)
    add_hips_and_femora(table, column.scale, rng, sex=column.sex)
    bones = table.freeze()
    mimics = sample_mimics(rng, column.vertebrae, bones)
    density = float(rng.uniform(60, 300))
    return Body(
        column=column,
        bones=bones,
        soft_tissue=sample_soft_tissue(rng, column),
        deposits=tuple(mimics + sample_metastases(rng, places_in(bones), spongiosa_hu(density), n=n_metastases)),
        warp=random_warp(rng, amplitude_mm=5.0),
        density=density,
        cortex_hu=float(rng.uniform(550, 1400)),
        cortex_factor=float(rng.uniform(0.5, 1.3)),
        texture_hu=float(rng.uniform(10, 55)),
        hardware=sample_hardware(rng, column),
    )
