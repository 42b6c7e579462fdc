"""Images of a study by the names that packages know them by: a sequence by its role, or a map of a dynamic series."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

from osteomet.core.errors import InputError, ModelError
from osteomet.core.grid import check_same_grid
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Volume
from osteomet.inference.sequences import align_sequences
from osteomet.io.study import Study, StudySeries
from osteomet.pipeline.dynamic_maps import MAPS, MapSettings, make_maps
from osteomet.pipeline.scan import Scan
from osteomet.pipeline.study_classifiers import StudyClassifier

_ROLES = {role.value.lower(): role for role in SequenceRole if role is not SequenceRole.DYNAMIC}


def roles_of(classifiers: Iterable[StudyClassifier]) -> frozenset[SequenceRole]:
    """Sequences that packages take, a dynamic series where they take maps of it.

    Raises
    ------
    ModelError
        If a package takes an image that is neither.
    """
    return frozenset(_role_of(name, one) for one in classifiers for name in one.use.images)


def gather_images(classifiers: Sequence[StudyClassifier], study: Study, scan: Scan) -> dict[str, Volume]:
    """Every image that packages take, by the name they know it by, in place on the scan.

    Maps of a dynamic series are made as `osteomet radiomics map` does without further options.

    Raises
    ------
    InputError
        If the study lacks a sequence, it shows something else than the scan, has one value only, or nothing says when
        the phases of a dynamic series were taken. Dynamic series are refused as `osteomet.image.dynamic` refuses them.
    """
    images: dict[str, Volume] = {}
    maps: Mapping[str, Volume] = {}
    for one in classifiers:
        for name in one.use.images:
            role = _role_of(name, one)
            if name in images:
                continue
            if role is SequenceRole.DYNAMIC:
                maps = maps or _maps(one, study, scan)
                images[name] = maps[name]
            else:
                images[name] = _placed(one, role, _series(one, role, study, scan)[0].volume, scan)
            _check_values(name, images[name])
    return images


def _role_of(name: str, classifier: StudyClassifier) -> SequenceRole:
    """Sequence that an image is, or is made from."""
    if name in MAPS:
        return SequenceRole.DYNAMIC
    if name.lower() in _ROLES:
        return _ROLES[name.lower()]
    raise ModelError(
        f"{_called(classifier)} takes an image that cannot be told among the series of a study",
        expected=f"channels named {', '.join(role.value for role in _ROLES.values())}, or maps {', '.join(MAPS)}",
        got=name,
        remedy="name the channels so in dataset.json of the data set, and fit it again",
    )


def _called(classifier: StudyClassifier) -> str:
    return f"the {classifier.use.kind.value} package “{classifier.use.package}”"


def _series(classifier: StudyClassifier, role: SequenceRole, study: Study, scan: Scan) -> list[StudySeries]:
    """Series of a role that lie beside the scan, of several diffusion weightings the strongest first."""
    modality = scan.volume.modality
    found = [one for one in study.series if one.role is role and one.volume.modality is modality]
    if not found:
        raise InputError(
            f"the study lacks what {_called(classifier)} needs",
            expected=f"{role.value}, for {', '.join(classifier.use.images)}",
            got=", ".join(dict.fromkeys(one.role.value for one in study.series)),
            remedy=f"add the series, state it with --sequence {role.value}=PATH, or leave the --classifier out",
        )
    return sorted(found, key=lambda one: -(one.b_value_s_per_mm2 or 0.0))


def _placed(classifier: StudyClassifier, role: SequenceRole, volume: Volume, scan: Scan) -> Volume:
    """An image where it lies beside the scan; that of a role which the model reads lies there already."""
    if role in scan.sequences:
        return scan.sequences[role]
    if scan.volume.modality is Modality.CT:
        return scan.volume
    first = next(one for one, sequence in scan.sequences.items() if sequence is scan.volume)
    aligned = align_sequences({first: scan.volume, role: volume}, [first])
    if role in aligned.left_out:
        raise InputError(
            f"{_called(classifier)} needs {role.value}, which cannot be put in place on {first.value}",
            got=aligned.left_out[role],
            remedy="leave the --classifier out, or pass the series of this exam",
        )
    return aligned.volumes[role]


def _maps(classifier: StudyClassifier, study: Study, scan: Scan) -> Mapping[str, Volume]:
    """Maps of the dynamic series of a study."""
    role = SequenceRole.DYNAMIC
    phases = sorted(_series(classifier, role, study, scan), key=lambda one: one.phase or 0)
    times_s = [one.time_s for one in phases if one.time_s is not None]
    if len(times_s) < len(phases):
        raise InputError(
            f"{_called(classifier)} needs maps of the dynamic series, and nothing says when its phases were taken",
            expected="TemporalPositionTimeOffset, AcquisitionTime or TriggerTime in each phase of a DICOM series",
            got=f"{len(phases)} phases of {phases[0].facts.source} without times",
        )
    for number, one in enumerate(phases[1:], start=2):
        check_same_grid(phases[0].volume.grid, one.volume.grid, names=("phase 1", f"phase {number}"))
    grid = _placed(classifier, role, phases[0].volume, scan).grid
    return make_maps([replace(one.volume, grid=grid) for one in phases], times_s, MapSettings()).maps


def _check_values(name: str, volume: Volume) -> None:
    """Refuse an image that shows nothing."""
    if volume.array.min() == volume.array.max():
        raise InputError(
            f"the image “{name}” that a classifier needs has the same value everywhere",
            got=f"{float(volume.array.flat[0]):g}",
            remedy="leave the --classifier out, or pass another series",
        )
