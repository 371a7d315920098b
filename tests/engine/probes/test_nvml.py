"""GPU samples: what is refused is absent, what is lost is named, what comes back is seen."""

import csv
import subprocess
from ctypes import ArgumentError

import msgspec
import pytest
from fake_nvml import (
    GIB,
    FakeError,
    FakeGpuLostError,
    FakeMemory,
    FakeNvml,
    FakeProcess,
    FakeRates,
    FakeResetRequiredError,
)
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.probes.nvml import REOPEN_AFTER_S, GpuProbe, throttle_in_words
from prodtop.engine.probes.nvml_api import load_pynvml
from prodtop.engine.protocol import GpuSample

FULL_SAMPLE = GpuSample(
    index=0,
    uuid="GPU-0",
    name="NVIDIA[2J Fake",
    memory_used_bytes=20 * GIB,
    memory_total_bytes=80 * GIB,
    utilization=0.4,
    memory_utilization=0.25,
    power_w=312.5,
    power_limit_w=700.0,
    temperature_c=61,
    sm_clock_mhz=1980,
    memory_clock_mhz=2619,
    pcie_rx_bytes_s=2_000_000.0,
    pcie_tx_bytes_s=500_000.0,
    energy_j=9000.5,
)
"""What the fake driver says of its first GPU; memory as `nvidia-smi` counts it."""


class Clock:
    """A clock that only the test moves."""

    now_s = 50.0

    def __call__(self) -> float:
        return self.now_s


@pytest.fixture
def clock() -> Clock:
    return Clock()


def probe_of(nvml: FakeNvml, clock: Clock | None = None) -> GpuProbe:
    return GpuProbe(lambda: nvml, clock or Clock())


def test_one_gpu_in_full() -> None:
    reading = probe_of(FakeNvml()).read()
    assert reading.gpus == [FULL_SAMPLE]
    assert reading.note is None
    assert reading.driver_version == "580.1"


@pytest.mark.parametrize(
    ("call", "fields"),
    [
        ("utilization", {"utilization", "memory_utilization"}),
        ("power", {"power_w"}),
        ("limit", {"power_limit_w"}),
        ("temperature", {"temperature_c"}),
        ("clock 1", {"sm_clock_mhz"}),
        ("clock 2", {"memory_clock_mhz"}),
        ("pcie 0", {"pcie_tx_bytes_s"}),
        ("pcie 1", {"pcie_rx_bytes_s"}),
        ("energy", {"energy_j"}),
        ("reasons", set()),
    ],
)
def test_a_refused_query_leaves_its_own_fields_absent(call: str, fields: set[str]) -> None:
    (sample,) = probe_of(FakeNvml(fails={call: FakeError("Not Supported")})).read().gpus
    for name in GpuSample.__struct_fields__:
        expected = None if name in fields else getattr(FULL_SAMPLE, name)
        assert getattr(sample, name) == expected, name


ODD_ERRORS = (
    UnicodeDecodeError("utf-8", b"GeForce \xae", 8, 9, "invalid start byte"),
    AttributeError("module 'pynvml' has no attribute"),
    TypeError("unexpected keyword argument 'version'"),
    ArgumentError("argument 1"),
    OSError("libnvidia-ml.so.1"),
    KeyError("struct"),
    MemoryError(),
    RecursionError(),
    FakeError("Unknown Error"),
)
QUERIES = (
    "driver", "name", "uuid", "memory v2", "memory v1", "utilization", "power", "limit",
    "temperature", "clock 1", "clock 2", "pcie 0", "pcie 1", "energy", "reasons", "processes",
)  # fmt: skip
LOST_WITH = {
    "name": {"name"},
    "uuid": {"uuid"},
    "memory v2": {"memory_used_bytes"},
    "utilization": {"utilization", "memory_utilization"},
    "power": {"power_w"},
    "limit": {"power_limit_w"},
    "temperature": {"temperature_c"},
    "clock 1": {"sm_clock_mhz"},
    "clock 2": {"memory_clock_mhz"},
    "pcie 0": {"pcie_tx_bytes_s"},
    "pcie 1": {"pcie_rx_bytes_s"},
    "energy": {"energy_j"},
    "processes": {"process_bytes"},
}
"""Fields that another reply, or none, takes the place of."""


