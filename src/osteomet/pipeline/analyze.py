"""The main job: a study in, findings out. The only place that knows the order of its steps."""

from __future__ import annotations

import hashlib
import json
import uuid
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import uniform_filter

from osteomet import __version__
from osteomet.core.findings import Abstention, Findings, LevelFinding, Provenance, StudyFacts, to_json
from osteomet.core.lesion import Lesion, PointMm
from osteomet.core.vocabulary import SEARCHED_GROUPS, STRUCTURES, LesionType, SequenceRole
from osteomet.core.volume import LabelMap, Modality, Volume
from osteomet.inference.cascade import (
    CascadeResult,
    LesionEvidence,
    instance_on_grid,
    run_cascade,
)
from osteomet.inference.engine import Device
from osteomet.io.formats import write_labels
from osteomet.io.model_package import ModelPackage, find_package, read_package
from osteomet.io.output import output_folder
from osteomet.io.study import Study, read_study
from osteomet.lesions.anatomy import Anatomy, read_anatomy
from osteomet.lesions.boxes import find_boxes, origin_of
from osteomet.lesions.candidates import CandidateSettings, compute_confidences, find_instances
from osteomet.lesions.characterise import characterise_lesions
from osteomet.lesions.exam import calibrate_lesions, grade_exam, ungraded_exam
from osteomet.lesions.levels import describe_levels
from osteomet.lesions.locate import locate_lesions
from osteomet.lesions.measure import find_metal, measure_lesions
from osteomet.pipeline.lesion_table import write_lesion_table
from osteomet.pipeline.mr_lesions import grade_where_shown
from osteomet.pipeline.scan import Scan, choose_scan, default_model
from osteomet.pipeline.study_classes import classes_log, classify_findings
from osteomet.pipeline.study_classifiers import StudyClassifier, read_classifiers
from osteomet.pipeline.study_images import gather_images, roles_of
from osteomet.report.page import write_report
from osteomet.report.wording import classification_sentences, statement

Progress = Callable[[str, int, int], None]
"""Called with the name of a step, how much of it is done, and how much there is."""
NO_BONE = Abstention("no_bone", "No bone was found in the field of view.")


@dataclass(frozen=True, slots=True)
class AnalyzeSettings:
    """How to analyse: model by name or path, device, and where converted networks are kept.

    Without a model the embedded one for the modality of the study is taken, or one of its name among the imported
    ``models``. ``classifiers`` are packages that say what kind each lesion is, or which grade the exam has, by name or
    path.
    """

    model: str | None
    device: Device
    cache_dir: Path
    overwrite: bool
    models: Path | None = None
    classifiers: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class Analysis:
    """What one run found, its maps on the grid of the scan, and the lines of its log."""

    findings: Findings
    volume: Volume
    bones: LabelMap
    lesions: LabelMap
    log: tuple[str, ...]

    def statement(self) -> str:
        """What was found, in one sentence."""
        return statement(self.findings.lesions, has_bone=bool(self.bones.present()))

    def series_read(self) -> tuple[str, ...]:
        """A line for each series of an MR study: its role and place, or that it was left out, and why; none on CT."""
        if self.volume.modality is not Modality.MR:
            return ()
        return tuple(
            f"{facts.role or 'left out'}: {facts.source} ({'; '.join((facts.reason, *facts.notes))})"
            for facts in self.findings.study.series
        )

    def classes(self) -> tuple[str, ...]:
        """A line for what each grader says of the exam, and how many lesions of each class each package calls."""
        return classification_sentences(self.findings)

    def summary(self) -> dict[str, Any]:
        """The result for programs."""
        exam = self.findings.exam
        return {
            "statement": self.statement(),
            "n_lesions": len(self.findings.lesions),
            "levels": [level.name for level in self.findings.levels],
            "m_stage": exam.m_stage,
            "grade": exam.grade,
            "gradings": {one.package: one.prediction for one in exam.gradings},
            "abstentions": [a.code for a in exam.abstentions],
        }


