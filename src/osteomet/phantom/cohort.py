"""Cohorts: which patients are drawn, and how each one is imaged. A seed and a number give the same case, always."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.core.volume import LabelMap
from osteomet.phantom.body import sample_body
from osteomet.phantom.ct import CtPhantom, render_ct, sample_scanner
from osteomet.phantom.deposits import Deposit
from osteomet.phantom.labelled_anatomy import LabelledBones

COHORTS = ("ct-spine",)
"""Cohorts that `draw_case` knows."""

_AROUND_MM = 8.0
_N_METASTASES_ODDS = {0: 0.25, 1: 0.2, 2: 0.15, 3: 0.12, 4: 0.1, 6: 0.1, 10: 0.08}


@dataclass(frozen=True, slots=True, eq=False)
class Case:
    """One phantom study with its truth on the grid of the scan.

    ``lesions`` names each instance ``lesion_N``; ``types`` and ``sites`` give what each instance number is and the bone
    it sits in. Metastases outside of the field of view are not part of the case.
    """

    name: str
    phantom: CtPhantom
    bones: LabelMap
    lesions: LabelMap
    types: dict[int, LesionType]
    sites: dict[int, str]


def draw_case(cohort: str, *, seed: int, number: int, labelled: LabelledBones | None = None) -> Case:
    """Draw case ``number`` of a cohort, around labelled bones where there are any.

    Raises
    ------
    UsageError
        If there is no such cohort, or seed or number are negative.

    Notes
    -----
    ``ct-spine``: thoraco-lumbar column and pelvis, 0 to 10 metastases, field of view from the upper or middle chest to
    the hips, or about the labelled bones, 1.0–1.5 mm in plane, slices of 1–3 mm.
    """
    if cohort not in COHORTS:
        raise UsageError("there is no such cohort", expected=" or ".join(COHORTS), got=cohort)
    if seed < 0 or number < 0:
        raise UsageError("a seed and a case number are not negative", got=f"seed {seed}, case {number}")
    rng = np.random.default_rng([seed, number])
    n_metastases = int(rng.choice(list(_N_METASTASES_ODDS), p=list(_N_METASTASES_ODDS.values())))
    body = sample_body(rng, n_metastases=n_metastases, labelled=labelled)
    plane, step = float(rng.uniform(1.0, 1.5)), float(rng.choice([1.0, 1.5, 2.0, 3.0]))
    low = float(rng.uniform(-90, -50))
    high = body.column.vertebrae[int(rng.integers(8, 16))].centre_mm[2]
    back = float(np.mean([v.centre_mm[1] for v in body.column.vertebrae[:8]])) + 85
    if body.labelled is not None:
        ends = body.labelled.corners_mm()
        low, high = ends[0, 2] - _AROUND_MM, ends[1, 2] + _AROUND_MM
        back = max(back, ends[1, 1] + 3 * _AROUND_MM)
    shape = (round(330 / plane), round(250 / plane), round((high - low) / step))
    grid = Grid.from_spacing(shape, (plane, plane, step), origin_mm=(-165.0, back - 250.0, low))
    phantom = render_ct(body, grid, sample_scanner(rng), rng)
    return _as_case(f"case_{number:04d}", phantom, [d for d in body.deposits if d.is_metastasis])


def _as_case(name: str, phantom: CtPhantom, metastases: list[Deposit]) -> Case:
    """Name what the truth arrays hold."""
    grid = phantom.volume.grid
    present = [int(n) for n in np.unique(phantom.truth.lesions) if n]
    name_of = {s.id: s.name for s in STRUCTURES.values()}
    kinds = {n: set(metastases[n - 1].types) for n in present}
    return Case(
        name=name,
        phantom=phantom,
        bones=LabelMap(phantom.truth.bones, grid, {s.name: s.id for s in STRUCTURES.values()}),
        lesions=LabelMap(phantom.truth.lesions, grid, {f"lesion_{n}": n for n in present}),
        types={n: kinds[n].copy().pop() if len(kinds[n]) == 1 else LesionType.MIXED for n in present},
        sites={n: name_of[metastases[n - 1].owner] for n in present},
    )
