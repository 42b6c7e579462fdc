"""README and docs say what the program does: blocks run, commands parse, tables equal the code, links lead somewhere.

CONTRIBUTING.md states which blocks run.
"""

import doctest
import re
import shlex
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import typer
import typer.main

from osteomet import __version__
from osteomet.cli.main import app, main
from osteomet.core.findings import Exam, Findings, Provenance, StudyFacts, findings_schema
from osteomet.core.grid import Grid
from osteomet.core.vocabulary import NAMES_BY_CONVENTION, STRUCTURES, LabelConvention
from osteomet.core.volume import LabelMap, Modality, Unit, Volume
from osteomet.io.model_package import find_package, read_package
from osteomet.io.sequence_roles import RULES
from osteomet.pipeline.analyze import Analysis, write_analysis

ROOT = Path(__file__).parents[1]
PAGES = [ROOT / "README.md", ROOT / "CONTRIBUTING.md", *sorted((ROOT / "docs").rglob("*.md"))]
REFERENCE = ROOT / "docs" / "reference"
_FENCE = re.compile(r"^```(?P<info>[^\n]*)\n(?P<body>.*?)^```$", re.MULTILINE | re.DOTALL)
_PROGRAMS = ("osteomet", ".venv/bin/osteomet")


@dataclass(frozen=True)
class Block:
    """A fenced block: its info string in words, and its text."""

    info: tuple[str, ...]
    body: str


def blocks(page: Path) -> list[Block]:
    return [Block(tuple(m["info"].split()), m["body"]) for m in _FENCE.finditer(page.read_text(encoding="utf-8"))]


def name_of(page: Path) -> str:
    return page.relative_to(ROOT).as_posix()


def command_lines(page: Path) -> Iterator[str]:
    """Every line of a console block that calls osteomet."""
    for block in blocks(page):
        if block.info[:1] == ("console",):
            for line in block.body.splitlines():
                if line.startswith("$ ") and shlex.split(line)[1] in _PROGRAMS:
                    yield line[2:]


def inline_commands(page: Path) -> list[str]:
    """Every `osteomet …` in running text."""
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    return re.findall(r"`((?:\.venv/bin/)?osteomet(?: [^`]+))`", text)


def find_command(words: list[str]) -> tuple[Any, list[str]]:
    """The command that words name, and the words left for it."""
    command: Any = typer.main.get_command(app)
    while words and words[0] in getattr(command, "commands", {}):
        command, words = command.commands[words[0]], words[1:]
    assert not words or words[0].startswith("-") or not hasattr(command, "commands"), f"no command {words[0]!r}"
    return command, words


