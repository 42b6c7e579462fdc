"""One small phantom and one analysis of it, shared by every test of the whole path."""

import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import nibabel as nib
import numpy as np
import pytest
from numpy.typing import NDArray
from scipy.spatial.transform import Rotation

from osteomet.core.grid import Grid
from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.core.volume import Volume
from osteomet.io.formats import write_volume
from osteomet.phantom.body import Body, sample_body
from osteomet.phantom.ct.rendering import CtPhantom, CtScanner, render_ct
from osteomet.phantom.geometry.shapes import random_warp
from osteomet.phantom.lesions.deposits import METASTASIS, Deposit
from osteomet.phantom.skeleton.anatomy import Numbering, Vertebra
from osteomet.phantom.soft_tissue.assembly import sample_soft_tissue

SPACING_MM = 1.2
PLANTED = {"L4": (6.5, (0.0, -1.0, 0.0)), "L5": (6.0, (0.0, -1.0, 0.0))}
"""Radius of the planted lesion and its place in the vertebra: left, posterior, superior of the body centre, mm."""


class _Still(np.random.Generator):
    """Draws no noise, so that a phantom is one function of space, whatever the grid that samples it."""

    def normal(self, loc: Any = 0.0, scale: Any = 1.0, size: Any = None) -> Any:  # noqa: ARG002
        return loc if size is None else np.full(size, loc)

    def standard_normal(self, size: Any = None, dtype: Any = np.float64, out: Any = None) -> Any:  # noqa: ARG002
        return np.zeros(size, dtype=dtype)


def _deposit(vertebra: Vertebra, radius_mm: float, place: tuple[float, float, float]) -> Deposit:
    """A smooth dense ball."""
    lobe = np.array([[*vertebra.at(*place), radius_mm]])
    owner = STRUCTURES[vertebra.name].id
    still = np.zeros((4, 3))
    return Deposit(lobe, (LesionType.SCLEROTIC,), owner, METASTASIS, 35.0, 600.0, 0.7, 0.0, still, 0.0, False)


@dataclass(frozen=True, slots=True, eq=False)
class LumbarPhantom:
    """The lower lumbar spine with the top of the sacrum and two dense metastases, without noise."""

    body: Body
    low_mm: NDArray[np.float64]
    high_mm: NDArray[np.float64]

    def grid(self, turn: NDArray[np.float64] | None = None) -> Grid:
        """Smallest grid with these axes (columns) that covers the box."""
        axes = np.eye(3) if turn is None else turn
        extent = np.abs(axes.T) @ (self.high_mm - self.low_mm)
        shape = np.ceil(extent / SPACING_MM).astype(int)
        origin = (self.low_mm + self.high_mm) / 2 - axes @ (SPACING_MM * (shape - 1) / 2)
        # Whole eighths are exact in the float32 of NIfTI and the decimal strings of DICOM.
        origin = np.round(origin * 8) / 8
        return Grid.from_spacing(shape.tolist(), (SPACING_MM,) * 3, origin_mm=origin.tolist(), direction=axes)

    def render(self, grid: Grid) -> CtPhantom:
        return render_ct(self.body, grid, CtScanner(0.6, 0.0), _Still(np.random.PCG64(0)))


@pytest.fixture(scope="session")
def lumbar() -> LumbarPhantom:
    drawn = sample_body(np.random.default_rng(7), n_metastases=0, numbering=Numbering.USUAL)
    vertebrae = {v.name: v for v in drawn.column.vertebrae}
    deposits = tuple(_deposit(vertebrae[name], *lesion) for name, lesion in PLANTED.items())
    body = replace(
        drawn,
        deposits=deposits,
        soft_tissue=sample_soft_tissue(np.random.default_rng(1), drawn.column, drawn.bones),
        warp=random_warp(np.random.default_rng(2), amplitude_mm=3.0),
        density=180.0,
        cortex_hu=900.0,
        cortex_factor=0.9,
        texture_hu=0.0,
        rim=1.0,
        hardware=None,
    )
    middle = vertebrae["L4"].centre_mm
    # Wide enough that the edge cuts no bone into pieces that look like another one.
    low = np.array([-75.0, middle[1] - 45, drawn.column.sacrum_centre_mm[2] - 30])
    high = np.array([75.0, middle[1] + 60, middle[2] + 40])
    return LumbarPhantom(body, low, high)


