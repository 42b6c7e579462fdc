from dataclasses import replace
from pathlib import Path

import pytest
import torch

from osteomet.core.model import IntensityWindow, ModelDescription, ModelPart, NetworkSpec
from osteomet.core.vocabulary import SequenceRole
from osteomet.core.volume import Modality
from osteomet.io.model_package import ModelPackage, Tensors, read_package, write_package
from osteomet.nn.unet import build_network

BONE_OUTPUTS = (
    "background", "core_cervical", "core_thoracic", "core_lumbar", "body_rim", "posterior", "sacrum",
    "hip_left", "hip_right", "femur_left", "femur_right", "rib", "sternum",
)  # fmt: skip
LESION_OUTPUTS = ("background", "lytic", "sclerotic")


def random_weights(spec: NetworkSpec, seed: int) -> Tensors:
    """Weights of an untrained network."""
    torch.manual_seed(seed)
    return {name: value.numpy() for name, value in build_network(spec).state_dict().items()}


def model_part(
    name: str, outputs: tuple[str, ...], spacing_mm: float, members: int = 1, near_bone_mm: float | None = None
) -> ModelPart:
    return ModelPart(
        name=name,
        network=NetworkSpec("subvoxel_unet3d", 1 + (near_bone_mm is not None), len(outputs), (8, 16)),
        spacing_mm=(spacing_mm,) * 3,
        patch=(16, 24, 16),
        windows=(IntensityWindow(-250.0, 1250.0),),
        near_bone_mm=near_bone_mm,
        outputs=outputs,
        weights=tuple(f"weights/{name}-{n}.safetensors" for n in range(members)),
    )


def describe(modality: Modality, parts: tuple[ModelPart, ...]) -> ModelDescription:
    return ModelDescription(
        name="toy",
        version="1",
        task="test",
        modality=modality,
        parts=parts,
        training_data="none",
        training_command="none",
        intended_use="tests",
        limitations="everything",
        licence="Apache-2.0",
        metrics={},
        files={},
    )


@pytest.fixture(scope="session")
def package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """Two tiny untrained networks; the bones are an ensemble of two."""
    parts = (
        model_part("bones", BONE_OUTPUTS, 2.5, members=2),
        model_part("lesions", LESION_OUTPUTS, 1.5, near_bone_mm=5.0),
    )
    weights = {name: random_weights(part.network, seed) for part in parts for seed, name in enumerate(part.weights)}
    description = describe(Modality.CT, parts)
    folder = tmp_path_factory.mktemp("model") / "toy"
    write_package(description, weights, card="", folder=folder)
    return read_package(folder)


@pytest.fixture(scope="session")
def mr_package(tmp_path_factory: pytest.TempPathFactory) -> ModelPackage:
    """Two tiny untrained networks: bones on T1 or T2, lesions on T1, T2 and DWI."""
    t1, t2, dwi = SequenceRole.T1, SequenceRole.T2, SequenceRole.DWI
    bones = model_part("bones", BONE_OUTPUTS, 2.5)
    bones = replace(bones, network=replace(bones.network, n_inputs=2), windows=(), sequences=((t1, t2),))
    lesions = model_part("lesions", ("background", "marrow"), 1.5, near_bone_mm=5.0)
    lesions = replace(
        lesions, network=replace(lesions.network, n_inputs=7), windows=(), sequences=((t1,), (t2,), (dwi,))
    )
    weights = {part.weights[0]: random_weights(part.network, 0) for part in (bones, lesions)}
    folder = tmp_path_factory.mktemp("model") / "toy"
    write_package(describe(Modality.MR, (bones, lesions)), weights, card="", folder=folder)
    return read_package(folder)


@pytest.fixture(scope="session")
def cache_dir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """One cache for all tests, so that each network is converted once."""
    return tmp_path_factory.mktemp("cache")
