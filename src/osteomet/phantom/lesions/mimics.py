"""What a model takes for a metastasis: everything benign that a patient carries, drawn in natural numbers."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from osteomet.phantom.geometry.shapes import Shapes
from osteomet.phantom.lesions import benign, degenerative
from osteomet.phantom.lesions.deposits import Deposit
from osteomet.phantom.lesions.mimic_names import MIMIC_TISSUES, MIMICS
from osteomet.phantom.skeleton.anatomy import Column

__all__ = ["MIMICS", "MIMIC_TISSUES", "sample_mimics"]


def sample_mimics(
    rng: np.random.Generator, column: Column, bones: Shapes, *, fractured: Mapping[str, float]
) -> list[Deposit]:
    """Draw the mimics of a patient, those of wear and those of chance, in the order in which they are laid down.

    ``fractured`` names the levels that osteoporosis has collapsed, with the share of height lost. Osteophytes are drawn
    before, by `degenerative.add_osteophytes`, since they are bone.
    """
    return [
        *benign.red_marrow_islands(rng, bones),
        *degenerative.worn_discs(rng, column),
        *degenerative.worn_facets(rng, column),
        *degenerative.worn_hips(rng, column),
        *degenerative.sacroiliac_changes(rng, column, bones),
        *benign.basivertebral_veins(rng, column.vertebrae),
        *benign.bone_islands(rng, bones),
        *benign.haemangiomas(rng, column.vertebrae),
        *benign.fractures(rng, column, fractured),
        *benign.tarlov_cysts(rng, bones),
        *benign.lymph_nodes_and_vessels(rng, column),
    ]