@pytest.fixture(scope="session")
def axial(lumbar: LumbarPhantom) -> CtPhantom:
    return lumbar.render(lumbar.grid())


@pytest.fixture(scope="session")
def oblique(lumbar: LumbarPhantom) -> CtPhantom:
    """The same body on a grid turned by 12° about z and 8° about x that covers the axial one."""
    return lumbar.render(lumbar.grid(Rotation.from_euler("zx", [12, 8], degrees=True).as_matrix()))


@pytest.fixture(scope="session", autouse=True)
def cache_home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """Keep converted networks and imported models of the tests apart from those of the user."""
    with pytest.MonkeyPatch.context() as patch:
        folder = tmp_path_factory.mktemp("cache_home")
        patch.setenv("XDG_CACHE_HOME", str(folder))
        patch.setenv("XDG_DATA_HOME", str(tmp_path_factory.mktemp("data_home")))
        yield folder


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a command ended."""

    code: int
    out: str
    err: str


Osteomet = Callable[..., Outcome]


def run_main(*arguments: object) -> int:
    """Run the program in this process and return its exit code."""
    from osteomet.cli.main import main

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(sys, "argv", ["osteomet", *map(str, arguments)])
        with pytest.raises(SystemExit) as caught:
            main()
    return int(caught.value.code or 0)


@pytest.fixture
def osteomet(capsys: pytest.CaptureFixture[str]) -> Osteomet:
    """Run a command in this process: exit code, standard output, standard error."""

    def run(*arguments: object) -> Outcome:
        capsys.readouterr()
        code = run_main(*arguments)
        return Outcome(code, *capsys.readouterr())

    return run


@dataclass(frozen=True, slots=True, eq=False)
class Analysed:
    """The phantom as a file, the folder of its analysis, and what the program printed with ``--json``."""

    volume: Volume
    source: Path
    out: Path
    printed: str


@pytest.fixture(scope="session")
def analysed(axial: CtPhantom, tmp_path_factory: pytest.TempPathFactory) -> Analysed:
    """One run of `osteomet analyze` on the phantom, in a file with negated and permuted axes."""
    import contextlib
    import io

    folder = tmp_path_factory.mktemp("analysed")
    volume = reordered(axial.volume, order=(1, 2, 0), flips=(0, 2))
    source, out = folder / "scan.nii.gz", folder / "out"
    write_volume(volume, source)
    printed = io.StringIO()
    with contextlib.redirect_stdout(printed):
        assert run_main("analyze", source, "--out", out, "--device", "cpu", "--json") == 0
    return Analysed(volume, source, out, printed.getvalue())


def stored(path: Path) -> Any:
    """A NIfTI as nibabel reads it: what is in the file, without our reader in between."""
    return nib.load(path)


def reordered(volume: Volume, *, order: tuple[int, int, int], flips: tuple[int, ...] = ()) -> Volume:
    """The same voxels at the same places, stored along other array axes; ``flips`` are axes after the permutation."""
    array = volume.array.transpose(order)
    affine = volume.grid.affine.copy()
    affine[:3, :3] = volume.grid.affine[:3, list(order)]
    for axis in flips:
        affine[:3, 3] += affine[:3, axis] * (array.shape[axis] - 1)
        affine[:3, axis] *= -1
    array = np.ascontiguousarray(np.flip(array, flips))
    i, j, k = array.shape
    return Volume(array, Grid((i, j, k), affine), volume.modality, volume.unit)
