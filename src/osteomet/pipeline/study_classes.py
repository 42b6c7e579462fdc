"""What packages say of the lesions and the exam of an analysed study, joined to its findings."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from osteomet.core.classification import Classification, ClassifierKind, ClassifierUse
from osteomet.core.errors import InputError
from osteomet.core.findings import Findings
from osteomet.core.grader import GraderPart
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.volume import LabelMap, Volume
from osteomet.image.cube import cut_cube
from osteomet.image.exam_map import make_exam_map
from osteomet.inference.cascade import instance_on_grid
from osteomet.inference.classify import load_classifier
from osteomet.inference.engine import Device, choose_device
from osteomet.inference.ensemble import build_ensemble
from osteomet.io.model_package import ModelPackage
from osteomet.io.signature_file import SignaturePackage
from osteomet.nn.graders import grade_maps
from osteomet.pipeline.signature_predict import predict_lesion
from osteomet.pipeline.study_classifiers import StudyClassifier, signature_features
from osteomet.radiomics.extract import extract_features

_DIGITS = 4
Images = Mapping[str, Volume]
Voxels = Mapping[str, NDArray[np.bool_]]
"""Voxels of a lesion on each image."""
Say = Callable[[Voxels], tuple[Sequence[float] | None, str]]
"""From the voxels of a lesion to the probability of each class, or None, and a note."""


def classify_findings(
    findings: Findings,
    classifiers: Sequence[StudyClassifier],
    images: Images,
    *,
    lesions: LabelMap,
    bones: LabelMap,
    device: Device,
    progress: Callable[[str, int, int], None],
) -> Findings:
    """Join what packages say of each lesion, and of the exam, to the findings.

    Parameters
    ----------
    findings
        Of the study.
    classifiers, images
        Packages, and every image that they take (`osteomet.pipeline.study_images.gather_images`).
    lesions, bones
        Maps of the study, on any grid; the values of ``lesions`` are ids of the findings.

    Notes
    -----
    A lesion whose middle an image does not show, or of which a feature cannot be computed, and an exam whose spine
    cannot be straightened, get no probability, and a note says why.
    """
    said: dict[int, list[Classification]] = {lesion.id: [] for lesion in findings.lesions}
    gradings: list[Classification] = []
    for done, one in enumerate(classifiers):
        progress("classes", done, len(classifiers))
        if one.use.kind is ClassifierKind.GRADER:
            gradings.append(_grade(one, images, bones, device))
            continue
        say = _lesion_classifier(one, images, device)
        mine = {name: images[name] for name in one.use.images}
        for lesion in findings.lesions:
            said[lesion.id].append(_classify(one.use, lesion, lesions, mine, say))
    progress("classes", len(classifiers), len(classifiers))
    return replace(
        findings,
        exam=replace(findings.exam, gradings=tuple(gradings)),
        lesions=tuple(replace(x, classifications=tuple(said[x.id])) for x in findings.lesions),
        provenance=replace(findings.provenance, classifiers=tuple(one.use for one in classifiers)),
    )


def classes_log(findings: Findings) -> tuple[str, ...]:
    """Lines of the log: which packages took part, and what they said."""
    lines = [
        f"classifier: {use.kind.value} {use.package} {use.version} ({use.sha256[:12]}) on {', '.join(use.images)}"
        for use in findings.provenance.classifiers
    ]
    lines += [f"exam by {_words(one)}" for one in findings.exam.gradings]
    lines += [f"lesion {x.id} by {_words(one)}" for x in findings.lesions for one in x.classifications]
    return tuple(lines)


def _words(one: Classification) -> str:
    shares = ", ".join(f"{label} {share}" for label, share in (one.probabilities or {}).items())
    return f"{one.kind.value} {one.package}: {'; '.join(part for part in (shares, one.note) if part)}"


def _said(use: ClassifierUse, probabilities: Sequence[float] | None, note: str = "") -> Classification:
    """Probabilities of the classes of a package with the likeliest of them."""
    if probabilities is None:
        return Classification(use.kind, use.package, use.version, None, None, note)
    shares = {label: round(float(p), _DIGITS) for label, p in zip(use.classes, probabilities, strict=True)}
    likeliest = use.classes[int(np.argmax(probabilities))]
    return Classification(use.kind, use.package, use.version, likeliest, shares, note)


def _classify(
    use: ClassifierUse,
    lesion: Lesion,
    lesions: LabelMap,
    images: Images,
    say: Say,
) -> Classification:
    """What a package says of a lesion, if every image shows its middle."""
    unseen = [name for name, image in images.items() if not image.grid.contains(lesion.centroid_xyz_mm)]
    if unseen:
        return _said(use, None, f"the lesion lies outside of what {' and '.join(unseen)} shows")
    return _said(use, *say({name: _voxels_on(image.grid, lesions, lesion.id) for name, image in images.items()}))


def _voxels_on(grid: Grid, lesions: LabelMap, number: int) -> NDArray[np.bool_]:
    """Voxels of a lesion on a grid: those of the map itself where it is the same grid."""
    mask = np.asarray(lesions.array == number)
    if lesions.grid.same_as(grid):
        return mask
    found = np.zeros(grid.shape, dtype=np.bool_)
    block, inside = instance_on_grid(mask, lesions.grid, grid)
    found[block] = inside
    return found


def _lesion_classifier(one: StudyClassifier, images: Images, device: Device) -> Say:
    """A function from the voxels of a lesion to probabilities, or why there are none."""
    if isinstance(one.package, SignaturePackage):
        return _by_signature(one.package, images)
    return _by_networks(one.package, one.use, images, device)


def _by_signature(package: SignaturePackage, images: Images) -> Say:
    signature, features = package.signature, signature_features(package.signature)

    def say(voxels: Voxels) -> tuple[Sequence[float] | None, str]:
        found = {name: extract_features(images[name], voxels[name], features.settings) for name in features.images}
        values = {feature: found[image].values[plain] for feature, (image, plain) in features.sources.items()}
        predicted = predict_lesion(signature, ("", ""), values)
        if predicted.probability is None:
            return None, predicted.note
        note = "" if signature.terms else "the signature has no feature: every lesion has the same probability"
        return (predicted.probability, 1 - predicted.probability), note

    return say


def _by_networks(package: ModelPackage, use: ClassifierUse, images: Images, device: Device) -> Say:
    classifier = load_classifier(package, device=device)
    part, channels = classifier.part, [images[name] for name in use.images]

    def say(voxels: Voxels) -> tuple[Sequence[float] | None, str]:
        cube = cut_cube(channels, voxels[use.images[0]], side=part.side, edge_mm=part.edge_mm)
        return classifier.probabilities(cube[None])[0].tolist(), ""

    return say


def _grade(one: StudyClassifier, images: Images, bones: LabelMap, device: Device) -> Classification:
    """What a grader says of the exam; why nothing, where its spine cannot be straightened."""
    assert isinstance(one.package, ModelPackage)
    part = one.package.description.grader
    assert isinstance(part, GraderPart)
    try:
        found = make_exam_map([images[name] for name in part.sequences], bones, part.steps)
    except InputError as error:
        return _said(one.use, None, str(error))
    chosen = choose_device(device)
    shares = grade_maps(build_ensemble(one.package, part).to(chosen), found.array[None], device=chosen)[0]
    return _said(one.use, shares.tolist(), "; ".join(found.notes))