def leaf_commands(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    for word, below in command.commands.items():
        yield from leaf_commands(below, f"{name} {word}") if hasattr(below, "commands") else [(f"{name} {word}", below)]


def options_of(command: Any) -> set[str]:
    return {opt for param in command.params for opt in param.opts if opt.startswith("--")} | {"--help"}


@pytest.mark.parametrize("page", [p for p in PAGES if "$ " in p.read_text(encoding="utf-8")], ids=name_of)
def test_every_command_line_is_one_that_the_program_accepts(page: Path) -> None:
    for line in command_lines(page):
        command, words = find_command(shlex.split(line, comments=True)[1:])
        try:
            command.make_context("osteomet", words)
        except typer.Exit:  # --help and --version end the parsing
            continue
        except Exception as error:
            pytest.fail(f"{name_of(page)}: {line}: {error}")


def test_commands_in_running_text_exist_with_their_options() -> None:
    for page in PAGES:
        for text in inline_commands(page):
            command, words = find_command(text.split()[1:])
            unknown = {word for word in words if word.startswith("--")} - options_of(command) - {"--version"}
            assert not unknown, f"{name_of(page)}: {text}: {unknown}"


def test_a_wrong_command_or_option_is_noticed() -> None:
    with pytest.raises(AssertionError, match="no command"):
        find_command(["analyse", "scan.nii.gz"])
    command, words = find_command(["analyze", "scan.nii.gz", "--out", "x", "--prior", "y"])
    with pytest.raises(Exception, match="No such option"):
        command.make_context("osteomet", words)


@pytest.mark.parametrize(
    "page", [p for p in PAGES if any(b.info in {("python",), ("console", "run")} for b in blocks(p))], ids=name_of
)
def test_blocks_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    namespace: dict[str, Any] = {}
    for block in blocks(page):
        if block.info == ("python",):
            exec(compile(block.body, name_of(page), "exec"), namespace)
        elif block.info == ("console", "run"):
            for line, expected in _sessions(block.body):
                assert line.startswith("osteomet "), f"{line}: only osteomet runs here"
                monkeypatch.setattr(sys, "argv", shlex.split(line))
                capsys.readouterr()
                with pytest.raises(SystemExit):
                    main()
                shown = capsys.readouterr()
                got = shown.out + shown.err
                same = doctest.OutputChecker().check_output(expected, got, doctest.ELLIPSIS)
                assert same, f"{line}\nexpected {expected}\ngot {got}"


def _sessions(body: str) -> Iterator[tuple[str, str]]:
    """Each command of a block with the output shown below it."""
    for part in re.split(r"^\$ ", body, flags=re.MULTILINE)[1:]:
        line, _, expected = part.partition("\n")
        yield line, expected


def test_the_reference_lists_every_command_and_option() -> None:
    text = (REFERENCE / "command-line.md").read_text(encoding="utf-8")
    sections = {part.partition("\n")[0].strip("`"): part for part in text.split("\n## ")[1:]}
    commands = dict(leaf_commands(typer.main.get_command(app), "osteomet"))
    assert set(commands) == {name for name in sections if name.startswith("osteomet ")}
    for name, command in commands.items():
        listed = set(re.findall(r"^\| `(--[a-z-]+)", sections[name], flags=re.MULTILINE))
        assert listed == options_of(command) - {"--help", "--json", "--verbose"}, name


def test_the_schema_page_names_every_field() -> None:
    text = (REFERENCE / "findings-schema.md").read_text(encoding="utf-8")
    schema = findings_schema()
    for part in (schema, *schema["$defs"].values()):
        missing = [name for name in part.get("properties", {}) if f"`{name}`" not in text]
        assert not missing, f"{part['title']}: {missing}"


def test_the_output_tables_name_what_an_analysis_writes(tmp_path: Path) -> None:
    grid = Grid.from_spacing((8, 8, 8), (2.0, 2.0, 2.0))
    empty = LabelMap(np.zeros(grid.shape, dtype=np.uint8), grid, {})
    findings = Findings(
        study=StudyFacts(None, None, ()),
        exam=Exam(None, None, None),
        levels=(),
        lesions=(),
        provenance=Provenance("osteomet", __version__, "none", "0" * 64, "none", {}, (), "2026-01-01T00:00:00+00:00"),
    )
    volume = Volume(np.full(grid.shape, -1000, dtype=np.int16), grid, Modality.CT, Unit.HU)
    package = read_package(find_package("default-ct"))
    write_analysis(Analysis(findings, volume, empty, empty, ()), package, tmp_path)
    written = {path.name for path in tmp_path.iterdir()}
    for page in (ROOT / "README.md", REFERENCE / "outputs.md"):
        listed = re.findall(r"^\| `([a-z]+\.[a-z.]+)` \|", page.read_text(encoding="utf-8"), flags=re.MULTILINE)
        assert set(listed) == written, name_of(page)
    outputs = (REFERENCE / "outputs.md").read_text(encoding="utf-8")
    columns = re.findall(
        r"^\| ((?:`[a-z_]+`(?:, )?)+) \|", outputs.partition("## `lesions.csv`")[2], flags=re.MULTILINE
    )
    header = (tmp_path / "lesions.csv").read_text(encoding="utf-8").strip().split(",")
    assert re.findall("[a-z_]+", " ".join(columns)) == header


def assert_table(page: Path, rows: list[str]) -> None:
    """The page holds these table rows and no others that begin with a number."""
    text = page.read_text(encoding="utf-8")
    found = [line for line in text.splitlines() if re.match(r"\| \d+ \|", line)]
    assert found == rows, f"the table of {name_of(page)} is out of date; it should be\n" + "\n".join(rows)


def test_the_label_table_is_that_of_the_vocabulary() -> None:
    foreign = [
        {name: id_ for id_, name in sorted(NAMES_BY_CONVENTION[c].items(), reverse=True)} for c in LabelConvention
    ]
    rows = []
    for s in STRUCTURES.values():
        ids = " | ".join(str(table.get(s.name, "")) for table in foreign)
        rows.append(" ".join(f"| {s.id} | `{s.name}` | {s.display} | {s.snomed or ''} | {ids} |".split()))
    assert_table(REFERENCE / "label-ids.md", rows)


def test_the_table_of_sequence_roles_is_that_of_the_rules() -> None:
    rows = [
        f"| {n} | {rule.name} | {rule.role.value if rule.role else 'set aside'} |" for n, rule in enumerate(RULES, 1)
    ]
    assert_table(REFERENCE / "sequence-roles.md", rows)


@pytest.mark.parametrize("page", PAGES, ids=name_of)
def test_links_lead_to_files(page: Path) -> None:
    text = _FENCE.sub("", page.read_text(encoding="utf-8"))
    targets = [t.partition("#")[0] for t in re.findall(r"\]\(([^)\s]+)\)", text) if not t.startswith("http")]
    missing = [t for t in targets if t and not (page.parent / t).exists()]
    assert not missing, missing


def test_every_page_of_the_docs_is_reached_from_their_index() -> None:
    index = (ROOT / "docs" / "README.md").read_text(encoding="utf-8")
    pages = [p.relative_to(ROOT / "docs").as_posix() for p in PAGES if p.is_relative_to(ROOT / "docs")]
    assert [p for p in pages if p != "README.md" and f"({p})" not in index] == []


def test_version_is_stated_alike_everywhere() -> None:
    assert f'version: "{__version__}"' in (ROOT / "CITATION.cff").read_text(encoding="utf-8")
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
