"""CT scanners: what decides how a phantom looks beside its tissue, drawn at random or by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from osteomet.core.errors import UsageError


@dataclass(frozen=True, slots=True)
class CtScanner:
    """A protocol.

    Parameters
    ----------
    blur_mm
        Standard deviation of the point spread in the plane of a slice, before edges are enhanced.
    noise_hu
        Standard deviation of the noise in the middle of 30 cm of water. Tube current modulation keeps the noise of
        other paths nearer to it than the dose alone would.
    slice_thickness_mm
        Full width at half maximum of the slice profile; never less than the voxel.
    overshoot
        Edge enhancement: 0 for a soft kernel, about 1 for a sharp one (see `ct.reconstruction.transfer`).
    beam_hardening
        Strength of dark bands and cupping: 0 for none, 1 for 120 kV with the water correction of all vendors.
    padding_hu
        Value outside of the circle inscribed in the slice, as vendors write it; None keeps the corners.

    Raises
    ------
    UsageError
        If a size is not positive, or noise, overshoot or beam hardening are negative.
    """

    blur_mm: float
    noise_hu: float
    slice_thickness_mm: float = 1.0
    overshoot: float = 0.0
    beam_hardening: float = 1.0
    padding_hu: int | None = None

    def __post_init__(self) -> None:
        sizes = {"blur_mm": self.blur_mm, "slice_thickness_mm": self.slice_thickness_mm}
        levels = {
            "noise_hu": self.noise_hu, "overshoot": self.overshoot, "beam_hardening": self.beam_hardening
        }  # fmt: skip
        for name, value in sizes.items():
            if not value > 0 or not np.isfinite(value):
                raise UsageError(
                    f"{name} of a CT scanner is a positive size",
                    expected="a finite number above 0",
                    got=str(value),
                    remedy="state it in the unit that its name ends with, or start from one of SCANNERS",
                )
        for name, value in levels.items():
            if not value >= 0 or not np.isfinite(value):
                raise UsageError(
                    f"{name} of a CT scanner is not negative",
                    expected="a finite number, 0 or more",
                    got=str(value),
                    remedy="use 0 for none",
                )


SCANNERS: Mapping[str, CtScanner] = MappingProxyType(
    {
        "soft_5mm": CtScanner(blur_mm=0.75, noise_hu=9.0, slice_thickness_mm=5.0, padding_hu=-1024),
        "bone_1mm": CtScanner(blur_mm=0.42, noise_hu=38.0, overshoot=0.8, padding_hu=-1024),
        "low_dose": CtScanner(blur_mm=0.7, noise_hu=45.0, slice_thickness_mm=2.0, padding_hu=-3024),
        "trauma": CtScanner(blur_mm=0.6, noise_hu=20.0, slice_thickness_mm=1.5, overshoot=0.2, padding_hu=-2000),
        "planning": CtScanner(blur_mm=0.85, noise_hu=12.0, slice_thickness_mm=3.0, padding_hu=-1000),
    }
)
"""Protocols by name: body with a soft kernel, bone with a sharp one, low dose, trauma, radiotherapy planning."""


def sample_scanner(rng: np.random.Generator) -> CtScanner:
    """Draw a protocol: kernel from soft to sharp, dose from ample to low, slices of 0.6 to 5 mm.

    Sharp kernels enhance edges and noise together, and thick slices average noise, so those are drawn together.
    """
    sharpness = float(rng.beta(1.2, 1.8))
    thickness = float(rng.choice([0.6, 1.0, 1.25, 1.5, 2.0, 3.0, 5.0], p=[0.1, 0.28, 0.12, 0.15, 0.12, 0.15, 0.08]))
    blur = float(np.interp(sharpness, [0, 1], [0.95, 0.38]) * rng.uniform(0.88, 1.12))
    dose_noise = float(rng.lognormal(np.log(14), 0.45))
    return CtScanner(
        blur_mm=blur,
        noise_hu=dose_noise * float(np.exp(0.9 * sharpness)) * (1.5 / thickness) ** 0.4,
        slice_thickness_mm=thickness,
        overshoot=float(max(0.0, 1.3 * (sharpness - 0.3))),
        beam_hardening=float(rng.uniform(0.3, 1.6)),
    )
