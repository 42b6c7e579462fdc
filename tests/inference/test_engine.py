import ctypes
import dataclasses
import gc
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import nn

from osteomet.core.errors import ModelError, OsteometError, UsageError
from osteomet.inference import engine, engine_openvino
from osteomet.inference.engine import choose_device, load_engine
from osteomet.inference.engine_torch import TorchEngine
from osteomet.inference.ensemble import build_ensemble
from osteomet.io.model_package import ModelPackage

PATCH = (16, 24, 16)
_NO_STACK = 2  # SS_DISABLE of sigaltstack(2)


def batch(n: int, n_inputs: int) -> NDArray[np.float32]:
    return np.random.default_rng(3).uniform(-1, 1, (n, n_inputs, *PATCH)).astype(np.float32)


def oracle(package: ModelPackage, name: str, values: NDArray[np.float32]) -> NDArray[np.float64]:
    """Each member alone in double precision, softmax by hand, then the mean."""
    part = package.description.part(name)
    found = []
    for member in build_ensemble(package, part).double().members:
        with torch.no_grad():
            powers = np.exp(member(torch.from_numpy(values).double()).numpy())
        found.append(powers / powers.sum(axis=1, keepdims=True))
    return np.asarray(np.mean(found, axis=0))


@pytest.mark.parametrize(("name", "n_outputs"), [("bones", 13), ("lesions", 3)])
def test_openvino_gives_the_mean_softmax(package: ModelPackage, cache_dir: Path, name: str, n_outputs: int) -> None:
    loaded = load_engine(package, name, device="cpu", cache_dir=cache_dir)
    values = batch(2, 1 if name == "bones" else 2)
    found = loaded.predict(values)
    assert loaded.n_outputs == n_outputs
    assert found.dtype == np.float32
    assert found.shape == (2, n_outputs, *PATCH)
    np.testing.assert_allclose(found.sum(axis=1), 1, atol=1e-5)
    np.testing.assert_allclose(found, oracle(package, name, values), atol=0.02)


def test_batch_equals_each_element_and_asking_twice_agrees(package: ModelPackage, cache_dir: Path) -> None:
    loaded = load_engine(package, "lesions", device="cpu", cache_dir=cache_dir)
    values = batch(3, 2)
    together = loaded.predict(values)
    for n in range(3):
        np.testing.assert_array_equal(loaded.predict(values[n : n + 1])[0], together[n])


def test_description_names_program_version_and_precision(package: ModelPackage, cache_dir: Path) -> None:
    description = load_engine(package, "lesions", device="cpu", cache_dir=cache_dir).description
    program, version, where, precision = description.split()
    assert (program, where) == ("OpenVINO", "CPU")
    assert version[:3] == "202"
    assert precision in ("bf16", "f32")


def test_engines_that_go_leave_the_signal_stack(package: ModelPackage, cache_dir: Path) -> None:
    """Engines made and dropped in every order: a handler of signals still has the stack that it had with the first."""

    class Stack(ctypes.Structure):
        _fields_ = (("address", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))

    def address() -> int | None:
        stack = Stack()
        assert ctypes.CDLL(None).sigaltstack(None, ctypes.byref(stack)) == 0
        return stack.address if not stack.flags & _NO_STACK else None

    engines = [load_engine(package, "bones", device="cpu", cache_dir=cache_dir)]
    first = address()
    for order in ((0, 1), (1, 0)):
        engines = [load_engine(package, "bones", device="cpu", cache_dir=cache_dir) for _ in order]
        for n in order:
            engines[n] = load_engine(package, "bones", device="cpu", cache_dir=cache_dir)
            gc.collect()
            assert address() == first
    engines.clear()
    gc.collect()
    assert address() == first


def test_torch_engine_agrees(package: ModelPackage) -> None:
    part = package.description.part("bones")
    loaded = TorchEngine(build_ensemble(package, part), n_outputs=13, device="cpu")
    values = batch(2, 1)
    found = loaded.predict(values)
    assert found.dtype == np.float32
    assert loaded.description.startswith("PyTorch 2.")
    assert loaded.description.endswith("CPU bf16")
    np.testing.assert_allclose(found, oracle(package, "bones", values), atol=0.02)


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
def test_cuda_engine_agrees(package: ModelPackage, tmp_path: Path) -> None:
    loaded = load_engine(package, "bones", device="cuda", cache_dir=tmp_path)
    values = batch(2, 1)
    np.testing.assert_allclose(loaded.predict(values), oracle(package, "bones", values), atol=0.02)
    assert "CUDA" in loaded.description