@pytest.mark.parametrize("error", ODD_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("call", QUERIES)
def test_an_error_of_any_type_loses_its_own_field_alone(call: str, error: Exception) -> None:
    nvml = FakeNvml(count=2, processes=[FakeProcess(7, GIB)])
    healthy = probe_of(nvml).read(watched_pids={7})
    nvml.fails[call] = error
    reading = probe_of(nvml).read(watched_pids={7})
    assert reading.note is None
    assert (reading.driver_version == healthy.driver_version) == (call != "driver")
    for sample, before in zip(reading.gpus, healthy.gpus, strict=True):
        changed = {
            name
            for name in GpuSample.__struct_fields__
            if getattr(sample, name) != getattr(before, name)
        }
        assert changed <= LOST_WITH.get(call, set())
        assert msgspec.msgpack.decode(msgspec.msgpack.encode(sample), type=GpuSample) == sample


@pytest.mark.parametrize("error", ODD_ERRORS, ids=lambda error: type(error).__name__)
@pytest.mark.parametrize("call", ["load", "init", "count", "handle", "shutdown"])
def test_an_error_of_any_type_on_the_way_is_a_note(
    call: str, error: Exception, clock: Clock
) -> None:
    nvml = FakeNvml(count=2, fails={call: error})

    def load() -> FakeNvml:
        if call == "load":
            raise error
        return nvml

    probe = GpuProbe(load, clock)
    reading = probe.read()
    if call == "shutdown":
        assert len(reading.gpus) == 2
    else:
        assert reading.gpus == []
        assert reading.note
    clock.now_s += REOPEN_AFTER_S
    probe.read()
    probe.close()


@settings(max_examples=60, deadline=None)
@given(
    refused=st.dictionaries(st.sampled_from(QUERIES), st.sampled_from(ODD_ERRORS)),
    count=st.integers(1, 16),
)
def test_a_card_that_refuses_anything_is_still_a_card(
    refused: dict[str, Exception], count: int
) -> None:
    reading = probe_of(FakeNvml(count=count, fails=dict(refused))).read(watched_pids={7})
    assert [sample.index for sample in reading.gpus] == list(range(count))
    assert (reading.gpus[0].power_w is None) == ("power" in refused)


@pytest.mark.parametrize(
    ("call", "reply", "name", "value"),
    [
        ("nvmlDeviceGetName", b"GeForce \xae RTX", "name", "GeForce \ufffd RTX"),
        ("nvmlDeviceGetName", None, "name", ""),
        ("nvmlDeviceGetName", "lone \udcae", "name", "lone ?"),
        ("nvmlDeviceGetUUID", b"GPU-0", "uuid", "GPU-0"),
        ("nvmlDeviceGetPowerUsage", 2**64 - 1, "power_w", None),
        ("nvmlDeviceGetPowerUsage", None, "power_w", None),
        ("nvmlDeviceGetPowerUsage", "N/A", "power_w", None),
        ("nvmlDeviceGetTemperature", float("nan"), "temperature_c", None),
        ("nvmlDeviceGetTemperature", -3, "temperature_c", -3),
        ("nvmlDeviceGetClockInfo", -1, "sm_clock_mhz", None),
        ("nvmlDeviceGetUtilizationRates", None, "utilization", None),
        ("nvmlDeviceGetUtilizationRates", FakeRates(2**32 - 1, 25), "utilization", None),
        ("nvmlDeviceGetUtilizationRates", FakeRates(2**32 - 1, 25), "memory_utilization", 0.25),
        ("nvmlDeviceGetMemoryInfo", FakeMemory(total=0, used=0), "memory_total_bytes", None),
        ("nvmlDeviceGetMemoryInfo", FakeMemory(total=0, used=0), "memory_used_bytes", None),
        ("nvmlDeviceGetMemoryInfo", object(), "memory_used_bytes", None),
        ("nvmlDeviceGetComputeRunningProcesses", [object()], "process_bytes", None),
        ("nvmlDeviceGetComputeRunningProcesses", [FakeProcess(7, 2**64)], "process_bytes", None),
        ("nvmlDeviceGetComputeRunningProcesses", [object(), FakeProcess(7, 5)], "process_bytes", 5),
        ("nvmlDeviceGetComputeRunningProcesses", 2 * [FakeProcess(7, 5)], "process_bytes", 10),
    ],
)  # fmt: skip
def test_a_reply_that_is_no_figure_is_missing(
    call: str, reply: object, name: str, value: object
) -> None:
    nvml = FakeNvml()
    setattr(nvml, call, lambda *_args, **_named: reply)
    (sample,) = probe_of(nvml).read(watched_pids={7}).gpus
    assert getattr(sample, name) == value
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(sample), type=GpuSample) == sample


