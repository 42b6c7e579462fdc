"""Evaluate the cases of a paired data set, several at a time, keeping only small records of each."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from osteomet.core.errors import DatasetError, InputError
from osteomet.evaluation.instances import CaseInstances, find_case_instances
from osteomet.evaluation.segmentation import CaseVoxels, score_voxels
from osteomet.evaluation.voxels import label_voxels, voxel_pair
from osteomet.io.case_images import CaseImages, read_case
from osteomet.io.dataset import CasePair, LeftOut, PairedCases


@dataclass(frozen=True, slots=True)
class CaseSettings:
    """What is computed of each case.

    Parameters
    ----------
    tolerance_mm
        Distance up to which a surface counts as well placed in NSD, mm.
    by_label
        Whether lesions of different labels are different lesions even where they touch, and never match.
    """

    tolerance_mm: float = 2.0
    by_label: bool = False


@dataclass(frozen=True, slots=True)
class CaseRecord:
    """All that is kept of one case: a few kilobytes, whatever the size of its images."""

    voxels: CaseVoxels
    instances: CaseInstances


@dataclass(frozen=True, slots=True)
class EvaluatedCases:
    """Records in order of case names, and the cases that could not be evaluated."""

    records: tuple[CaseRecord, ...]
    left_out: tuple[LeftOut, ...]
    missing: tuple[str, ...]


def evaluate_case(images: CaseImages, settings: CaseSettings) -> CaseRecord:
    """Compute the voxel, surface and instance records of one case."""
    pair = voxel_pair(images.reference.map, images.prediction.map if images.prediction else None)
    labelling = label_voxels(pair, images.reference, images.prediction)
    labels = score_voxels(pair, labelling, tolerance_mm=settings.tolerance_mm)
    instances = find_case_instances(images, pair, by_label=settings.by_label, tolerance_mm=settings.tolerance_mm)
    return CaseRecord(CaseVoxels(images.facts, labels, images.prediction is not None), instances)


def evaluate_cases(
    paired: PairedCases,
    settings: CaseSettings,
    *,
    n_workers: int = 2,
    continue_on_error: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> EvaluatedCases:
    """Read and evaluate all cases of a data set.

    Parameters
    ----------
    paired
        Files of the cases.
    settings
        What is computed.
    n_workers
        Cases under work at once; memory holds the images of so many, and the small records of all.
    continue_on_error
        Leave out a case whose files cannot be used, with the reason, instead of raising.
    progress
        Called with the number of cases done and of all cases.

    Raises
    ------
    DatasetError, GeometryError
        What `read_case` raises about the first case that cannot be used; with ``continue_on_error`` only if none can.
    UsageError
        If the tolerance is negative.
    """
    records: list[CaseRecord] = []
    left_out = list(paired.left_out)
    with ThreadPoolExecutor(n_workers) as pool:
        futures = [pool.submit(_read_and_evaluate, pair, settings) for pair in paired.pairs]
        try:
            for done, (pair, future) in enumerate(zip(paired.pairs, futures, strict=True), start=1):
                try:
                    records.append(future.result())
                except InputError as error:
                    if not continue_on_error:
                        raise
                    left_out.append(LeftOut(pair.facts.case, str(error)))
                if progress is not None:
                    progress(done, len(futures))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)
    if not records:
        raise DatasetError("no case could be evaluated", got=left_out[0].reason, remedy="mend the cases named")
    evaluated = {record.voxels.facts.case for record in records}
    missing = tuple(case for case in paired.missing if case in evaluated)
    return EvaluatedCases(tuple(records), tuple(sorted(left_out, key=lambda left: left.case)), missing)


def _read_and_evaluate(pair: CasePair, settings: CaseSettings) -> CaseRecord:
    """One case from disk to its record; its images are gone when it returns."""
    return evaluate_case(read_case(pair), settings)
