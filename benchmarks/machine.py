"""What every benchmark prints first: machine and versions, so that its figures can be compared at all."""

from __future__ import annotations

import os
import platform
from importlib.metadata import version
from pathlib import Path


def describe_machine(*packages: str) -> str:
    """One line for the machine and one for the versions."""
    model = next(
        (line.split(":", 1)[1].strip() for line in _read("/proc/cpuinfo") if line.startswith("model name")), "unknown"
    )
    memory = next((int(line.split()[1]) / 2**20 for line in _read("/proc/meminfo") if line.startswith("MemTotal")), 0.0)
    load = os.getloadavg()[0]
    versions = ", ".join(f"{name} {version(name)}" for name in ("osteomet", "numpy", *packages))
    machine = f"{model}, {os.cpu_count()} cores, {memory:.0f} GiB, load {load:.1f}"
    return f"{machine}\nPython {platform.python_version()}, {versions}"


def _read(path: str) -> list[str]:
    file = Path(path)
    return file.read_text(encoding="utf-8").splitlines() if file.exists() else []