def test_a_name_that_is_no_utf8_keeps_what_can_be_read() -> None:
    (sample,) = probe_of(FakeNvml(fails={"name": ODD_ERRORS[0]})).read().gpus
    assert sample.name == "GeForce \ufffd"


def test_a_card_that_vanishes_without_a_word_is_missed_and_seen_again(clock: Clock) -> None:
    nvml = FakeNvml(count=2)
    probe = probe_of(nvml, clock)
    probe.read()
    unknown: dict[str, Exception] = {name: FakeError("Unknown Error") for name in QUERIES}
    nvml.fails = unknown
    assert [sample.power_w for sample in probe.read().gpus] == [None, None]
    nvml.fails = {}
    nvml.count = 1
    clock.now_s += REOPEN_AFTER_S
    reading = probe.read()
    assert [sample.uuid for sample in reading.gpus] == ["GPU-0"]
    assert reading.note == "NVIDIA[2J Fake is gone"
    nvml.count = 2
    clock.now_s += REOPEN_AFTER_S
    reading = probe.read()
    assert [sample.uuid for sample in reading.gpus] == ["GPU-0", "GPU-1"]
    assert reading.note is None


def test_a_card_that_never_answers_is_not_opened_over_and_over(clock: Clock) -> None:
    nvml = FakeNvml(fails={name: FakeError("Not Supported") for name in QUERIES})
    probe = probe_of(nvml, clock)
    for _ in range(5):
        assert len(probe.read().gpus) == 1
        clock.now_s += REOPEN_AFTER_S
    assert [name for name, _ in nvml.calls].count("init") == 1


def test_memory_falls_back_to_the_first_version_and_then_to_nothing() -> None:
    nvml = FakeNvml(fails={"memory v2": FakeError("Function Not Found")})
    (sample,) = probe_of(nvml).read().gpus
    assert sample.memory_used_bytes == 21 * GIB
    nvml.fails["memory v1"] = FakeError("Not Supported")
    (sample,) = probe_of(nvml).read().gpus
    assert (sample.memory_used_bytes, sample.memory_total_bytes) == (None, None)


@pytest.mark.parametrize(
    ("processes", "held"),
    [
        ([FakeProcess(7, 3 * GIB), FakeProcess(8, GIB)], 3 * GIB),
        ([FakeProcess(7, None)], None),
        ([FakeProcess(4001, 3 * GIB)], None),
        ([], None),
    ],
    ids=["listed", "listed without a figure", "a stranger alone", "nobody"],
)
def test_only_the_watched_process_itself_counts(
    processes: list[FakeProcess], held: int | None
) -> None:
    (sample,) = probe_of(FakeNvml(processes=processes)).read(watched_pids={7}).gpus
    assert sample.process_bytes == held


def test_a_machine_without_a_driver_says_so_and_is_asked_again_later(clock: Clock) -> None:
    nvml = FakeNvml(fails={"init": FakeError("NVML Shared Library Not Found")})
    probe = probe_of(nvml, clock)
    for _ in range(3):
        reading = probe.read()
        assert reading.gpus == []
        assert reading.note == "no NVIDIA GPU: NVML Shared Library Not Found"
    assert [name for name, _ in nvml.calls] == ["init"]

    nvml.fails.clear()
    clock.now_s += REOPEN_AFTER_S
    reading = probe.read()
    assert (reading.gpus, reading.note) == ([FULL_SAMPLE], None)


