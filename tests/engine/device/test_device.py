"""Names of devices, and what is said of those that are not there."""

import os

import pytest
import torch
from prodtop.engine.device import devices as device_module
from prodtop.engine.device.devices import (
    device_name,
    resolve_device,
    use_threads,
)
from prodtop.engine.protocol.errors import BadInputError, DeviceUnavailableError

CPU = torch.device("cpu")


def pretend_gpus(monkeypatch: pytest.MonkeyPatch, count: int) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: count > 0)
    monkeypatch.setattr(torch.cuda, "device_count", lambda: count)


@pytest.mark.parametrize("gpus", [0, 2])
def test_cpu_is_always_there(monkeypatch: pytest.MonkeyPatch, gpus: int) -> None:
    pretend_gpus(monkeypatch, gpus)
    assert resolve_device("cpu") == CPU


def test_auto_takes_the_first_gpu_where_there_is_one(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    assert resolve_device("auto") == torch.device("cuda", 0)
    pretend_gpus(monkeypatch, 0)
    assert resolve_device("auto") == CPU


def test_gpus_are_numbered(monkeypatch: pytest.MonkeyPatch) -> None:
    pretend_gpus(monkeypatch, 2)
    assert resolve_device("cuda") == torch.device("cuda", 0)
    assert resolve_device("cuda:1") == torch.device("cuda", 1)


@pytest.mark.parametrize(
    ("name", "gpus", "message"),
    [("cuda", 0, "--device cpu"), ("cuda:0", 0, "--device cpu"), ("cuda:2", 2, "no GPU 2")],
)
def test_a_gpu_that_is_not_there_is_never_replaced(
    monkeypatch: pytest.MonkeyPatch, name: str, gpus: int, message: str
) -> None:
    pretend_gpus(monkeypatch, gpus)
    with pytest.raises(DeviceUnavailableError, match=message):
        resolve_device(name)


@pytest.mark.parametrize("name", ["", "gpu", "CPU", "cpu:0", "cuda:x", "cuda:-1", "mps", "auto:1"])
def test_other_names_are_refused(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    pretend_gpus(monkeypatch, 2)
    with pytest.raises(BadInputError, match="use auto, cpu, cuda or cuda:N"):
        resolve_device(name)


def test_a_refused_name_is_shown_clean() -> None:
    with pytest.raises(BadInputError) as caught:
        resolve_device("\x1b[2Jx")
    assert "\x1b" not in str(caught.value)


def test_a_cpu_has_a_name() -> None:
    assert device_name(CPU)


def test_where_nobody_says_it_is_a_cpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(device_module, "cpu_name", lambda: "")
    assert device_name(CPU) == "CPU"


def test_threads_are_those_asked_for_or_leave_one_core_to_the_screen() -> None:
    use_threads(1)
    assert torch.get_num_threads() == 1
    use_threads(None)
    assert torch.get_num_threads() == max(1, len(os.sched_getaffinity(0)) - 1)
