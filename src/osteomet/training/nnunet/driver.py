"""Start nnU-Net in a process of its own, listen to it, and end it when we end."""

from __future__ import annotations

import importlib.util
import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable
from contextlib import suppress
from pathlib import Path

from osteomet.core import errors
from osteomet.core.errors import OsteometError, UsageError
from osteomet.training.nnunet.jobs import Job, Place, Request, write_request

LOG = "nnunet.log"
_MODULE = "osteomet.training.nnunet.worker"
_PATIENCE_S = 5


def check_installed() -> None:
    """Refuse to go on without nnU-Net.

    Raises
    ------
    UsageError
        If it is not installed.
    """
    if importlib.util.find_spec("nnunetv2") is None:
        raise UsageError(
            "nnU-Net is not installed",
            expected="the package nnunetv2, which this study trains",
            remedy="pip install 'osteomet[nnunet]'",
        )


def run_job(place: Place, job: Job, folder: Path, *, tell: Callable[[str, int, int, str], None]) -> None:
    """Have nnU-Net do a job, and wait for it.

    Parameters
    ----------
    place
        Where it works.
    job
        What it does.
    folder
        Gets the request and ``nnunet.log``, to which all is appended that nnU-Net says.
    tell
        Called with a task, how much of it is done, how much there is, and a remark.

    Raises
    ------
    OsteometError
        What went wrong there, in our words.

    Notes
    -----
    The process and its children are a group of their own, which is ended with this process, however that ends.
    """
    check_installed()
    request, log = folder / f"nnunet-{job.kind}.json", folder / LOG
    write_request(Request(place, job, str(log)), request)
    with log.open("a", encoding="utf-8") as sink:
        process = subprocess.Popen(
            [sys.executable, "-m", _MODULE, str(request)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=sink,
            text=True,
            start_new_session=True,
        )
    assert process.stdout is not None
    threading.Thread(target=_end_group_after, args=(process,), daemon=True).start()
    try:
        failed = _listen(process.stdout, tell)
        code = process.wait()
    finally:
        _end(process)
    if failed is not None:
        raise failed
    if code:
        ended = signal.Signals(-code).name if code < 0 else f"exit code {code}"
        raise OsteometError(
            f"the process of nnU-Net ended without a word ({place.dataset.partition('_')[2]}, {job.kind})",
            got=ended,
            remedy=f"SIGKILL is a sign of too little memory; else see {log}; then go on with --resume",
        )


def _listen(lines: Iterable[str], tell: Callable[[str, int, int, str], None]) -> OsteometError | None:
    """Pass progress on until the process closes its end; returns the error that it spoke of."""
    failed = None
    for line in lines:
        content = json.loads(line)
        if "progress" in content:
            tell(*content["progress"])
        else:
            parts = content["error"]
            kind = getattr(errors, parts.pop("kind"))
            failed = kind(parts.pop("what"), **parts)
    return failed


def _end_group_after(process: subprocess.Popen[str]) -> None:
    """End what the process started once it has ended itself: its children hold the way open that we listen at."""
    process.wait()
    _kill_group(process.pid)


def _end(process: subprocess.Popen[str]) -> None:
    """End the process and whatever it started."""
    for stream in (process.stdin, process.stdout):
        if stream is not None:
            stream.close()
    _kill_group(process.pid)
    process.wait(timeout=_PATIENCE_S)


def _kill_group(number: int) -> None:
    with suppress(ProcessLookupError):
        os.killpg(number, signal.SIGKILL)
