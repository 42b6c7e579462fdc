"""The command: its options, its JSON, and what it refuses."""

import json
from pathlib import Path

import numpy as np
from typer.testing import CliRunner

from osteomet.cli.main import app
from osteomet.core.errors import UsageError
from osteomet.core.grid import Grid
from osteomet.core.volume import LabelMap
from osteomet.io.formats import write_labels


def test_the_result_comes_as_json_and_as_files(tmp_path: Path) -> None:
    array = np.zeros((4, 4, 4), dtype=np.uint8)
    array[1:3, 1:3, 1:3] = 1
    for name in ("reference", "prediction"):
        (tmp_path / name).mkdir()
        labels = LabelMap(array, Grid.from_spacing((4, 4, 4), (1, 1, 1)), {"lesion": 1})
        write_labels(labels, tmp_path / name / "case.nii.gz")
    folders = ["--reference", str(tmp_path / "reference"), "--prediction", str(tmp_path / "prediction")]
    out = tmp_path / "out"
    done = CliRunner().invoke(app, ["evaluate", *folders, "--out", str(out), "--json"])
    assert done.exit_code == 0, done.output
    printed = json.loads(done.stdout)
    assert printed["metrics"]["lesion.dice"]["value"] == 1
    assert {p.name for p in out.iterdir()} == {".osteomet", "metrics.json", "report.html", "tables", "figures"}


def test_without_inputs_there_is_nothing_to_evaluate(tmp_path: Path) -> None:
    done = CliRunner().invoke(app, ["evaluate", "--out", str(tmp_path / "out")])
    assert isinstance(done.exception, UsageError)
