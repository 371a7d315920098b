"""GPUs as a DCGM exporter tells them: units, parts of a GPU, and answers that are none."""

import asyncio
from pathlib import Path

import pytest
from faulty_server import serving, whole
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.attach.asking.settings import NamedServer
from prodtop.engine.attach.reading.dcgm import FIELDS, MOST_GPUS, dcgm_sample
from prodtop.engine.attach.watched_gpus import watch_gpus
from prodtop.engine.protocol import ENCODER, HostSample, Message

GPU = 'gpu="1",UUID="GPU-7f",modelName="NVIDIA H200",{host}="node7"'
VALUES = {
    "DCGM_FI_DEV_FB_USED": 1024,
    "DCGM_FI_DEV_FB_FREE": 2048,
    "DCGM_FI_DEV_FB_RESERVED": 512,
    "DCGM_FI_DEV_GPU_UTIL": 100,
    "DCGM_FI_DEV_MEM_COPY_UTIL": 40,
    "DCGM_FI_DEV_POWER_USAGE": 512.5,
    "DCGM_FI_DEV_GPU_TEMP": 61,
    "DCGM_FI_DEV_SM_CLOCK": 1980,
    "DCGM_FI_DEV_MEM_CLOCK": 2619,
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": 5_000_000,
}
PROFILING = {"DCGM_FI_PROF_GR_ENGINE_ACTIVE": 0.9, "DCGM_FI_PROF_DRAM_ACTIVE": 0.62}


def exporter(values: dict[str, float], labels: str = GPU.format(host="hostname")) -> bytes:
    return "".join(f"{name}{{{labels}}} {value}\n" for name, value in values.items()).encode()


def sample_of(body: bytes) -> HostSample:
    sample = dcgm_sample(body, 5.0, wall=lambda: 1.8e9)
    assert sample is not None
    return sample


@pytest.mark.parametrize("host", ["hostname", "Hostname"])
def test_figures_are_in_our_units_and_nothing_else_of_the_machine_is_known(host: str) -> None:
    sample = sample_of(exporter(VALUES, GPU.format(host=host)))
    (gpu,) = sample.gpus
    assert (sample.hostname, gpu.index, gpu.uuid, gpu.name) == ("node7", 1, "GPU-7f", "NVIDIA H200")
    assert gpu.memory_used_bytes == 1024 * 2**20
    assert gpu.memory_total_bytes == (1024 + 2048 + 512) * 2**20
    assert (gpu.utilization, gpu.memory_utilization) == (1.0, 0.4)
    assert (gpu.power_w, gpu.temperature_c, gpu.energy_j) == (512.5, 61, 5000)
    assert (gpu.sm_clock_mhz, gpu.memory_clock_mhz) == (1980, 2619)
    assert sample.cpu_utilization is None
    assert sample.memory_used_bytes is None


def test_how_busy_the_memory_is_is_preferred_and_the_note_says_where_it_is_not_told() -> None:
    plain, profiled = sample_of(exporter(VALUES)), sample_of(exporter({**VALUES, **PROFILING}))
    assert plain.gpu_note is not None
    assert "PROF_DRAM_ACTIVE" in plain.gpu_note
    assert profiled.gpu_note is None
    assert (profiled.gpus[0].utilization, profiled.gpus[0].memory_utilization) == (0.9, 0.62)


@pytest.mark.parametrize("missing", VALUES)
def test_a_figure_that_is_not_told_is_missing_alone(missing: str) -> None:
    without = {name: value for name, value in VALUES.items() if name != missing}
    whole_gpu, gpu = sample_of(exporter(VALUES)).gpus[0], sample_of(exporter(without)).gpus[0]
    for field in gpu.__struct_fields__:
        told = getattr(gpu, field)
        assert told == getattr(whole_gpu, field) or told is None or missing.endswith("RESERVED")


def test_parts_of_a_gpu_have_figures_of_their_own() -> None:
    first, second = (
        GPU.format(host="hostname") + f',GPU_I_ID="{part}",GPU_I_PROFILE="3g.71gb"'
        for part in (1, 2)
    )
    body = exporter({"DCGM_FI_DEV_FB_USED": 10}, first)
    body += exporter({"DCGM_FI_DEV_FB_USED": 20}, second)
    gpus = sample_of(body).gpus
    assert [gpu.memory_used_bytes for gpu in gpus] == [10 * 2**20, 20 * 2**20]
    assert {gpu.name for gpu in gpus} == {"NVIDIA H200 3g.71gb"}


@given(
    values=st.dictionaries(st.sampled_from(FIELDS), st.floats()),
    index=st.text(st.characters(codec="utf-8", exclude_characters='"\\\n'), max_size=30)
    | st.just("9" * 5000),
)
def test_whatever_is_told_can_be_sent(values: dict[str, float], index: str) -> None:
    sample = dcgm_sample(exporter(values, f'gpu="{index}",UUID="u"'), 1.0)
    if sample is not None:
        ENCODER.encode(sample)
        for gpu in sample.gpus:
            assert gpu.memory_used_bytes is None or gpu.memory_used_bytes >= 0


def test_the_gpus_of_one_answer_are_bounded() -> None:
    body = b"".join(b'DCGM_FI_DEV_GPU_TEMP{UUID="u%d"} 50\n' % number for number in range(1000))
    assert len(sample_of(body).gpus) == MOST_GPUS


async def test_an_exporter_is_asked_without_the_servers_token_and_its_faults_are_told(
    tmp_path: Path,
) -> None:
    token = tmp_path / "token"
    token.write_text("s3cret")
    told: asyncio.Queue[Message] = asyncio.Queue()

    async def note() -> str | None:
        async with asyncio.timeout(10):
            sample = await told.get()
        assert isinstance(sample, HostSample)
        return f"{len(sample.gpus)} {sample.gpu_note}"

    async with serving(whole(exporter({**VALUES, **PROFILING}))) as faulty:
        server = NamedServer(
            url="http://elsewhere", name="chat", dcgm=faulty.url, token_file=str(token)
        )
        watching = asyncio.create_task(watch_gpus(server, told.put_nowait, interval_s=0.01))
        assert await note() == "1 None"
        faulty.behaviour = whole(b"node_load1 1\n")
        while (said := await note()) == "1 None":
            pass
        assert said == "0 DCGM exporter: tells of no GPU"
        faulty.behaviour = whole(b"", status="500 Internal Server Error")
        while (said := await note()) == "0 DCGM exporter: tells of no GPU":
            pass
        assert said == "0 DCGM exporter: answers 500 Internal Server Error"
        watching.cancel()
        await asyncio.gather(watching, return_exceptions=True)
    assert b"s3cret" not in b"".join(faulty.requests)
