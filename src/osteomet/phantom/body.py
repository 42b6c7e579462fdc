"""A phantom patient: skeleton, soft tissue and deposits, before any scanner looks at it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteomet.phantom.anatomy import Column, Sex, sample_column
from osteomet.phantom.bone_age import draw_lumbar_hu
from osteomet.phantom.bones import add_hips_and_femora, add_ribs, add_sacrum, add_vertebra, spongiosa_hu
from osteomet.phantom.collapse import sample_collapses
from osteomet.phantom.degenerative import add_osteophytes
from osteomet.phantom.deposits import Deposit
from osteomet.phantom.hardware import Hardware, sample_hardware
from osteomet.phantom.metastases import sample_metastases
from osteomet.phantom.mimics import sample_mimics
from osteomet.phantom.shapes import Shapes, ShapeTable, Warp, random_warp
from osteomet.phantom.soft_tissue import SoftTissue, sample_soft_tissue


@dataclass(frozen=True, slots=True, eq=False)
class Body:
    """One phantom patient: everything that does not depend on the scanner."""

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

    @property
    def top_mm(self) -> float:
        """Height of the uppermost modelled vertebra, LPS z in mm."""
        return float(self.column.vertebrae[-1].centre_mm[2])


def sample_body(
    rng: np.random.Generator, *, n_metastases: int, sex: Sex | None = None, age_years: float | None = None
) -> Body:
    """Draw a patient with ``n_metastases`` metastases and a natural number of mimics; sex and age may be given."""
    collapses = sample_collapses(rng, n_metastases=n_metastases)
    column = sample_column(rng, sex=sex, age_years=age_years, collapsed=collapses.all)
    density = draw_lumbar_hu(column.age_years, rng) * collapses.density
    table = ShapeTable()
    for vertebra in column.vertebrae:
        add_vertebra(table, vertebra, rng)
    add_ribs(table, column, rng)
    add_sacrum(table, column, rng)
    add_hips_and_femora(table, column.scale, rng, sex=column.sex)
    spurs = add_osteophytes(table, column, rng)
    bones = table.freeze()
    mimics = sample_mimics(rng, column, bones, fractured=collapses.benign)
    present = {v.name for v in column.vertebrae}
    metastases = sample_metastases(
        rng, bones, spongiosa_hu(density), n=n_metastases, in_levels=present & set(collapses.pathological)
    )
    return Body(
        column=column,
        bones=bones,
        soft_tissue=sample_soft_tissue(rng, column, bones),
        deposits=(*spurs, *mimics, *metastases),
        warp=random_warp(rng, amplitude_mm=5.0),
        density=density,
        cortex_hu=float(rng.uniform(1150, 1750)),
        cortex_factor=float(rng.uniform(0.7, 1.35)),
        texture_hu=float(rng.uniform(60, 130)),
        hardware=sample_hardware(rng, column),
    )
