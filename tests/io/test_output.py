import fcntl
import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from osteomet.core.errors import OutputError, UsageError
from osteomet.io.output import MARKER, output_file, output_folder


def tree(folder: Path) -> list[str]:
    return sorted(str(p.relative_to(folder)) for p in folder.rglob("*"))


def write(path: Path, text: str, *, overwrite: bool = False) -> None:
    with output_folder(path, overwrite=overwrite) as folder:
        (folder / "findings.json").write_text(text)


def test_a_folder_appears_when_it_is_complete(tmp_path: Path) -> None:
    out = tmp_path / "out"
    with output_folder(out, overwrite=False) as folder:
        assert folder.parent == tmp_path
        assert folder.name.startswith(".out.partial-")
        (folder / "a" / "b").mkdir(parents=True)
        assert not out.exists()
    assert tree(tmp_path) == ["out", f"out/{MARKER}", "out/a", "out/a/b"]
    assert "--overwrite" in (out / MARKER).read_text()


@pytest.mark.parametrize("error", [ValueError, KeyboardInterrupt, SystemExit])
def test_an_exception_leaves_nothing(tmp_path: Path, error: type[BaseException]) -> None:
    def run() -> None:
        with output_folder(tmp_path / "new" / "deep" / "out", overwrite=False) as folder:
            (folder / "x").write_text("half")
            raise error

    with pytest.raises(error):
        run()
    assert tree(tmp_path) == []


def test_parents_are_made_for_a_good_run(tmp_path: Path) -> None:
    write(tmp_path / "new" / "deep" / "out", "1")
    assert (tmp_path / "new" / "deep" / "out" / "findings.json").read_text() == "1"


def test_an_existing_folder_is_refused_without_overwrite(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    with pytest.raises(UsageError, match=r"out exists already; remedy: pass --overwrite") as caught:
        write(tmp_path / "out", "new")
    assert caught.value.exit_code == 2
    assert (tmp_path / "out" / "findings.json").read_text() == "old"
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="exists already"):
        write(tmp_path / "empty", "new")


def test_overwrite_replaces_the_whole_folder(tmp_path: Path) -> None:
    with output_folder(tmp_path / "out", overwrite=False) as folder:
        (folder / "only_in_the_old_run").write_text("")
    with output_folder(tmp_path / "out", overwrite=True) as folder:
        (folder / "findings.json").write_text("new")
        assert (tmp_path / "out" / "only_in_the_old_run").exists()
    assert tree(tmp_path) == ["out", f"out/{MARKER}", "out/findings.json"]


def test_a_failed_overwrite_keeps_the_old_folder(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    with pytest.raises(ValueError, match="stop"), output_folder(tmp_path / "out", overwrite=True):
        raise ValueError("stop")
    assert tree(tmp_path) == ["out", f"out/{MARKER}", "out/findings.json"]
    assert (tmp_path / "out" / "findings.json").read_text() == "old"


def test_a_failed_rename_puts_the_old_folder_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path / "out", "old")
    rename = Path.rename

    def fail(self: Path, target: Path) -> Path:
        if ".partial-" in self.name:
            raise PermissionError("no")
        return rename(self, target)

    monkeypatch.setattr(Path, "rename", fail)
    with pytest.raises(OSError, match="no"):
        write(tmp_path / "out", "new", overwrite=True)
    assert tree(tmp_path) == ["out", f"out/{MARKER}", "out/findings.json"]
    assert (tmp_path / "out" / "findings.json").read_text() == "old"


def test_what_osteomet_did_not_write_is_never_replaced(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "holiday.jpg").write_text("dear")
    with pytest.raises(UsageError, match=r"photos holds files that osteomet did not write; expected .*\.osteomet"):
        write(tmp_path / "photos", "new", overwrite=True)
    (tmp_path / "file").write_text("dear")
    with pytest.raises(UsageError, match="file is a file; expected a folder to write"):
        write(tmp_path / "file", "new", overwrite=True)
    assert tree(tmp_path) == ["file", "photos", "photos/holiday.jpg"]


def test_an_empty_folder_may_be_replaced(tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    write(tmp_path / "out", "new", overwrite=True)
    assert (tmp_path / "out" / "findings.json").read_text() == "new"


def test_a_link_is_followed(tmp_path: Path) -> None:
    write(tmp_path / "real", "old")
    (tmp_path / "link").symlink_to("real")
    write(tmp_path / "link", "new", overwrite=True)
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "real" / "findings.json").read_text() == "new"


def test_a_place_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot write in .*file; got (Not a directory|File exists); remedy"):
        write(tmp_path / "file" / "out", "x")


KILLED = """
import sys
from pathlib import Path
from osteomet.io.output import output_folder
with output_folder(Path(sys.argv[1]), overwrite=True) as folder:
    (folder / "half").write_text("")
    print("ready", flush=True)
    sys.stdin.read()
"""


def test_a_killed_run_leaves_nothing_that_looks_finished_and_the_next_tidies_up(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    with subprocess.Popen(
        [sys.executable, "-c", KILLED, str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)},
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline() == b"ready\n"
        write(tmp_path / "out", "meanwhile", overwrite=True)
        (alive,) = tmp_path.glob(".out.partial-*")
        run.send_signal(signal.SIGKILL)
    assert alive.exists()
    assert (tmp_path / "out" / "findings.json").read_text() == "meanwhile"
    (tmp_path / ".out2.partial-0").mkdir()
    write(tmp_path / "out", "next", overwrite=True)
    assert tree(tmp_path) == [".out2.partial-0", "out", f"out/{MARKER}", "out/findings.json"]


def test_a_kill_between_the_two_renames_is_mended(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    (tmp_path / "out").rename(tmp_path / ".out.previous-0")
    with pytest.raises(UsageError, match="exists already"):
        write(tmp_path / "out", "new")
    assert (tmp_path / "out" / "findings.json").read_text() == "old"
    (tmp_path / ".out.previous-1").mkdir()
    write(tmp_path / "out", "new", overwrite=True)
    assert tree(tmp_path) == ["out", f"out/{MARKER}", "out/findings.json"]


def test_two_runs_do_not_replace_one_folder_at_once(tmp_path: Path) -> None:
    write(tmp_path / "out", "old")
    descriptor = os.open(tmp_path / "out", os.O_RDONLY)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    with pytest.raises(UsageError, match=r"another run is writing .*out"):
        write(tmp_path / "out", "new", overwrite=True)
    os.close(descriptor)
    assert (tmp_path / "out" / "findings.json").read_text() == "old"


def test_a_file_appears_when_it_is_complete(tmp_path: Path) -> None:
    with output_file(tmp_path / "a.nii.gz") as partial:
        partial.write_text("new")
        assert partial.name.endswith("a.nii.gz")
        assert not (tmp_path / "a.nii.gz").exists()
    assert tree(tmp_path) == ["a.nii.gz"]


def test_an_exception_leaves_the_old_file(tmp_path: Path) -> None:
    (tmp_path / "a.nii.gz").write_text("old")

    def run() -> None:
        with output_file(tmp_path / "a.nii.gz") as partial:
            partial.write_text("half")
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        run()
    assert tree(tmp_path) == ["a.nii.gz"]
    assert (tmp_path / "a.nii.gz").read_text() == "old"


def test_a_system_that_refuses_to_write_is_named(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    with (
        pytest.raises(OutputError, match=r"could not be written; expected .*; got Is a directory; remedy: free space"),
        output_file(tmp_path / "a") as partial,
    ):
        partial.write_text("x")
