"""What a model reads of a study: the one CT, or every MR sequence that it knows and that lies in place."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from osteomet.core.errors import InputError
from osteomet.core.findings import SeriesFacts
from osteomet.core.model import ModelDescription
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality, Volume
from osteomet.inference.sequences import align_sequences
from osteomet.io.model_package import ModelPackage, package_names, shipped_names
from osteomet.io.study import Study, StudySeries

_DEFAULT_MODELS = {Modality.CT: "default-ct", Modality.MR: "default-mr"}


@dataclass(frozen=True, slots=True, eq=False)
class Scan:
    """The images that are analysed together.

    ``volume`` is the one whose grid the results lie on; ``sequences`` holds on MR every image by its role, in place on
    one another; ``facts`` tells of every series of the study whether it was used and why.
    """

    volume: Volume
    facts: tuple[SeriesFacts, ...]
    sequences: Mapping[SequenceRole, Volume] = field(default_factory=dict)


def default_model(study: Study, imported: Path | None) -> str:
    """Name of the model for the modality of a study: that for CT where it has one, or where there is none for MR."""
    modality = Modality.MR
    if any(series.volume.modality is Modality.CT for series in study.series):
        modality = Modality.CT
    name = _DEFAULT_MODELS[modality]
    known = package_names(imported) if imported is not None else shipped_names()
    return name if name in known else _DEFAULT_MODELS[Modality.CT]


def choose_scan(study: Study, package: ModelPackage, *, classified: frozenset[SequenceRole] = frozenset()) -> Scan:
    """Choose what the model reads of a study, on MR register it, and say what was left out and why.

    ``classified`` are roles that classifiers read beside it.

    Raises
    ------
    InputError
        If the study has no series that the model handles.
    """
    description = package.description
    fitting = [series for series in study.series if series.volume.modality is description.modality]
    if description.modality is Modality.MR:
        return _mr_scan(study, fitting, description, classified)
    if not fitting:
        raise _nothing(study, f"{description.modality} for model {description.name!r}")
    chosen = fitting[0]
    others = [_not_read(series) for series in study.series if series is not chosen]
    return Scan(chosen.volume, _without_folders([chosen.facts, *others, *study.set_aside]))


def _mr_scan(
    study: Study, fitting: list[StudySeries], description: ModelDescription, classified: frozenset[SequenceRole]
) -> Scan:
    """Every sequence that a network of the model can take, in place on the one that shows it the bones."""
    known = {role for part in description.parts for roles in part.sequences for role in roles}
    preferred = [role for roles in description.part("bones").sequences for role in roles]
    by_role: dict[SequenceRole, StudySeries] = {}
    for series in fitting:
        # Of several weightings of one diffusion series the strongest shows lesions best.
        weight = series.b_value_s_per_mm2 or 0.0
        held = by_role.get(series.role)
        if series.role in known and (held is None or weight > (held.b_value_s_per_mm2 or 0.0)):
            by_role[series.role] = series
    if not set(preferred) & set(by_role):
        raise _nothing(study, f"MR, {' or '.join(role.value for role in preferred)}, for model {description.name!r}")
    aligned = align_sequences({role: series.volume for role, series in by_role.items()}, preferred)
    used: list[SeriesFacts] = []
    left: list[SeriesFacts] = []
    for series in study.series:
        role = series.role
        if by_role.get(role) is not series and role in classified - set(by_role):
            used.append(replace(series.facts, reason=f"{series.facts.reason}; read by a classifier"))
        elif by_role.get(role) is not series:
            left.append(_not_read(series))
        elif role in aligned.left_out:
            left.append(replace(series.facts, role=None, reason=f"{series.facts.reason}; {aligned.left_out[role]}"))
        else:
            used.append(replace(series.facts, notes=(*series.facts.notes, aligned.notes[role])))
    used.sort(key=lambda facts: facts.role != aligned.first.value)
    facts = _without_folders([*used, *left, *study.set_aside])
    return Scan(aligned.volumes[aligned.first], facts, aligned.volumes)


def _nothing(study: Study, expected: str) -> InputError:
    """The study has no series for the model."""
    return InputError(
        "the study has no series that the model handles",
        expected=expected,
        got=", ".join(f"{series.role} ({series.volume.modality})" for series in study.series) or "no series",
        remedy="choose a model for this modality with --model, or state a series with --sequence ROLE=PATH",
    )


def _not_read(series: StudySeries) -> SeriesFacts:
    """Facts of a series that took no part, with the reason."""
    return replace(series.facts, role=None, reason=f"{series.facts.reason}; not read by this model")


def _without_folders(facts: list[SeriesFacts]) -> tuple[SeriesFacts, ...]:
    """Name the sources without the folders above them, which often hold the name of a patient."""
    return tuple(replace(one, source=Path(one.source).name) for one in facts)
