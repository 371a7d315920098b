"""Which device `python -m …calibrate.device` measures, on a machine that pretends to have GPUs."""

import sys
from types import SimpleNamespace

import pytest
import torch
from prodtop.engine.planner.calibrate import device as measuring
from prodtop.engine.planner.calibrate.samples import EXIT_NO_GPU, DeviceSample, Report

MEASURED = ("_warm", "_products", "_copies")
SET_DEVICE_WITHOUT_INDEX = "Expected a torch.device with a specified index"


class Gpus:
    """Stands for the parts of `torch.cuda` that need a GPU, as strict as they are."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, count: int) -> None:
        self.used: list[torch.device] = []
        self.reports: list[Report] = []
        for name, value in {
            "is_available": lambda: count > 0,
            "device_count": lambda: count,
            "set_device": self._use,
            "get_device_name": lambda device: f"GPU {device.index}",
            "get_device_properties": lambda device: SimpleNamespace(
                total_memory=1 << 34, multi_processor_count=device.index + 1
            ),
        }.items():
            monkeypatch.setattr(torch.cuda, name, value)
        for name in MEASURED:
            monkeypatch.setattr(measuring, name, self.used.append)
        monkeypatch.setattr(measuring, "write_report", self.reports.append)

    def _use(self, device: torch.device) -> None:
        if device.index is None:
            raise ValueError(SET_DEVICE_WITHOUT_INDEX)
        self.used.append(device)


def measure(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> None:
    monkeypatch.setattr(sys, "argv", ["device", *arguments])
    measuring.main()


@pytest.mark.parametrize(
    ("arguments", "index"),
    [((), 0), (("--device", "auto"), 0), (("--device", "cuda"), 0), (("--device", "cuda:1"), 1)],
)
def test_a_gpu_is_measured_by_its_index(
    monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...], index: int
) -> None:
    gpus = Gpus(monkeypatch, count=2)
    measure(monkeypatch, *arguments)
    assert gpus.used == [torch.device("cuda", index)] * (1 + len(MEASURED))
    [described] = gpus.reports
    assert isinstance(described, DeviceSample)
    assert (described.name, described.sms, described.devices) == (f"GPU {index}", index + 1, 2)


@pytest.mark.parametrize("arguments", [(), ("--device", "cpu")])
def test_a_cpu_is_never_warmed(monkeypatch: pytest.MonkeyPatch, arguments: tuple[str, ...]) -> None:
    gpus = Gpus(monkeypatch, count=0)
    measure(monkeypatch, *arguments)
    assert gpus.used == [torch.device("cpu")] * 2


@pytest.mark.parametrize(
    ("name", "count", "code"),
    [
        ("cuda", 0, EXIT_NO_GPU),
        ("cuda:0", 0, EXIT_NO_GPU),
        ("cuda:2", 2, "there is no GPU 2: this machine has 2"),
        ("cuda:x", 2, "no device 'cuda:x': use auto, cpu, cuda or cuda:N"),
        ("mps", 2, "no device 'mps': use auto, cpu, cuda or cuda:N"),
    ],
)
def test_a_device_that_is_not_there_ends_with_the_reason(
    monkeypatch: pytest.MonkeyPatch, name: str, count: int, code: int | str
) -> None:
    Gpus(monkeypatch, count)
    with pytest.raises(SystemExit) as ended:
        measure(monkeypatch, "--device", name)
    assert ended.value.code == code
