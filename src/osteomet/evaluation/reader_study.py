"""A reader study beside the model: every reader, their mean, the model against them, aided against unaided."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from osteomet.core.errors import InputError
from osteomet.core.volume import LabelMap
from osteomet.evaluation.instances import CONNECTIVITY
from osteomet.evaluation.mark_matching import (
    MODEL,
    LesionVoxels,
    MarkRule,
    MatchedReading,
    lesion_voxels,
    match_reading,
)
from osteomet.evaluation.marks import AIDED, UNAIDED, Reading
from osteomet.evaluation.matching import CaseDetections
from osteomet.evaluation.metrics import Metric, Resampling
from osteomet.evaluation.parts import slug
from osteomet.evaluation.protocols import Protocol
from osteomet.evaluation.reader_comparisons import compare_conditions, compare_model
from osteomet.evaluation.reader_tables import ReadCase, ReaderTable, reader_tables
from osteomet.evaluation.readers import FIGURES, Figure, ReaderFigures, mean_of_readers, reader_figures
from osteomet.evaluation.tables import Table, Value
from osteomet.image.components import label_components
from osteomet.io.case_images import LesionMap, read_case
from osteomet.io.dataset import CasePair, LeftOut
from osteomet.stats.agreement import fleiss_kappa
from osteomet.stats.hypothesis import holm_by_family
from osteomet.stats.intervals import Estimate

_COUNTS: tuple[Figure, ...] = ("sensitivity", "ppv", "fp_per_series")
_MERITS: tuple[Figure, ...] = ("jafroc", "jafroc1", "auc")


@dataclass(frozen=True, slots=True)
class ReaderStudy:
    """Figures of every reader and of the model on the cases that were read, comparisons as a table, and metrics.

    ``tables`` holds what each reader did, in the order of ``readers``, ``model_table`` what the model did.
    """

    readers: tuple[ReaderFigures, ...]
    model: ReaderFigures
    tables: tuple[ReaderTable, ...]
    model_table: ReaderTable
    comparisons: Table
    metrics: Mapping[str, Metric]
    left_out: tuple[LeftOut, ...] = ()


def evaluate_readers(
    readings: Sequence[Reading],
    *,
    pairs: Sequence[CasePair],
    detections: Sequence[CaseDetections],
    protocol: Protocol,
    resampling: Resampling,
    continue_on_error: bool = False,
) -> ReaderStudy:
    """Match the marks of readers with the reference and compare them with the model.

    Parameters
    ----------
    readings
        Marks as read.
    pairs, detections
        Files and outcomes of the evaluated cases, in one order.
    protocol
        How the model was matched. Marks follow it as far as they can: a box or mask hits a lesion when it holds as many
        of its voxels as the rule asks for (one, where the rule is not about voxels); reference lesions below the
        minimum volume are no lesions.
    resampling
        Seed, draws and level.
    continue_on_error
        Leave a case of which a reading cannot be used out of the study, for all readers, instead of raising.

    Raises
    ------
    InputError
        If a reading is of a case that was not evaluated, or what `match_reading` refuses; the message names it. With
        ``continue_on_error`` only if no case is left.

    Notes
    -----
    A reader study is about the cases that any reader read: the model is measured on those here. A case that one of the
    readers left unread counts as read without marks.
    """
    read = {reading.case for reading in readings}
    known = {case.facts.case: case for case in detections}
    voxels = {p.facts.case: _reference_voxels(p, protocol) for p in pairs if p.facts.case in read}
    matched, left_out = _match(readings, voxels, protocol, continue_on_error=continue_on_error)
    kept = sorted({reading.case for reading in matched})
    cases = [ReadCase(name, known[name].facts.patient, voxels[name].n_lesions) for name in kept]
    tables = reader_tables(cases, matched)
    (model,) = reader_tables(cases, [_model_reading(known[case.case]) for case in cases])
    comparisons, metrics = _compare(tables, model, resampling)
    readers, own = (
        tuple(
            reader_figures(t, rng=resampling.rng(), n_draws=resampling.n_draws, level=resampling.level) for t in group
        )
        for group in (tables, (model,))
    )
    return ReaderStudy(readers, own[0], tables, model, comparisons, metrics, left_out)


def _match(
    readings: Sequence[Reading],
    voxels: Mapping[str, LesionVoxels],
    protocol: Protocol,
    *,
    continue_on_error: bool,
) -> tuple[list[MatchedReading], tuple[LeftOut, ...]]:
    """Matched readings, and the cases left out because one of their readings cannot be used."""
    rule = protocol.rule
    marks = MarkRule(minimum_voxels=int(rule.threshold) if rule.criterion == "common voxels" else 1)
    matched: list[MatchedReading] = []
    left_out: dict[str, LeftOut] = {}
    for reading in readings:
        try:
            if reading.case not in voxels:
                what = f"{reading.describe()}: no such case was evaluated"
                raise InputError(what, remedy="check the name of the case")
            matched.append(match_reading(reading, voxels[reading.case], marks))
        except InputError as error:
            if not continue_on_error:
                raise
            left_out.setdefault(reading.case, LeftOut(reading.case, f"left out of the reader study: {error}"))
    kept = [reading for reading in matched if reading.case not in left_out]
    if not kept:
        reasons = [left.reason for left in left_out.values()]
        raise InputError("no case of the reader study can be used", got=reasons[0] if reasons else "no reading")
    return kept, tuple(left_out.values())


def reader_table(study: ReaderStudy) -> Table:
    """One row a reader and condition, the model last."""
    columns = ["reader", "condition", "cases", "lesions", "marks", "unread"]
    columns += [f"{name}{end}" for name in FIGURES for end in ("", "_low", "_high")]
    rows = tuple(
        (
            *(figures.reader, figures.condition, figures.n_cases, figures.n_lesions, figures.n_marks),
            len(figures.unread),
            *(v for name in FIGURES for e in (getattr(figures, name),) for v in (e.value, e.low, e.high)),
        )
        for figures in (*study.readers, study.model)
    )
    return Table("readers", "Readers and model on the cases that were read", tuple(columns), rows)


def _reference_voxels(pair: CasePair, protocol: Protocol) -> LesionVoxels:
    """Reference lesions of a case that count, as voxels."""
    instances = _instances(read_case(replace(pair, prediction=None)).reference, by_label=protocol.by_label)
    sizes = np.bincount(instances.array.ravel()) * instances.grid.voxel_volume_ml
    small = sizes < protocol.rule.minimum_volume_ml * (1 - 1e-9)
    kept = np.where(small[instances.array], 0, instances.array).astype(np.uint32)
    return lesion_voxels(LabelMap(kept, instances.grid, instances.labels))


def _instances(reference: LesionMap, *, by_label: bool) -> LabelMap:
    """Each lesion of a reference with a label of its own."""
    labels = reference.map
    if reference.is_instances:
        return labels
    masks = [labels.mask(name) for name in labels.present()] if by_label else [labels.array != 0]
    array, total = np.zeros(labels.grid.shape, dtype=np.uint32), 0
    for mask in masks:
        components, n = label_components(mask, connectivity=CONNECTIVITY)
        array[mask] = components[mask] + total
        total += n
    return LabelMap(array, labels.grid, {f"lesion_{n}": n for n in range(1, total + 1)})


def _model_reading(case: CaseDetections) -> MatchedReading:
    """Predictions of the model as marks."""
    number = {lesion.instance.id: n for n, lesion in enumerate(case.references)}
    hits = tuple(tuple(number[hit] for hit in p.hits) for p in case.predictions)
    return MatchedReading(MODEL, MODEL, case.facts.case, hits, tuple(p.instance.confidence for p in case.predictions))


def _compare(
    tables: Sequence[ReaderTable], model: ReaderTable, resampling: Resampling
) -> tuple[Table, dict[str, Metric]]:
    """Means of the readers, model against them, and aided against unaided where both were read.

    Figures of merit are compared where every reader, and the model, scored all marks.
    """
    metrics: dict[str, Metric] = {}
    rows: list[tuple[Value, ...]] = []
    conditions = tuple(dict.fromkeys(table.condition for table in tables))
    for condition in conditions:
        group = [table for table in tables if table.condition == condition]
        end = "" if condition == UNAIDED or len(conditions) == 1 else f".{slug(condition)}"
        metrics |= {f"readers.{name}{end}": m for name, m in _means(group, resampling.level).items()}
        for figure in _comparable([*group, model]) if len(group) > 1 else ():
            against = compare_model(model, group, figure, level=resampling.level)
            row = condition, MODEL, figure, *_limits(against.difference)
            rows.append((*row, against.test.name, against.test.p_value))
    for figure in _comparable(tables) if {AIDED, UNAIDED} <= set(conditions) else ():
        c = compare_conditions(tables, (UNAIDED, AIDED), figure, rng=resampling.rng(), level=resampling.level)
        start = UNAIDED, AIDED, figure
        rows += [(*start, *_limits(r.difference), f"patient bootstrap, {r.reader}", r.p_value) for r in c.readers]
        if c.mrmc is not None:
            rows.append((*start, *_limits(c.mrmc.differences[0].difference), c.mrmc.test.name, c.mrmc.test.p_value))
    families = [(f"{row[6]}".partition(",")[0], None if row[7] is None else float(row[7])) for row in rows]
    rows = [(*row, p) for row, p in zip(rows, holm_by_family(families), strict=True)]
    columns = ("first", "second", "figure", "second_minus_first", "low", "high", "test", "p", "p_holm")
    note = (
        "Obuchowski–Rockette with random readers and cases. jafroc: false positives of cases without lesion; jafroc1: "
        "of all cases; auc: cases rated by their surest mark. p_holm: Holm over all rows of the same test."
    )
    return Table("reader_comparisons", "Comparisons of readers", columns, tuple(rows), note), metrics


def _comparable(tables: Sequence[ReaderTable]) -> tuple[Figure, ...]:
    """Figures that all these readers have."""
    return (*_COUNTS, *_MERITS) if all(table.scored for table in tables) else _COUNTS


def _means(group: Sequence[ReaderTable], level: float) -> dict[str, Metric]:
    """Mean of each figure over readers, and their agreement (Fleiss' κ) on which cases have a lesion."""
    metrics: dict[str, Metric] = {
        figure: Metric(mean_of_readers(group, figure, level=level), "per case" if figure == "fp_per_series" else "1")
        for figure in _comparable(group)
    }
    calls = np.array([[bool(reading.hits) for reading in table.readings] for table in group])
    if len(group) > 1:
        metrics["kappa"] = Metric(fleiss_kappa(calls.T.astype(np.int64), level=level))
    return metrics


def _limits(estimate: Estimate) -> tuple[float | None, float | None, float | None]:
    return estimate.value, estimate.low, estimate.high