def analyze_study(
    inputs: Sequence[Path],
    out: Path,
    settings: AnalyzeSettings,
    *,
    sequences: Mapping[SequenceRole, Path],
    progress: Progress,
) -> Analysis:
    """Analyse a study and write the output folder, whole or not at all.

    Parameters
    ----------
    inputs, sequences
        As for `osteomet.io.study.read_study`.
    out
        Folder to make: ``findings.json``, ``lesions.csv``, ``lesions.nii.gz``, ``bones.nii.gz``, ``labels.json``,
        ``report.html``, ``run.log``. Both maps lie on exactly the grid of the scan.

    Raises
    ------
    InputError
        If the input cannot be used, shows a modality that the model does not handle, or lacks what a classifier needs.
    ModelError
        If a model or classifier is missing or unusable.
    UsageError
        If the folder exists and ``settings.overwrite`` is False.
    """
    with output_folder(out, overwrite=settings.overwrite) as folder:
        stated = None if settings.model is None else read_package(find_package(settings.model))
        classifiers = read_classifiers(settings.classifiers, imported=settings.models)
        roles = roles_of(classifiers)
        study = read_study(inputs, sequences=sequences)
        package = stated or _default_package(study, settings.models)
        scan = choose_scan(study, package, classified=roles)
        images = gather_images(classifiers, study, scan)
        analysis = analyze_scan(
            study,
            scan,
            package,
            device=settings.device,
            cache_dir=settings.cache_dir,
            inputs=_input_names(inputs, sequences),
            progress=progress,
        )
        if classifiers:
            analysis = _classified(analysis, classifiers, images, settings.device, progress)
        progress("writing", 0, 1)
        write_analysis(analysis, package, folder)
        progress("writing", 1, 1)
    return analysis


def _classified(
    analysis: Analysis,
    classifiers: Sequence[StudyClassifier],
    images: Mapping[str, Volume],
    device: Device,
    progress: Progress,
) -> Analysis:
    """Join what packages say of lesions and exam."""
    findings = classify_findings(
        analysis.findings,
        classifiers,
        images,
        lesions=analysis.lesions,
        bones=analysis.bones,
        device=device,
        progress=progress,
    )
    return replace(analysis, findings=findings, log=(*analysis.log, *classes_log(findings)))


def _default_package(study: Study, models: Path | None) -> ModelPackage:
    """The model for the modality of a study."""
    return read_package(find_package(default_model(study, models), imported=models))


def write_analysis(analysis: Analysis, package: ModelPackage, folder: Path) -> None:
    """Write every output of `analyze_study` into an existing folder."""
    findings = analysis.findings
    (folder / "findings.json").write_text(to_json(findings), encoding="utf-8")
    write_lesion_table(findings, folder / "lesions.csv")
    write_labels(analysis.lesions, folder / "lesions.nii.gz")
    write_labels(analysis.bones, folder / "bones.nii.gz")
    labels = {
        "bones": dict(analysis.bones.labels),
        "lesions": {str(x.id): {"type": x.type.value, "site": x.site} for x in findings.lesions},
    }
    (folder / "labels.json").write_text(json.dumps(labels, indent=2) + "\n", encoding="utf-8")
    write_report(
        findings, analysis.volume, analysis.bones, analysis.lesions, package.description, folder / "report.html"
    )
    (folder / "run.log").write_text("\n".join(analysis.log) + "\n", encoding="utf-8")