def test_a_machine_without_the_package_says_so() -> None:
    def missing() -> FakeNvml:
        raise ImportError("pynvml")

    reading = GpuProbe(missing, Clock()).read()
    assert reading.note == "no NVIDIA GPU: the package nvidia-ml-py is not installed"


def test_a_driver_without_gpus_says_so() -> None:
    assert probe_of(FakeNvml(count=0)).read().note == "no NVIDIA GPU: the driver lists none"


def test_a_lost_gpu_is_named_left_alone_and_seen_again(clock: Clock) -> None:
    nvml = FakeNvml(count=2)
    probe = probe_of(nvml, clock)
    assert [sample.index for sample in probe.read().gpus] == [0, 1]

    nvml.lost.add(1)
    reading = probe.read()
    assert [sample.index for sample in reading.gpus] == [0]
    assert reading.note == "GPU 1: GPU is lost"
    nvml.calls.clear()
    assert probe.read().note == "GPU 1: GPU is lost"
    assert not any(handle == 1 for _, handle in nvml.calls)

    clock.now_s += REOPEN_AFTER_S
    assert probe.read().note == "GPU 1: GPU is lost"
    nvml.lost.clear()
    clock.now_s += REOPEN_AFTER_S
    reading = probe.read()
    assert [sample.index for sample in reading.gpus] == [0, 1]
    assert reading.note is None


@pytest.mark.parametrize(
    "error", [FakeGpuLostError("GPU is lost"), FakeResetRequiredError("reset")]
)
def test_a_gpu_lost_between_two_queries_is_no_crash(error: Exception) -> None:
    nvml = FakeNvml()
    probe = probe_of(nvml)
    probe.read()
    nvml.fails["energy"] = error
    reading = probe.read()
    assert reading.gpus == []
    assert reading.note == f"GPU 0: {error}"


def test_pcie_is_measured_on_one_gpu_a_round() -> None:
    nvml = FakeNvml(count=3)
    probe = probe_of(nvml)
    measured: set[object] = set()
    for _ in range(3):
        nvml.calls.clear()
        probe.read()
        handles = {handle for name, handle in nvml.calls if name.startswith("pcie")}
        assert len(handles) == 1
        measured |= handles
    assert measured == {0, 1, 2}


def test_closing_survives_a_driver_that_is_gone() -> None:
    nvml = FakeNvml()
    probe = probe_of(nvml)
    probe.read()
    nvml.fails["shutdown"] = FakeGpuLostError("GPU is lost")
    probe.close()


@pytest.mark.parametrize(
    ("reasons", "words"),
    [
        (0x0, None),
        (0x1, None),
        (0x2, None),
        (0x4, "power cap"),
        (0x4 | 0x40, "power cap, hardware thermal slowdown"),
    ],
)
def test_throttling_in_words(reasons: int, words: str | None) -> None:
    assert throttle_in_words(reasons) == words


@pytest.mark.gpu
def test_the_figures_agree_with_nvidia_smi() -> None:
    """Read before and after `nvidia-smi`, which takes a moment: its memory lies between, ± 1 %."""
    probe = GpuProbe(load_pynvml)
    before = probe.read().gpus
    query = "index,uuid,memory.used,memory.total,enforced.power.limit,temperature.gpu"
    answer = subprocess.run(
        ["nvidia-smi", f"--query-gpu={query}", "--format=csv,noheader,nounits"],
        capture_output=True,
        text=True,
        check=True,
    ).stdout
    after = probe.read().gpus
    rows = [[cell.strip() for cell in row] for row in csv.reader(answer.splitlines())]
    assert len(rows) == len(before) == len(after)
    for row, first, last in zip(rows, before, after, strict=True):
        assert (int(row[0]), row[1]) == (first.index, first.uuid)
        for cell, low, high in (
            (row[2], first.memory_used_bytes, last.memory_used_bytes),
            (row[3], first.memory_total_bytes, last.memory_total_bytes),
        ):
            assert low is not None
            assert high is not None
            bytes_there = float(cell) * 2**20
            assert 0.99 * min(low, high) <= bytes_there <= 1.01 * max(low, high) + 2**20
        assert first.power_limit_w == pytest.approx(float(row[4]), rel=0.01)
        assert first.temperature_c == pytest.approx(float(row[5]), abs=3)