def test_a_damaged_cache_is_rebuilt(package: ModelPackage, cache_dir: Path, tmp_path: Path) -> None:
    first = load_engine(package, "lesions", device="cpu", cache_dir=cache_dir).predict(batch(1, 2))
    key = engine_openvino._cache_key(package, package.description.part("lesions"))
    entry = tmp_path / key
    shutil.copytree(cache_dir / key, entry)
    whole = {path.name: path.read_bytes() for path in entry.iterdir()}
    assert sorted(whole) == ["model.bin", "model.xml", "sha256"]

    (entry / "model.bin").write_bytes(whole["model.bin"][:-8])
    again = load_engine(package, "lesions", device="cpu", cache_dir=tmp_path).predict(batch(1, 2))
    np.testing.assert_array_equal(again, first)
    assert (entry / "model.bin").read_bytes() == whole["model.bin"]
    assert list(tmp_path.iterdir()) == [entry]


def test_a_kept_network_needs_no_torch(package: ModelPackage, cache_dir: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    load_engine(package, "lesions", device="cpu", cache_dir=cache_dir)

    def convert(*_: object) -> None:
        pytest.fail("converted again")

    monkeypatch.setattr(engine_openvino, "_convert", convert)
    load_engine(package, "lesions", device="cpu", cache_dir=cache_dir)


def test_a_failed_conversion_leaves_nothing(
    package: ModelPackage, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(engine_openvino, "_convert", fail)
    with pytest.raises(KeyboardInterrupt):
        load_engine(package, "lesions", device="cpu", cache_dir=tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_cache_that_cannot_be_written(package: ModelPackage, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(UsageError, match=r"cannot be kept in .*file.*remedy: make the cache folder writable"):
        load_engine(package, "lesions", device="cpu", cache_dir=tmp_path / "file")


def test_keys_differ_by_weights_and_patch(package: ModelPackage) -> None:
    bones, lesions = package.description.parts
    keys = {
        engine_openvino._cache_key(package, part)
        for part in (bones, lesions, dataclasses.replace(bones, patch=(16, 16, 16)))
    }
    assert len(keys) == 3


def test_weights_of_another_network(package: ModelPackage) -> None:
    part = package.description.part("lesions")
    wider = dataclasses.replace(part, network=dataclasses.replace(part.network, channels=(8, 24)))
    with pytest.raises(ModelError, match=r"lesions-0\.safetensors of model 'toy' does not fit.*expected .* of shape"):
        build_ensemble(package, wider)


def test_device_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    assert choose_device("cpu") == "cpu"
    monkeypatch.setattr(engine, "_cuda_is_there", lambda: False)
    assert choose_device("auto") == "cpu"
    with pytest.raises(UsageError, match=r"no CUDA device can be used; got torch .*; remedy: pass --device cpu"):
        choose_device("cuda")
    monkeypatch.setattr(engine, "_cuda_is_there", lambda: True)
    assert choose_device("auto") == choose_device("cuda") == "cuda"


def test_a_processor_build_of_torch_is_not_imported_to_ask(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("importlib.metadata.version", lambda _: "2.13.0+cpu")
    monkeypatch.setitem(sys.modules, "torch", None)
    assert choose_device("auto") == "cpu"


class Failing(nn.Module):
    def __init__(self, error: Exception) -> None:
        super().__init__()
        self.error = error

    def forward(self, _: torch.Tensor) -> torch.Tensor:
        raise self.error


def test_only_lack_of_memory_is_translated() -> None:
    short = TorchEngine(Failing(torch.cuda.OutOfMemoryError("CUDA out of memory. Tried")), n_outputs=2, device="cpu")
    with pytest.raises(OsteometError, match="too little free memory; got CUDA out of memory; remedy: close other"):
        short.predict(batch(1, 2))
    broken = TorchEngine(Failing(RuntimeError("device-side assert")), n_outputs=2, device="cpu")
    with pytest.raises(RuntimeError, match="device-side assert"):
        broken.predict(batch(1, 2))