def analyze_scan(
    study: Study,
    scan: Scan,
    package: ModelPackage,
    *,
    device: Device,
    cache_dir: Path,
    inputs: tuple[str, ...] = (),
    progress: Progress | None = None,
) -> Analysis:
    """Analyse what was chosen of a study in memory; ``inputs`` are the names that the provenance keeps."""
    cascade = run_cascade(
        package, scan.volume, device=device, cache_dir=cache_dir, sequences=scan.sequences, progress=progress
    )
    rule = CandidateSettings(seed_probability=package.description.seed_probability)
    calibration = package.description.calibration
    grid = scan.volume.grid
    found = _Found(np.zeros(grid.shape, dtype=np.uint16), np.zeros((1, 1, 1), dtype=np.uint16), ())
    exam = ungraded_exam([NO_BONE])
    levels: tuple[LevelFinding, ...] = ()
    if cascade.lesions is not None:
        evidence = cascade.lesions
        probability = evidence.probability.astype(np.float32)
        anatomy = read_anatomy(evidence.bones, evidence.parts, field_of_view=grid)
        found = _find_lesions(scan, evidence, probability, anatomy, rule)
        if calibration is not None:
            found = replace(found, lesions=calibrate_lesions(found.lesions, calibration.lesion))
        if scan.sequences:
            found = replace(found, lesions=grade_where_shown(found.lesions, found.fine, anatomy, scan.sequences))
        exam = grade_exam(
            found.lesions,
            peak_probability=_peak(probability),
            abstentions=cascade.abstentions,
            calibration=calibration,
        )
        names = {v.name: v.confidence for v in cascade.vertebrae}
        levels = describe_levels(anatomy, found.fine, lesions=found.lesions, name_confidence=names, entered={})
    provenance = Provenance(
        software="osteomet",
        version=__version__,
        model=f"{package.description.name} {package.description.version}",
        model_sha256=package.sha256,
        engine=cascade.engine,
        settings={"candidates": asdict(rule), "device": device},
        inputs=inputs,
        created_utc=datetime.now(UTC).isoformat(timespec="seconds"),
    )
    findings = Findings(
        study=StudyFacts(study.study_instance_uid, study.study_date, scan.facts),
        exam=exam,
        levels=levels,
        lesions=found.lesions,
        provenance=provenance,
    )
    lesion_map = LabelMap(found.on_scan, grid, {f"lesion_{x.id}": x.id for x in found.lesions})
    return Analysis(findings, scan.volume, cascade.bones, lesion_map, _log(findings, cascade))


@dataclass(frozen=True, slots=True, eq=False)
class _Found:
    """Lesions of one scan: instance maps on the scan and on the fine grid, and what each instance is."""

    on_scan: NDArray[np.uint16]
    fine: NDArray[np.uint16]
    lesions: tuple[Lesion, ...]


def _find_lesions(
    scan: Scan,
    evidence: LesionEvidence,
    probability: NDArray[np.float32],
    anatomy: Anatomy,
    rule: CandidateSettings,
) -> _Found:
    """Make instances on the fine grid, bring them to the scan, then measure, place and type them."""
    volume = scan.volume
    fine = find_instances(probability, evidence.bones, settings=rule)
    sites = locate_lesions(fine, anatomy)
    characters = characterise_lesions(fine, probability, channels=[LesionType(name) for name in evidence.types])
    confidences = compute_confidences(fine, probability)
    kept = [
        label
        for label, site in sites.items()
        if site is not None
        and STRUCTURES[site.site].group in SEARCHED_GROUPS
        and site.inside_fraction >= rule.minimum_inside_fraction
    ]
    on_scan = _bring_to_scan(fine, kept, evidence, volume)
    measures, metal = measure_lesions(on_scan, volume), find_metal(on_scan, volume)
    scan_uid = volume.grid.frame_of_reference_uid or _fingerprint(volume)
    lesions: list[Lesion] = []
    new_ids = np.zeros(int(fine.max()) + 1, dtype=np.uint16)
    for label, measured in sorted(measures.items()):
        site = sites[label]
        # The fine grid reaches beyond the scan: what the scan itself shows of a lesion must still be large enough.
        if site is not None and measured.volume_ml >= rule.minimum_volume_ml and label not in metal:
            new_ids[label] = number = len(lesions) + 1
            lesions.append(
                Lesion(
                    id=number,
                    type=characters[label].type,
                    site=site.site,
                    subsite=site.subsite,
                    **asdict(measured),
                    confidence=round(confidences[label], 4),
                    tracking_uid=_tracking_uid(scan_uid, measured.centroid_xyz_mm),
                    sequences=_shown_by(scan, measured.centroid_xyz_mm),
                )
            )
    return _Found(new_ids[on_scan], new_ids[fine], tuple(lesions))


