"""The process in which nnU-Net runs: ``python -m osteomet.training.nnunet.worker REQUEST``.

Standard output carries messages of ours, one JSON object a line: ``progress`` with a task, how much of it is done, how
much there is, and a remark; or ``error`` with the parts of an `OsteometError`. What nnU-Net prints goes to its log.
Standard input is a lifeline: when it ends, the process that asked for the job is gone, and this one ends with all that
it started. nnU-Net's environment variables are set here and nowhere else; those of the user do not count.
"""

from __future__ import annotations

import json
import os
import signal
import sys
import threading
from pathlib import Path
from typing import TextIO

from osteomet.core.errors import OsteometError, OutputError
from osteomet.training.nnunet.jobs import Place, PlanJob, PredictJob, Request, read_request
from osteomet.training.nnunet.steps import plan, predict, train

_PREFIX = "nnUNet_"


def main(request: Request) -> int:
    """Do a job; returns the exit code."""
    messages = _redirect(Path(request.log))
    threading.Thread(target=_leave_with_parent, daemon=True).start()
    _set_environment(request.place)

    def tell(task: str, done: int, total: int, remark: str) -> None:
        _send(messages, {"progress": [task, done, total, remark]})

    try:
        if isinstance(request.job, PlanJob):
            plan(request.place, request.job, tell)
        elif isinstance(request.job, PredictJob):
            predict(request.place, request.job, tell)
        else:
            train(request.place, request.job, tell)
    except Exception as error:
        import traceback

        traceback.print_exc()
        found = _explained(error, request)
        parts = {"what": found.what, "expected": found.expected, "got": found.got, "remedy": found.remedy}
        _send(messages, {"error": {"kind": type(found).__name__, **parts}})
        return 1
    return 0


def _explained(error: Exception, request: Request) -> OsteometError:
    """What an error means to the user."""
    import torch

    if isinstance(error, OsteometError):
        return error
    stage = request.place.dataset.partition("_")[2]
    if isinstance(error, torch.OutOfMemoryError | MemoryError):
        return OsteometError(
            f"there is no memory left for nnU-Net ({stage})",
            got=str(error).partition(". ")[0],
            remedy="lower plans.gpu_memory_gb of the recipe and start in a new folder, or free the device and go on",
        )
    if isinstance(error, OSError) and error.errno is not None:
        return OutputError(
            f"nnU-Net could not read or write a file ({stage})",
            got=f"{error.strerror}: {error.filename or 'unknown file'}",
            remedy="free space or mend permissions, then go on with --resume",
        )
    return OsteometError(
        f"nnU-Net stopped ({stage}, {request.job.kind})",
        got=f"{type(error).__name__}: {error}",
        remedy=f"its own words are in {request.log}; after mending the cause go on with --resume",
    )


def _redirect(log: Path) -> TextIO:
    """Send all that is printed, by child processes too, to the log; returns the way out for messages."""
    messages = os.fdopen(os.dup(1), "w", encoding="utf-8")
    sink = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)
    for number in (1, 2):
        os.dup2(sink, number)
    os.close(sink)
    sys.stdout.reconfigure(line_buffering=True)  # type: ignore[union-attr]
    return messages


def _send(messages: TextIO, content: dict[str, object]) -> None:
    messages.write(json.dumps(content) + "\n")
    messages.flush()


def _leave_with_parent() -> None:
    """Wait until the parent is gone, then end this process and its children, which are one group."""
    while os.read(0, 1024):
        pass
    os.killpg(os.getpgid(0), signal.SIGKILL)


def _set_environment(place: Place) -> None:
    """Tell nnU-Net where to work, before it is imported."""
    for name in [name for name in os.environ if name.startswith(_PREFIX)]:
        del os.environ[name]
    os.environ["nnUNet_raw"] = place.raw  # noqa: SIM112 - nnU-Net spells it so
    os.environ["nnUNet_preprocessed"] = place.preprocessed  # noqa: SIM112
    os.environ["nnUNet_results"] = place.results  # noqa: SIM112
    os.environ["nnUNet_n_proc_DA"] = str(place.n_processes)  # noqa: SIM112 - with 0 its planner fails
    os.environ["nnUNet_def_n_proc"] = str(place.n_processes)  # noqa: SIM112


if __name__ == "__main__":
    raise SystemExit(main(read_request(Path(sys.argv[1]))))
