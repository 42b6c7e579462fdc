"""Names of the mimics, in the order of their labels, and what fills them for a scanner that sees tissue."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

MIMIC_TISSUES: Mapping[str, str] = MappingProxyType(
    {
        "endplate_sclerosis": "MODIC_3",
        "schmorl_node": "NUCLEUS_DEGENERATED",
        "facet_arthrosis": "MODIC_3",
        "basivertebral_vein": "VEIN",
        "joint_sclerosis": "MODIC_3",
        "bone_island": "BONE_ISLAND",
        "osteophyte": "YELLOW_MARROW",
        "modic_1": "MODIC_1",
        "modic_2": "MODIC_2",
        "modic_3": "MODIC_3",
        "haemangioma": "HAEMANGIOMA",
        "osteoporotic_fracture": "OEDEMA",
        "cement": "CEMENT",
        "pedicle_screws": "METAL",
        "hip_prosthesis": "METAL",
        "tarlov_cyst": "CYST",
        "subchondral_cyst": "CYST",
        "lymph_node": "LYMPH_NODE",
        "vessel": "VEIN",
        "red_marrow_island": "RED_MARROW",
        "sacroiliitis": "OEDEMA",
    }
)
"""Each mimic and the name of its tissue on MR (`tissues.Tissue`)."""
MIMICS = tuple(MIMIC_TISSUES)
"""Names of the mimics; the label of each one in a mimic map is its place here, counted from 1."""
