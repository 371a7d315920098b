"""All parts of what is asked for are checked together, against each limit, on a CPU and a GPU."""

import re

import pytest
import torch
from hypothesis import assume, given
from hypothesis import strategies as st
from prodtop.engine.model.memory_need import total_bytes
from prodtop.engine.probes.memory_limits import MemoryLimit
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.shape.presets import PRESETS
from prodtop.engine.worker.memory_plan import Wish, check_fits, device_parts, host_parts

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
GIB = 2**30
LLAMA, SMALL = PRESETS["llama-3.1-8b"], PRESETS["llama-3.2-1b"]


@pytest.fixture(autouse=True)
def a_gpu_of_every_level(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _=None: (9, 0))


def limit(size: float, name: str = "the cgroup's limit") -> list[MemoryLimit]:
    return [MemoryLimit("the machine's free memory", 2**60), MemoryLimit(name, int(size))]


def refusal(wish: Wish, host: float, device: float = 2**60) -> str | None:
    try:
        check_fits("llama", wish, limit(host), limit(device, "the GPU's free memory"))
    except BadInputError as error:
        return str(error)
    return None


def asked(
    kv_gib: float | None = 4, precision: PrecisionName = PrecisionName.BF16, **others: object
) -> Wish:
    options = WorkerOptions(kv_gib=kv_gib)
    return Wish(options, LLAMA, precision, **{"device": CPU, **others})  # type: ignore[arg-type]


def test_the_refusal_lists_the_parts_and_the_limit_that_binds() -> None:
    said = refusal(asked(), 30 * GIB)
    assert said is not None
    assert "\n" not in said
    pattern = (
        r"llama needs (\S+) GiB: bf16 weights (\S+), KV cache 4\.0, workspace (\S+), "
        r"master copy (\S+); the cgroup's limit leaves 30\.0 GiB: "
        r"lower --kv-gib to at most (\S+) or choose --precision int8"
    )
    found = re.fullmatch(pattern, said)
    assert found is not None, said
    needed, weights, workspace, master, most = map(float, found.groups())
    assert needed == pytest.approx(weights + 4 + workspace + master, abs=0.2)
    assert refusal(asked(most), 30 * GIB) is None
    assert refusal(asked(most + 0.02), 30 * GIB) is not None


@pytest.mark.parametrize("home", [CPU, CUDA], ids=["master on host", "master on GPU"])
@pytest.mark.parametrize("draft", [None, SMALL], ids=["alone", "with draft"])
@pytest.mark.parametrize("device", [CPU, CUDA], ids=str)
@pytest.mark.parametrize("precision", PrecisionName)
def test_a_wish_is_refused_from_the_byte_on_that_is_missing(
    precision: PrecisionName, device: torch.device, draft: object, home: torch.device
) -> None:
    home = CPU if device == CPU else home
    wish = asked(4, precision, device=device, draft=draft, master_on=home, draft_master_on=home)
    host, gpu = total_bytes(host_parts(wish)), total_bytes(device_parts(wish))
    if device == CPU:
        gpu = 0
    assert refusal(wish, host + 1, gpu + 1) is None
    if host:
        assert "the cgroup's limit leaves" in (refusal(wish, host - 1, gpu + 1) or "")
    if gpu:
        assert "the GPU's free memory leaves" in (refusal(wish, host + 1, gpu - 1) or "")


def test_a_draft_model_and_its_cache_count() -> None:
    alone, both = asked(None), asked(None, draft=SMALL)
    more = total_bytes(host_parts(both)) - total_bytes(host_parts(alone))
    assert more > 2 * 2 * SMALL.parameters * 0.9, "its weights and its master copy"
    assert both.kv_bytes > alone.kv_bytes


def test_unknown_limits_refuse_nothing() -> None:
    check_fits("llama", asked(), [], [])
    check_fits("llama", asked(device=CUDA), [], [])


@given(
    room=st.floats(0.1, 80),
    kv_gib=st.none() | st.floats(0.01, 40),
    precision=st.sampled_from(PrecisionName),
)
def test_advice_that_is_followed_helps(
    room: float, kv_gib: float | None, precision: PrecisionName
) -> None:
    assume(precision is not PrecisionName.FP8)
    wish = asked(kv_gib, precision)
    said = refusal(wish, room * GIB)
    if said is None:
        return
    lower = re.search(r"--kv-gib to at most ([\d.e-]+)", said)
    if lower is not None:
        assert refusal(asked(float(lower[1]), precision), room * GIB) is None
    narrower = re.search(r"--precision (\w+)", said)
    if narrower is not None:
        assert refusal(asked(kv_gib, PrecisionName(narrower[1])), room * GIB) is None
