"""The process that nnU-Net runs in, with a stand-in for the program: what it says, how it fails, how it ends."""

import importlib.util
import os
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from osteomet.core.errors import DatasetError, OsteometError, OutputError, UsageError
from osteomet.training.nnunet import driver
from osteomet.training.nnunet.jobs import Place, PlanJob, PredictJob, Request, TrainJob, read_request, write_request
from osteomet.training.nnunet.trainer import _finite, _pseudo_dice, mean_dice

PLACE = Place("raw", "pre", "results", "Dataset001_vertebrae", "cpu")
JOB = PlanJob(("2d",), 8.0, 32)


@pytest.mark.parametrize(
    "job", [JOB, TrainJob((("2d", 0), ("3d_fullres", 4)), 2, 3, 1, 5), PredictJob("2d", (0, 1), ("a",), ("b",))]
)
def test_a_request_comes_back_as_it_was_written(job: PlanJob | TrainJob | PredictJob, tmp_path: Path) -> None:
    request = Request(PLACE, job, "log")
    write_request(request, tmp_path / "r.json")
    assert read_request(tmp_path / "r.json") == request


def run(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, program: str) -> list[tuple[object, ...]]:
    """Let a program of ours stand where the worker is; returns what it told."""
    (tmp_path / "fake_worker.py").write_text(program, encoding="utf-8")
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    monkeypatch.setattr(driver, "_MODULE", "fake_worker")
    monkeypatch.setattr(driver, "check_installed", lambda: None)
    told: list[tuple[object, ...]] = []
    driver.run_job(PLACE, JOB, tmp_path, tell=lambda *line: told.append(line))
    return told


def test_progress_and_errors_arrive_as_ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = """
import sys
print('{"progress": ["3d_fullres, fold 0", 1, 2, "loss 0.5"]}')
print("from nnU-Net", file=sys.stderr)
"""
    assert run(tmp_path, monkeypatch, lines) == [("3d_fullres, fold 0", 1, 2, "loss 0.5")]
    assert "from nnU-Net" in (tmp_path / "nnunet.log").read_text()
    failing = """
print('{"error": {"kind": "DatasetError", "what": "w", "expected": "e", "got": "g", "remedy": "r"}}')
raise SystemExit(1)
"""
    with pytest.raises(DatasetError, match=r"^w; expected e; got g; remedy: r$"):
        run(tmp_path, monkeypatch, failing)


def test_a_process_that_is_killed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(OsteometError, match=r"ended without a word \(vertebrae, plan\); got SIGKILL; .*--resume"):
        run(tmp_path, monkeypatch, "import os, signal; os.kill(os.getpid(), signal.SIGKILL)")


def test_what_the_process_started_ends_with_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = f"""
import subprocess, sys
child = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(600)"])
open({str(tmp_path / "pid")!r}, "w").write(str(child.pid))
"""
    run(tmp_path, monkeypatch, program)
    assert is_gone(int((tmp_path / "pid").read_text()))


def is_gone(pid: int) -> bool:
    """Whether a process has ended, or will have in a moment."""
    for _ in range(100):
        try:
            if Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] == "Z":
                return True
        except FileNotFoundError:
            return True
        time.sleep(0.05)
    return False


def test_the_worker_leaves_with_its_parent() -> None:
    program = "import osteomet.training.nnunet.worker as w; print('up', flush=True); w._leave_with_parent()"
    process = subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True
    )
    assert process.stdin is not None
    assert process.stdout is not None
    assert process.stdout.readline() == b"up\n"
    assert process.poll() is None
    process.stdin.close()
    assert process.wait(timeout=20) == -9
    process.stdout.close()


def test_errors_of_nnunet_become_ours() -> None:
    import torch

    from osteomet.training.nnunet.worker import _explained

    request = Request(PLACE, JOB, "out/nnunet.log")
    memory = _explained(torch.OutOfMemoryError("CUDA out of memory. Tried"), request)
    assert str(memory).startswith("there is no memory left for nnU-Net (vertebrae); got CUDA out of memory; remedy: ")
    disk = _explained(OSError(28, os.strerror(28), "x.pth"), request)
    assert isinstance(disk, OutputError)
    assert "got No space left on device: x.pth; remedy: free space" in str(disk)
    other = _explained(RuntimeError("workers"), request)
    assert "nnU-Net stopped (vertebrae, plan); got RuntimeError: workers; remedy: its own words are in " in str(other)
    ours = DatasetError("mine")
    assert _explained(ours, request) is ours


def test_without_nnunet_the_remedy_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)  # noqa: ARG005
    with pytest.raises(UsageError, match=r"nnU-Net is not installed; .*remedy: pip install 'osteomet\[nnunet\]'"):
        driver.check_installed()


def test_a_loss_that_is_no_number_stops_the_training() -> None:
    assert _finite([1.0, 3.0], "2d, fold 1", 7) == 2.0
    with pytest.raises(OsteometError, match="the loss of 2d, fold 1 is not a finite number in epoch 7; got 1 of 2"):
        _finite([1.0, float("nan")], "2d, fold 1", 7)


def test_pseudo_dice_is_pooled_over_patches_by_class() -> None:
    first = {"tp_hard": np.array([3.0, 0.0]), "fp_hard": np.array([1.0, 0.0]), "fn_hard": np.array([0.0, 0.0])}
    second = {"tp_hard": np.array([1.0, 0.0]), "fp_hard": np.array([0.0, 0.0]), "fn_hard": np.array([3.0, 0.0])}
    assert _pseudo_dice([first, second]) == pytest.approx(2 * 4 / (2 * 4 + 1 + 3))
    assert np.isnan(_pseudo_dice([{key: np.zeros(2) for key in first}]))


def test_the_figure_of_a_choice_leaves_out_cases_without_the_class() -> None:
    def case(one: float, two: float) -> dict[str, object]:
        return {"metrics": {"1": {"Dice": one}, "2": {"Dice": two}}}

    nan = float("nan")
    folds = [{"metric_per_case": [case(0.8, nan), case(0.6, nan)]}, {"metric_per_case": [case(0.1, 0.9)]}]
    assert mean_dice(folds) == pytest.approx((0.5 + 0.9) / 2)
    assert np.isnan(mean_dice([{"metric_per_case": [case(nan, nan)]}]))