def _shown_by(scan: Scan, centroid_xyz_mm: PointMm) -> tuple[SequenceRole, ...]:
    """MR sequences whose field of view holds a place."""
    return tuple(role for role, volume in scan.sequences.items() if volume.grid.contains(centroid_xyz_mm))


def _bring_to_scan(
    fine: NDArray[np.uint16], labels: list[int], evidence: LesionEvidence, volume: Volume
) -> NDArray[np.uint16]:
    """Instances on the grid of the scan, one by one in their own boxes."""
    on_scan = np.zeros(volume.grid.shape, dtype=np.uint16)
    boxes = find_boxes(fine)
    for label in labels:
        box = boxes[label]
        part = evidence.grid.crop(origin_of(box).tolist(), fine[box].shape)
        block, mask = instance_on_grid(fine[box] == label, part, volume.grid)
        target = on_scan[block]
        target[mask & (target == 0)] = label
    return on_scan


def _fingerprint(volume: Volume) -> str:
    """What tells scans apart that have no frame of reference: a digest of every eighth voxel."""
    return hashlib.sha256(volume.array[::8, ::8, ::8].tobytes()).hexdigest()


def _tracking_uid(scan_uid: str, centroid_xyz_mm: PointMm) -> str:
    """DICOM UID (PS3.5 B.2) that is the same whenever the same lesion of the same scan is found again."""
    place = ",".join(f"{v:.0f}" for v in centroid_xyz_mm)
    return f"2.25.{uuid.uuid5(uuid.NAMESPACE_OID, f'{scan_uid}/{place}').int}"


def _peak(probability: NDArray[np.float32]) -> float:
    """Highest lesion probability once single voxels are smoothed away."""
    total = np.minimum(probability.sum(axis=0), 1)
    return float(uniform_filter(total, size=3, mode="constant").max(initial=0))


def _input_names(inputs: Sequence[Path], sequences: Mapping[SequenceRole, Path]) -> tuple[str, ...]:
    """Inputs as the user gave them, without the folders above them."""
    return tuple(path.name for path in inputs) + tuple(f"{role}={path.name}" for role, path in sequences.items())


def _log(findings: Findings, cascade: CascadeResult) -> tuple[str, ...]:
    """What was run, on what, with which settings, how long it took, and what it said."""
    p = findings.provenance
    lines = [
        f"{p.created_utc} osteomet {p.version}, model {p.model} ({p.model_sha256[:12]}), {p.engine}",
        f"settings {json.dumps(p.settings)}",
    ]
    for series in findings.study.series:
        lines.append(f"series {series.source}: {series.role or 'set aside'}; {series.reason}")
        lines += [f"  note: {note}" for note in series.notes]
    lines += [f"{stage}: {seconds:.1f} s" for stage, seconds in cascade.seconds.items()]
    lines += [f"level {x.name}: confidence {x.confidence}" for x in findings.levels]
    lines += [f"not said: {a.code}: {a.reason}" for a in findings.exam.abstentions]
    lines += [
        f"lesion {x.id}: {x.type.value}, {x.site} {x.subsite or ''}, {x.volume_ml:.2f} ml, confidence {x.confidence}"
        + (f", seen on {', '.join(x.sequences)}" if x.sequences else "")
        for x in findings.lesions
    ]
    return tuple(lines)
