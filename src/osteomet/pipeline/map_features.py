"""Features of several maps of each lesion in one table."""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from osteomet.io.csv_rows import read_rows
from osteomet.io.lesion_cases import channel_names
from osteomet.io.output import output_file
from osteomet.pipeline.radiomics import KEY_COLUMNS, extract_from_dataset
from osteomet.pipeline.studies.study_job import Tell
from osteomet.radiomics.settings import RadiomicsSettings


def extract_maps(data: Path, out: Path, maps: Sequence[str], settings: RadiomicsSettings, *, tell: Tell) -> None:
    """Write the features of each lesion on several channels, each name with that of its channel in front.

    ``OUT`` gets a table for each map, from which a stopped run goes on, and ``features.csv`` with all of them.

    Raises
    ------
    DatasetError, GeometryError
        If the data set lacks a channel, or as `osteomet.pipeline.radiomics.extract_from_dataset`.
    """
    out.mkdir(exist_ok=True)
    numbers = {name: number for number, name in channel_names(data).items()}
    for name in maps:
        if not (out / f"{name}.csv").exists():
            extract_from_dataset(
                data,
                out / f"{name}.csv",
                channel=numbers[name],
                settings=settings,
                progress=partial(_tell_features, tell, name),
            )
    _join([(name, out / f"{name}.csv") for name in maps], out / "features.csv")


def _tell_features(tell: Tell, name: str, done: int, total: int) -> None:
    tell("features", done, total, name)


def _join(tables: Sequence[tuple[str, Path]], out: Path) -> None:
    """Put tables of the same lesions side by side."""
    parts = [(name, read_rows(path, KEY_COLUMNS)) for name, path in tables]
    first = parts[0][1]
    names = [column for column in first[0].cells if column not in KEY_COLUMNS]
    with output_file(out) as partial, partial.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*KEY_COLUMNS, *(f"{name}_{column}" for name, _ in parts for column in names)])
        for number, row in enumerate(first):
            values = [rows[number].cells[column] for _, rows in parts for column in names]
            writer.writerow([*(row.cells[column] for column in KEY_COLUMNS), *values])
    facts = {name: json.loads(path.with_suffix(".json").read_text(encoding="utf-8")) for name, path in tables}
    document = {"settings": facts[tables[0][0]]["settings"], "maps": facts}
    with output_file(out.with_suffix(".json")) as partial:
        partial.write_text(json.dumps(document, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")
