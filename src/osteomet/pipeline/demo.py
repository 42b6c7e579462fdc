"""The demo: a phantom with known metastases goes the way of any study, and the result is compared with the truth."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np

from osteomet.inference.engine import Device
from osteomet.io.dicom_writer import write_ct_series
from osteomet.phantom.cohorts.case import Case
from osteomet.phantom.cohorts.draw import draw_case
from osteomet.pipeline.analyze import Analysis, AnalyzeSettings, Progress, analyze_study

# A case whose lesions the embedded model finds: it shows the way, not the accuracy, which stands in the model card.
DEMO_SEED, DEMO_NUMBER = 2026, 3


@dataclass(frozen=True, slots=True, eq=False)
class Planted:
    """One metastasis that the phantom holds; ``found_as`` is the id of the lesion that overlaps it most, if any."""

    type: str
    site: str
    volume_ml: float
    found_as: int | None


@dataclass(frozen=True, slots=True, eq=False)
class DemoResult:
    """What the demo planted and what the analysis found."""

    out: Path
    planted: tuple[Planted, ...]
    analysis: Analysis

    def summary(self) -> dict[str, Any]:
        """The result for programs."""
        return {
            "report": str(self.out / "report.html"),
            "planted": [
                {"type": p.type, "site": p.site, "volume_ml": round(p.volume_ml, 3), "found_as": p.found_as}
                for p in self.planted
            ],
            **self.analysis.summary(),
        }

    def text(self) -> str:
        """The result for people."""
        lines = ["planted:"]
        for p in self.planted:
            found = f"found as lesion {p.found_as}" if p.found_as else "missed"
            lines.append(f"  {p.type} metastasis of {p.volume_ml:.2f} ml in {p.site}: {found}")
        extra = len(self.analysis.findings.lesions) - len({p.found_as for p in self.planted if p.found_as})
        lines += [f"called beside them: {extra}", self.analysis.statement(), f"report: {self.out / 'report.html'}"]
        return "\n".join(lines)


def run_demo(out: Path, *, device: Device, cache_dir: Path, overwrite: bool, progress: Progress) -> DemoResult:
    """Draw the demo patient, write it as DICOM, analyse that, and compare with what was planted."""
    progress("phantom", 0, 1)
    case = draw_case("ct-spine", seed=DEMO_SEED, number=DEMO_NUMBER)
    progress("phantom", 1, 1)
    with TemporaryDirectory() as temporary:
        folder = Path(temporary) / "dicom"
        write_ct_series(case.volume, folder, rng=np.random.default_rng(DEMO_SEED))
        settings = AnalyzeSettings("default-ct", device, cache_dir, overwrite)
        analysis = analyze_study([folder], out, settings, sequences={}, progress=progress)
    return DemoResult(out, compare(case, analysis), analysis)


def compare(case: Case, analysis: Analysis) -> tuple[Planted, ...]:
    """Look up, for each planted metastasis, the found lesion that shares most voxels with it."""
    voxel_ml = case.volume.grid.voxel_volume_ml
    planted = []
    for number, kind in sorted(case.types.items()):
        inside = case.lesions.array == number
        votes = np.bincount(analysis.lesions.array[inside])
        votes[0] = 0
        found_as = int(votes.argmax()) if votes.any() else None
        planted.append(Planted(kind.value, case.sites[number], float(inside.sum()) * voxel_ml, found_as))
    return tuple(planted)
