"""Help of every command, and that asking for it loads nothing heavy."""

import json
import os
import subprocess
import sys

import pytest
from tests.conftest import Osteomet

COMMANDS = (
    (), ("demo",), ("analyze",), ("synth",), ("train",), ("resample",), ("convert",), ("model",), ("model", "list"),
    ("model", "show"), ("model", "import"), ("model", "export"), ("predict",),
)  # fmt: skip


@pytest.mark.parametrize("command", COMMANDS, ids=" ".join)
def test_help(command: tuple[str, ...], osteomet: Osteomet) -> None:
    outcome = osteomet(*command, "--help")
    assert outcome.code == 0
    assert " ".join(("Usage: osteomet", *command)) in " ".join(outcome.out.split())
    assert outcome.err == ""


def test_help_names_every_command(osteomet: Osteomet) -> None:
    text = osteomet("--help").out
    assert all(f" {command[0]} " in text for command in COMMANDS if command)


LOADED = """
import sys
from osteomet.cli.main import main
sys.argv = ["osteomet", *sys.argv[1:]]
try:
    main()
finally:
    heavy = {"torch", "openvino", "numpy", "scipy", "pydicom", "matplotlib"} & set(sys.modules)
    print("heavy:", sorted(heavy), file=sys.stderr)
"""


@pytest.mark.parametrize("arguments", [("--help",), ("analyze", "--help")], ids=" ".join)
def test_help_loads_nothing_heavy(arguments: tuple[str, ...]) -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    run = subprocess.run(
        [sys.executable, "-c", LOADED, *arguments], env=environment, capture_output=True, text=True, check=False
    )
    assert run.returncode == 0, run.stderr
    assert run.stderr.splitlines()[-1] == "heavy: []"


def test_exit_codes_reach_the_shell() -> None:
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = [sys.executable, "-m", "osteomet.cli.main", "analyze", "/no/such/scan", "--out", "/no/such/out"]
    run = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert run.returncode == 3, run.stderr
    assert run.stderr.startswith("osteomet: ")
    assert "Traceback" not in run.stderr


def test_models_as_json(osteomet: Osteomet) -> None:
    listed = json.loads(osteomet("model", "list", "--json").out)
    assert [model["name"] for model in listed["models"]] == ["default-ct"]
    shown = json.loads(osteomet("model", "show", "default-ct", "--json").out)
    assert len(shown["sha256"]) == 64
    assert shown["modality"] == "CT"


def test_version(osteomet: Osteomet) -> None:
    from osteomet import __version__

    outcome = osteomet("--version")
    assert (outcome.code, outcome.out) == (0, f"osteomet {__version__}\n")
