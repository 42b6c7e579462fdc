"""Phantoms that make every picture checkable by hand, and findings about them."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np
import pytest
from numpy.typing import NDArray

from osteomet.core.findings import (
    Abstention,
    Exam,
    ExamGrade,
    Findings,
    LevelFinding,
    MStage,
    PartStatus,
    Provenance,
    SeriesFacts,
    Sins,
    SinsPart,
    StudyFacts,
)
from osteomet.core.grid import Grid
from osteomet.core.lesion import Lesion
from osteomet.core.model import IntensityWindow, ModelDescription, ModelPart, NetworkSpec
from osteomet.core.vocabulary import STRUCTURES, LesionType
from osteomet.core.volume import LabelMap, Modality, Unit, Volume

Point = tuple[float, float, float]
Box = tuple[Point, Point]
Phantom = tuple[Findings, Volume, LabelMap, LabelMap]


class MakePhantom(Protocol):
    def __call__(
        self,
        grid: Grid,
        bones: dict[str, Sequence[Box]],
        lesions: Sequence[tuple[LesionType, str, Box]] = (),
        *,
        abstentions: tuple[Abstention, ...] = (),
    ) -> Phantom: ...


def centres_xyz_mm(grid: Grid) -> NDArray[np.float64]:
    return grid.to_xyz_mm(np.stack(np.meshgrid(*[np.arange(n) for n in grid.shape], indexing="ij"), axis=-1))


def inside(xyz: NDArray[np.float64], box: Box) -> NDArray[np.bool_]:
    """Voxels whose centre lies in an LPS box."""
    return np.asarray(((xyz >= box[0]) & (xyz <= box[1])).all(axis=-1))


def centre_of(box: Box) -> Point:
    x, y, z = ((low + high) / 2 for low, high in zip(*box, strict=True))
    return x, y, z


def make_lesion(id_: int, kind: LesionType, site: str, box: Box) -> Lesion:
    x, y, z = centre_of(box)
    width, depth, height = (high - low for low, high in zip(*box, strict=True))
    return Lesion(
        id=id_,
        type=kind,
        site=site,
        subsite="body" if site in ("T12", "L1", "L2", "L3") else None,
        centroid_xyz_mm=(x, y, z),
        long_axis_mm=max(width, depth),
        short_axis_mm=min(width, depth),
        long_axis_ends_xyz_mm=((x - width / 2, y, z), (x + width / 2, y, z)),
        volume_ml=width * depth * height / 1000,
        mean_intensity=-20.0,
        confidence=0.8,
        tracking_uid=f"1.2.{id_}",
    )


def make_level(name: str, bones: LabelMap, lesions: Sequence[Lesion]) -> LevelFinding:
    voxels = np.argwhere(bones.mask(name))
    x, y, z = bones.grid.to_xyz_mm(voxels.mean(axis=0))
    ids = tuple(lesion.id for lesion in lesions if lesion.site == name)
    parts = (
        SinsPart("location", PartStatus.MEASURED, 2, 2, "mobile spine"),
        SinsPart("pain", PartStatus.UNKNOWN, 0, 3, "not visible on images"),
    )
    return LevelFinding(
        name=name,
        confidence=0.9,
        volume_ml=len(voxels) * bones.grid.voxel_volume_ml,
        centroid_xyz_mm=(float(x), float(y), float(z)),
        complete=name != "T12",
        anterior_height_mm=27.0,
        middle_height_mm=None,
        posterior_height_mm=28.0,
        involved_fraction=0.125 if ids else 0.0,
        lesion_ids=ids,
        sins=Sins(parts, 2, 5, "stable") if ids else None,
    )


def make_findings(
    lesions: Sequence[Lesion], levels: Sequence[LevelFinding] = (), abstentions: tuple[Abstention, ...] = ()
) -> Findings:
    series = (
        SeriesFacts("ct.nii.gz", "CT", "the only axial CT", "CT", description="Bone", shape=(4, 5, 6)),
        SeriesFacts("scout.dcm", None, "localizer"),
    )
    stage, grade = (MStage.M1B, ExamGrade.APPARENT) if lesions else (MStage.M0, ExamGrade.NONE)
    return Findings(
        study=StudyFacts("1.2.3", "2026-01-02", series),
        exam=Exam(0.9 if lesions else 0.1, stage, grade, abstentions),
        levels=tuple(levels),
        lesions=tuple(lesions),
        provenance=Provenance(
            "osteomet", "0.1", "m", "ab" * 32, "cpu", {"a": {"b": 0.5}}, ("ct.nii.gz",), "2026-01-02"
        ),
    )


@pytest.fixture(scope="session")
def model() -> ModelDescription:
    part = ModelPart(
        "bones",
        NetworkSpec("subvoxel_unet3d", 1, 2, (8,)),
        (2.0, 2.0, 2.0),
        (8, 8, 8),
        (IntensityWindow(0, 1),),
        None,
        ("b", "v"),
        ("w",),
    )
    return ModelDescription(
        name="default-ct",
        version="1.0",
        task="bone metastases",
        modality=Modality.CT,
        parts=(part,),
        training_data="simulated studies",
        training_command="osteomet train",
        intended_use="research",
        limitations="small lesions are missed",
        licence="Apache-2.0",
        metrics={"lesion": {"dice": 0.7}},
        files={},
    )


@pytest.fixture(scope="session")
def make_phantom() -> MakePhantom:
    """Soft tissue of 40 HU, bones of 400 HU and lesions of −20 HU, all of them boxes in LPS mm."""

    def make(
        grid: Grid,
        bones: dict[str, Sequence[Box]],
        lesions: Sequence[tuple[LesionType, str, Box]] = (),
        *,
        abstentions: tuple[Abstention, ...] = (),
    ) -> Phantom:
        xyz = centres_xyz_mm(grid)
        image = np.full(grid.shape, 40, dtype=np.int16)
        structures = np.zeros(grid.shape, dtype=np.uint8)
        instances = np.zeros(grid.shape, dtype=np.uint16)
        for name, boxes in bones.items():
            for box in boxes:
                structures[inside(xyz, box)] = STRUCTURES[name].id
        image[structures > 0] = 400
        found = []
        for id_, (kind, site, box) in enumerate(lesions, start=1):
            instances[inside(xyz, box)] = id_
            found.append(make_lesion(id_, kind, site, box))
        image[instances > 0] = -20
        bone_map = LabelMap(structures, grid, {name: STRUCTURES[name].id for name in bones})
        names = [name for name in bones if name in ("T12", "L1", "L2", "L3", "sacrum")]
        levels = [make_level(name, bone_map, found) for name in names]
        return (
            make_findings(found, levels, abstentions),
            Volume(image, grid, Modality.CT, Unit.HU),
            bone_map,
            LabelMap(instances, grid, {str(lesion.id): lesion.id for lesion in found}),
        )

    return make


@pytest.fixture(scope="session")
def make_lesions() -> Callable[[Sequence[tuple[LesionType, str]]], tuple[Lesion, ...]]:
    """Lesions of given types and sites, for sentences about them."""

    def make(kinds: Sequence[tuple[LesionType, str]]) -> tuple[Lesion, ...]:
        box = ((0.0, 0.0, 0.0), (10.0, 8.0, 6.0))
        return tuple(make_lesion(id_, kind, site, box) for id_, (kind, site) in enumerate(kinds, start=1))

    return make


COLUMN_BONES: dict[str, Sequence[Box]] = {
    # Bodies of 40 × 30 × 24 mm that lean to the left towards the head, each with a long spinous process.
    name: (
        ((-20.0 + lean, -15.0, z), (20.0 + lean, 15.0, z + 24.0)),
        ((-4.0 + lean, 15.0, z + 4.0), (4.0 + lean, 60.0, z + 14.0)),
    )
    for name, lean, z in (("L3", 0.0, -52.0), ("L2", 10.0, -20.0), ("L1", 20.0, 12.0), ("T12", 30.0, 44.0))
}


@pytest.fixture(scope="session")
def column_grid() -> Grid:
    """Even-sized, anisotropic, with negated in-plane axes."""
    return Grid.from_spacing(
        (72, 80, 60), (2.0, 2.0, 2.5), origin_mm=(81.0, 89.0, -70.0), direction=np.diag([-1.0, -1.0, 1.0])
    )


@pytest.fixture(scope="session")
def column(make_phantom: MakePhantom, column_grid: Grid) -> Phantom:
    """A leaning column with a lytic lesion in L3 and a sclerotic one in L1, 20 mm to the left of its middle."""
    lesions = (
        (LesionType.LYTIC, "L3", ((-10.0, -8.0, -46.0), (10.0, 8.0, -34.0))),
        (LesionType.SCLEROTIC, "L1", ((32.0, -8.0, 18.0), (40.0, 8.0, 30.0))),
    )
    return make_phantom(column_grid, COLUMN_BONES, lesions)
