import pytest
from pydantic import TypeAdapter

from osteomet.core.model import PACKAGE_FORMAT, IntensityWindow, ModelDescription, ModelPart, NetworkSpec
from osteomet.core.volume import Modality

BONES = ModelPart(
    name="bones",
    network=NetworkSpec(kind="subvoxel_unet3d", n_inputs=1, n_outputs=2, channels=(16, 32, 64)),
    spacing_mm=(2.5, 2.5, 2.5),
    patch=(96, 96, 96),
    windows=(IntensityWindow(-500, 1300),),
    near_bone_mm=None,
    outputs=("background", "bone"),
    weights=("weights/bones.safetensors",),
)
MODEL = ModelDescription(
    name="default-ct",
    version="1",
    task="bone metastases on CT",
    modality=Modality.CT,
    parts=(BONES,),
    training_data="phantoms",
    training_command="osteomet train",
    intended_use="research",
    limitations="not for clinical use",
    licence="Apache-2.0",
    metrics={"dice": 0.9},
    files={"weights/bones.safetensors": "0" * 64},
)


def test_parts_by_name() -> None:
    assert MODEL.part("bones") is BONES
    with pytest.raises(KeyError, match="lesions"):
        MODEL.part("lesions")


def test_the_format_is_stated() -> None:
    assert MODEL.format == PACKAGE_FORMAT == "osteomet-model/1"


def test_json_and_back() -> None:
    adapter = TypeAdapter(ModelDescription)
    assert adapter.validate_json(adapter.dump_json(MODEL)) == MODEL
