"""The engine's own GPU: found by UUID whatever its number, each figure missing by itself."""

import os
from collections.abc import Callable

import pytest
from fake_nvml import GIB, FakeError, FakeNvml, FakeProcess
from prodtop.engine.probes.own_gpu import OwnGpu, own_gpu_names

RESERVED = 2 * GIB


def own_of(nvml: FakeNvml, *names: str) -> OwnGpu:
    own = OwnGpu(lambda: nvml, *(names or ("GPU-0",)))
    own.context_created(0)
    return own


def listed() -> list[FakeProcess]:
    return [FakeProcess(1, GIB), FakeProcess(os.getpid(), 9 * GIB)]


@pytest.mark.parametrize(
    ("refused", "energy_j", "held"),
    [
        ((), 9000.5, 9 * GIB),
        (("memory v2",), 9000.5, 9 * GIB),
        (("memory v2", "memory v1"), 9000.5, 9 * GIB),
        (("energy",), None, 9 * GIB),
        (("processes",), 9000.5, RESERVED),
        (("processes", "memory v2"), 9000.5, RESERVED),
        (("processes", "memory v2", "memory v1"), 9000.5, None),
        (("uuid",), 9000.5, 9 * GIB),
        (("handle by uuid",), None, None),
        (("init",), None, None),
    ],
)
@pytest.mark.parametrize("error", [FakeError("Not Supported"), OSError("gone"), KeyError("x")])
def test_what_is_refused_is_missing_by_itself(
    refused: tuple[str, ...], energy_j: float | None, held: int | None, error: Exception
) -> None:
    own = own_of(FakeNvml(processes=listed(), fails=dict.fromkeys(refused, error)))
    assert own.energy_j() == energy_j
    assert own.held_bytes(RESERVED) == held
    assert own.uuid == "GPU-0"


def test_in_a_container_the_context_is_what_the_card_grew_by() -> None:
    nvml = FakeNvml()
    own = OwnGpu(lambda: nvml, "GPU-0")
    grown = nvml.nvmlDeviceGetMemoryInfo(0, 2)
    grown.used += 3 * GIB
    nvml.nvmlDeviceGetMemoryInfo = lambda *_args: grown  # type: ignore[method-assign]
    own.context_created(GIB)
    assert own.held_bytes(RESERVED) == RESERVED + 2 * GIB


def test_the_card_of_the_uuid_is_asked_and_no_other() -> None:
    """As under `CUDA_VISIBLE_DEVICES=2`, where CUDA's device 0 is NVML's GPU 2."""
    nvml = FakeNvml(count=3)
    assert own_of(nvml, *own_gpu_names("2")).energy_j() == 9002.5
    assert {handle for name, handle in nvml.calls if name == "energy"} == {2}


@pytest.mark.parametrize("uuid", ["abc", "GPU-abc", "MIG-abc"])
def test_a_mig_instance_has_the_energy_and_the_uuid_of_its_card(uuid: str) -> None:
    nvml = FakeNvml(count=2, mig={"MIG-abc": 1}, processes=listed())
    own = own_of(nvml, *own_gpu_names(uuid))
    assert (own.uuid, own.energy_j(), own.held_bytes(RESERVED)) == ("GPU-1", 9001.5, 9 * GIB)
    assert ("processes", "MIG-abc") in nvml.calls


def raising(error: Exception) -> Callable[[], FakeNvml]:
    def load() -> FakeNvml:
        raise error

    return load


@pytest.mark.parametrize("error", [ImportError("pynvml"), OSError("a broken library")])
def test_without_nvml_nothing_is_known_and_nothing_raises(error: Exception) -> None:
    own = OwnGpu(raising(error), "GPU-7")
    own.context_created(0)
    assert (own.uuid, own.energy_j(), own.held_bytes(RESERVED)) == ("GPU-7", None, None)


def test_a_gpu_lost_while_serving_loses_the_figures_alone() -> None:
    nvml = FakeNvml(processes=listed())
    own = own_of(nvml)
    nvml.lost.add(0)
    assert own.energy_j() is None
    assert own.held_bytes(RESERVED) == RESERVED
