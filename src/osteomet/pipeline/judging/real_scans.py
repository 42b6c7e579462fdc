"""Judge a model on real scans of which something is known (`osteomet.io.real_manifest`)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from pydantic import TypeAdapter, ValidationError

from osteomet.core.errors import FormatError
from osteomet.core.grid import check_same_grid
from osteomet.core.vocabulary import COLUMN, NAMES_BY_CONVENTION, STRUCTURES, SequenceRole
from osteomet.core.volume import LabelMap, Modality
from osteomet.evaluation.model_cases import LevelScore, score_levels
from osteomet.inference.cascade import METAL_HU
from osteomet.io.formats import read_labels
from osteomet.io.model_package import ModelPackage
from osteomet.io.output import output_file
from osteomet.io.real_manifest import RealScan, read_boxes
from osteomet.io.study import read_study
from osteomet.pipeline.analyze import Analysis, analyze_scan
from osteomet.pipeline.judging.model_cohort import CohortJob, Progress
from osteomet.pipeline.scan import choose_scan
from osteomet.report.boxes import label_boxes, world_box_mm

LEAST_BOX_IOU = 0.3


@dataclass(frozen=True, slots=True)
class RealResult:
    """What a model said about one real scan.

    ``skipped`` says why it was not judged, empty where it was. ``n_false`` is None where lesions may be there that have
    no box. ``n_on_metal`` counts calls that hold a voxel of metal. ``bones`` judges each bone of the map given.
    """

    name: str
    skipped: str = ""
    n_boxed: int = 0
    n_found: int = 0
    n_calls: int = 0
    n_false: int | None = None
    most_false: int | None = None
    n_on_metal: int = 0
    bones: tuple[LevelScore, ...] = ()
    calls: tuple[str, ...] = ()

    @property
    def levels(self) -> tuple[LevelScore, ...]:
        """Judged bones of the column."""
        return tuple(bone for bone in self.bones if bone.name in (*COLUMN, "sacrum"))

    @property
    def wrong(self) -> tuple[LevelScore, ...]:
        """Those of them with another name, or none."""
        return tuple(level for level in self.levels if level.called != level.name)

    @property
    def mean_dice(self) -> float | None:
        """Mean Dice of the judged bones, None without any."""
        return float(np.mean([bone.dice for bone in self.bones])) if self.bones else None


@dataclass(frozen=True, slots=True)
class _Kept:
    """A result on disk, with what the manifest said when it was made."""

    scan: RealScan
    result: RealResult


_KEPT = TypeAdapter(_Kept)


def run_real_scans(
    package: ModelPackage, out: Path, scans: Sequence[RealScan], job: CohortJob, *, progress: Progress
) -> tuple[RealResult, ...]:
    """Analyse every scan that is there and that the model reads; results are kept in ``real`` and not made again.

    Raises
    ------
    InputError
        If a scan, its boxes or its map of bones cannot be used.
    """
    (out / "real").mkdir(exist_ok=True)
    results = []
    for number, scan in enumerate(scans):
        progress("real scans", number, len(scans))
        reason = _why_not(package, scan)
        if reason:
            results.append(RealResult(scan.name, reason))
            continue
        path = out / "real" / f"{''.join(c if c.isalnum() else '_' for c in scan.name)}.json"
        result = _read_result(path, scan)
        if result is None:
            result = _run_scan(package, scan, job)
            with output_file(path) as partial:
                partial.write_bytes(_KEPT.dump_json(_Kept(scan, result), indent=1))
        results.append(result)
    progress("real scans", len(scans), len(scans))
    return tuple(results)


def judge_scan(scan: RealScan, analysis: Analysis) -> RealResult:
    """Compare an analysis with what is known about the scan."""
    boxes_mm = read_boxes(scan)
    hits = _hits(boxes_mm, analysis.lesions)
    calls = analysis.findings.lesions
    n_false = int((~hits.any(axis=0)).sum()) if scan.complete else None
    return RealResult(
        name=scan.name,
        n_boxed=len(boxes_mm),
        n_found=int(hits.any(axis=1).sum()),
        n_calls=len(calls),
        n_false=n_false,
        most_false=scan.most_false,
        n_on_metal=_n_on_metal(analysis),
        bones=_judge_bones(scan, analysis.bones),
        calls=tuple(f"{x.type} in {x.site}, {x.volume_ml:.1f} ml, {x.confidence}" for x in calls),
    )


def box_iou(first_mm: NDArray[np.float64], second_mm: NDArray[np.float64]) -> float:
    """Intersection over union of two boxes, each as its lowest and highest corner, shape (2, 3), mm.

    Examples
    --------
    >>> box_iou(np.array([[0.0, 0, 0], [2, 2, 2]]), np.array([[1.0, 0, 0], [3, 2, 2]]))
    0.3333333333333333
    """
    low, high = np.maximum(first_mm[0], second_mm[0]), np.minimum(first_mm[1], second_mm[1])
    common = float(np.maximum(high - low, 0).prod())
    return common / (float(np.diff(first_mm, axis=0).prod() + np.diff(second_mm, axis=0).prod()) - common)


def _hits(boxes_mm: NDArray[np.float64], called: LabelMap) -> NDArray[np.bool_]:
    """Which call finds which boxed lesion, shape (n_boxes, n_calls): it covers the centre, or the boxes overlap."""
    found = label_boxes(called.array)
    hits = np.zeros((len(boxes_mm), len(found)), dtype=np.bool_)
    for row, box_mm in enumerate(boxes_mm):
        centre = np.rint(called.grid.to_ijk(box_mm.mean(axis=0))).astype(int)
        inside = bool(((centre >= 0) & (centre < called.grid.shape)).all())
        at_centre = int(called.array[tuple(centre)]) if inside else 0
        for column, (label, box) in enumerate(found.items()):
            overlaps = box_iou(box_mm, world_box_mm(called.grid, [box])) >= LEAST_BOX_IOU
            hits[row, column] = label == at_centre or overlaps
    return hits


def _n_on_metal(analysis: Analysis) -> int:
    """Calls on CT that hold a voxel as dense as metal."""
    if analysis.volume.modality is not Modality.CT:
        return 0
    return len(np.unique(analysis.lesions.array[(analysis.volume.array > METAL_HU) & (analysis.lesions.array > 0)]))


def _judge_bones(scan: RealScan, called: LabelMap) -> tuple[LevelScore, ...]:
    """Name and Dice of each bone of the map given, if one is."""
    if scan.bones is None or scan.convention is None:
        return ()
    given = read_labels(scan.bones)
    check_same_grid(given.grid, called.grid, names=("the map of bones", "the scan"))
    names = NAMES_BY_CONVENTION[scan.convention]
    table = np.zeros(int(given.array.max()) + 1, dtype=np.uint8)
    for foreign, name in names.items():
        if foreign < table.size:
            table[foreign] = STRUCTURES[name].id
    reference = LabelMap(table[given.array], given.grid, {name: s.id for name, s in STRUCTURES.items()})
    judged = scan.judge or tuple(name for name in reference.present())
    unknown = sorted(set(judged) - set(reference.present()))
    if unknown:
        raise FormatError(f"{scan.bones} has no {', '.join(unknown)} to judge", expected=", ".join(reference.present()))
    return score_levels(reference, called, judged)


def _run_scan(package: ModelPackage, scan: RealScan, job: CohortJob) -> RealResult:
    """Read and analyse one scan."""
    study = read_study([], sequences={scan.role: scan.image})
    analysis = analyze_scan(study, choose_scan(study, package), package, device=job.device, cache_dir=job.cache_dir)
    return judge_scan(scan, analysis)


def _why_not(package: ModelPackage, scan: RealScan) -> str:
    """Why a scan is not judged; empty where it is."""
    missing = [path.name for path in (scan.image, scan.boxes, scan.bones) if path is not None and not path.exists()]
    if missing:
        return f"{', '.join(missing)} is not there"
    modality = Modality.CT if scan.role is SequenceRole.CT else Modality.MR
    return "" if modality is package.description.modality else f"the model does not read {modality}"


def _read_result(path: Path, scan: RealScan) -> RealResult | None:
    """The result of an earlier run; None where there is none, or the manifest says something else by now."""
    try:
        kept = _KEPT.validate_json(path.read_bytes())
    except (FileNotFoundError, ValidationError):
        return None
    return kept.result if kept.scan == scan else None
