import io
import pickle
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from osteomet.core.errors import ModelError
from osteomet.nn.checkpoint import read_checkpoint

FIXTURE = Path(__file__).parents[1] / "data/nnunet/nnUNetTrainer__nnUNetPlans__2d/fold_0/checkpoint_final.pth"
GOOD: dict[str, Any] = {
    "trainer_name": "nnUNetTrainer",
    "init_args": {"configuration": "2d"},
    "inference_allowed_mirroring_axes": (0, 1),
    "network_weights": {"decoder.seg_layers.0.bias": torch.tensor([1.5, 2.5])},
}


def saved(content: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(content, buffer)
    return buffer.getvalue()


def with_pickle(data: bytes) -> bytes:
    """A checkpoint whose pickle is replaced, checksums and all."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(saved(GOOD))) as source, zipfile.ZipFile(buffer, "w") as target:
        for entry in source.infolist():
            target.writestr(entry.filename, data if entry.filename.endswith("data.pkl") else source.read(entry))
    return buffer.getvalue()


class _Calls:
    """Pickles as a call of a function."""

    def __init__(self, function: Any, *arguments: Any) -> None:
        self.call = (function, arguments)

    def __reduce__(self) -> Any:
        return self.call


def test_what_matters_is_read() -> None:
    checkpoint = read_checkpoint(saved(GOOD), "a.pth")
    assert (checkpoint.trainer, checkpoint.configuration, checkpoint.mirror_axes) == ("nnUNetTrainer", "2d", (0, 1))
    tensors = checkpoint.tensors(n_stages=2)
    assert list(tensors) == ["head.bias"]
    assert tensors["head.bias"].tolist() == [1.5, 2.5]


def test_a_checkpoint_that_nnunet_wrote() -> None:
    checkpoint = read_checkpoint(FIXTURE.read_bytes(), "checkpoint_final.pth")
    assert checkpoint.configuration == "2d"
    assert checkpoint.mirror_axes == (0, 1)
    # Two channels into four features by 3 × 3; two kinds of tissue and background out.
    tensors = checkpoint.tensors(n_stages=3)
    assert tensors["encoder.0.0.conv.weight"].shape == (4, 2, 3, 3)
    assert tensors["head.weight"].shape == (3, 4, 1, 1)


@pytest.mark.parametrize("number", [np.float64(0.25), np.float32(0.25), np.int64(3), np.bool_(True)])
def test_figures_in_the_log_do_no_harm(number: Any) -> None:
    assert read_checkpoint(saved(GOOD | {"_best_ema": number, "logging": {"losses": [number]}}), "a.pth").weights


@pytest.mark.parametrize("protocol", [2, 4])
def test_code_in_the_pickle_is_refused_and_does_not_run(tmp_path: Path, protocol: int) -> None:
    touched = tmp_path / "touched"
    data = pickle.dumps({"logging": _Calls(Path.touch, touched)}, protocol=protocol)
    with pytest.raises(
        ModelError, match=r"a\.pth asks for more than weights, and is not loaded.*expected tensors.*got "
    ):
        read_checkpoint(with_pickle(data), "a.pth")
    assert not touched.exists()
    with pytest.raises(ModelError, match=r"asks for more than weights.*got posix\.system; remedy: get the checkpoint"):
        read_checkpoint(with_pickle(b"cposix\nsystem\n(Vtouch " + str(touched).encode() + b"\ntR."), "a.pth")
    assert not touched.exists()


@pytest.mark.parametrize("function", [np.load, np.frombuffer, np.empty, getattr, eval])
def test_functions_of_numpy_and_python_are_refused(function: Any) -> None:
    with pytest.raises(ModelError, match="asks for more than weights"):
        read_checkpoint(with_pickle(pickle.dumps(_Calls(function, "1"), protocol=2)), "a.pth")


def test_a_number_of_a_kind_that_no_log_holds() -> None:
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        read_checkpoint(saved(GOOD | {"_best_ema": np.datetime64("2026-01-01")}), "a.pth")


def test_damage_is_noticed() -> None:
    data = FIXTURE.read_bytes()
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        read_checkpoint(data[:-200], "a.pth")
    with pytest.raises(ModelError, match="not a readable checkpoint"):
        read_checkpoint(b"\x80\x02}q\x00.", "a.pth")
    bias = torch.load(FIXTURE, weights_only=False)["network_weights"]["decoder.seg_layers.1.weight"].numpy().tobytes()
    at = data.index(bias)
    changed = data[:at] + bytes([data[at] ^ 1]) + data[at + 1 :]
    with pytest.raises(ModelError, match=r"a\.pth is damaged or was changed; got wrong checksum of .*/data/"):
        read_checkpoint(changed, "a.pth")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"trainer_name": 3}, "trainer_name"),
        ({"init_args": {}}, "init_args.configuration"),
        ({"inference_allowed_mirroring_axes": (0, 7)}, "inference_allowed_mirroring_axes"),
        ({"inference_allowed_mirroring_axes": (1, 1)}, "inference_allowed_mirroring_axes"),
        ({"network_weights": {"a": 3}}, "network_weights"),
        ({"network_weights": {"a": torch.tensor([float("nan")])}}, "network_weights"),
    ],
)
def test_what_is_no_checkpoint_of_nnunet(change: dict[str, Any], named: str) -> None:
    with pytest.raises(ModelError, match=f"no checkpoint of nnU-Net v2; got no usable {named}"):
        read_checkpoint(saved(GOOD | change), "a.pth")


def test_a_network_that_was_not_trained_to_be_mirrored() -> None:
    assert read_checkpoint(saved(GOOD | {"inference_allowed_mirroring_axes": None}), "a.pth").mirror_axes == ()
