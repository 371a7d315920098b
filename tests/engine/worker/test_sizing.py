"""How much KV cache an engine gets, on a CPU and on GPUs of several sizes."""

from dataclasses import replace

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.precision.levels import base_dtype, default_precision
from prodtop.engine.probes.memory_limits import MemoryLimit
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.serving.kv_cache import BLOCK_TOKENS, KVCache, block_bytes
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.presets import PRESETS
from prodtop.engine.worker.sizing import engine_settings, gathered_bytes

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)
GIB = 2**30
SMALL = ModelShape(
    vocabulary=320,
    hidden=64,
    intermediate=96,
    layers=2,
    heads=4,
    kv_heads=2,
    head_dim=16,
    context_tokens=1024,
)


def sized(
    options: WorkerOptions,
    config: ModelShape = SMALL,
    precision: PrecisionName = PrecisionName.BF16,
    device: torch.device = CPU,
    loaded_dtype: torch.dtype | None = None,
) -> EngineSettings:
    return engine_settings(options, config, precision, device, loaded_dtype)


def free_gpu_memory(monkeypatch: pytest.MonkeyPatch, gib: float) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _: (int(gib * GIB), int(80 * GIB)))
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: 1.0)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (9, 0))
    for held in ("memory_reserved", "memory_allocated"):
        monkeypatch.setattr(torch.cuda, held, lambda _: 0)


def test_block_bytes_are_those_of_the_cache() -> None:
    cache = KVCache(SMALL, 7, CPU, torch.bfloat16)
    assert cache.storage_bytes == 7 * block_bytes(SMALL, torch.bfloat16)
    assert block_bytes(SMALL, torch.float32) == 2 * block_bytes(SMALL, torch.bfloat16)


def test_a_draft_model_shares_what_there_is() -> None:
    options = WorkerOptions(max_seqs=8, kv_gib=0.01)
    alone = engine_settings(options, SMALL, PrecisionName.FP32, CPU)
    with_draft = engine_settings(options, SMALL, PrecisionName.FP32, CPU, draft=SMALL)
    own = block_bytes(SMALL, torch.float32)
    draft = block_bytes(SMALL, base_dtype(default_precision(CPU)))
    assert alone.kv_blocks == int(0.01 * GIB) // own
    assert with_draft.kv_blocks == int(0.01 * GIB) // (own + draft)


def test_a_small_model_holds_every_sequence_at_full_length() -> None:
    settings = sized(WorkerOptions(max_seqs=8))
    assert settings.context_tokens == 1024
    assert settings.kv_blocks == 8 * 1024 // BLOCK_TOKENS
    assert settings.max_seqs == 8


def test_a_long_context_is_asked_for_not_assumed(monkeypatch: pytest.MonkeyPatch) -> None:
    free_gpu_memory(monkeypatch, 70)
    llama = PRESETS["llama-3.1-8b"]
    assert sized(WorkerOptions(), llama, device=CUDA).context_tokens == 8192
    asked = sized(WorkerOptions(context_tokens=65_536), llama, device=CUDA)
    assert asked.context_tokens == 65_536


def test_a_context_that_is_no_whole_number_of_blocks_is_rounded_up_to_them() -> None:
    settings = sized(WorkerOptions(max_seqs=3, context_tokens=100))
    assert settings.context_tokens == 100
    assert settings.kv_blocks == 3 * 7


def test_a_context_beyond_the_models_is_refused() -> None:
    with pytest.raises(BadInputError, match="2000 tokens is more than the model's 1024"):
        sized(WorkerOptions(context_tokens=2000))


def test_every_sequence_gets_a_token_in_each_step() -> None:
    assert sized(WorkerOptions(max_seqs=900)).token_budget >= 900


def test_a_budget_that_was_asked_for_is_used_up_and_not_exceeded() -> None:
    settings = sized(WorkerOptions(kv_gib=0.25))
    one = block_bytes(SMALL, torch.bfloat16)
    assert settings.kv_blocks * one <= 0.25 * GIB < (settings.kv_blocks + 1) * one


def test_a_budget_in_gib_holds_half_as_much_at_fp32() -> None:
    narrow = sized(WorkerOptions(kv_gib=0.25))
    wide = sized(WorkerOptions(kv_gib=0.25), precision=PrecisionName.FP32)
    assert wide.kv_blocks == narrow.kv_blocks // 2


@pytest.mark.parametrize("gib", [0.0, 1e-6])
def test_a_budget_too_small_for_one_sequence_is_refused(gib: float) -> None:
    with pytest.raises(BadInputError) as caught:
        sized(WorkerOptions(kv_gib=gib))
    assert "one sequence of 1024 tokens needs" in str(caught.value)
    assert "\n" not in str(caught.value)


def test_a_cpu_short_of_memory_still_serves_one_sequence() -> None:
    limits = [MemoryLimit("the cgroup's limit", 4096)]
    settings = engine_settings(WorkerOptions(), SMALL, PrecisionName.BF16, CPU, limits=limits)
    assert settings.kv_blocks == 1024 // BLOCK_TOKENS


def test_the_least_limit_of_a_gpu_decides(monkeypatch: pytest.MonkeyPatch) -> None:
    """Torch's share of the GPU as well as what is free."""
    llama, many = PRESETS["llama-3.1-8b"], WorkerOptions(max_seqs=256)
    free_gpu_memory(monkeypatch, 24)
    alone = sized(many, llama, device=CUDA)
    free_gpu_memory(monkeypatch, 70)
    monkeypatch.setattr(torch.cuda, "get_per_process_memory_fraction", lambda _: 0.3)
    assert sized(many, llama, device=CUDA) == alone


def test_a_gpu_gives_what_the_weights_leave(monkeypatch: pytest.MonkeyPatch) -> None:
    free_gpu_memory(monkeypatch, 24)
    llama = PRESETS["llama-3.1-8b"]
    settings = sized(WorkerOptions(max_seqs=256), llama, device=CUDA)
    cache = settings.kv_blocks * block_bytes(llama, torch.bfloat16)
    weights = 2 * llama.parameters
    assert cache + weights < 24 * GIB
    assert cache > 0.5 * (24 * GIB - weights), "most of what is left is used"


def kv_gib(settings: EngineSettings, config: ModelShape) -> float:
    return settings.kv_blocks * block_bytes(config, torch.bfloat16) / GIB


def test_weights_that_are_loaded_are_not_paid_for_again(monkeypatch: pytest.MonkeyPatch) -> None:
    llama, many = PRESETS["llama-3.1-8b"], WorkerOptions(max_seqs=256, context_tokens=8192)
    weights_gib = 2 * llama.parameters / GIB
    free_gpu_memory(monkeypatch, 60)
    before = kv_gib(sized(many, llama, device=CUDA), llama)
    free_gpu_memory(monkeypatch, 60 - weights_gib)
    after = kv_gib(sized(many, llama, device=CUDA, loaded_dtype=torch.bfloat16), llama)
    packed_gib = llama.parameters / GIB
    assert before - 0.9 * packed_gib == pytest.approx(after, abs=0.1), "but room to switch is kept"


def test_a_copy_in_another_dtype_is_no_set_to_serve(monkeypatch: pytest.MonkeyPatch) -> None:
    free_gpu_memory(monkeypatch, 40)
    llama, many = PRESETS["llama-3.1-8b"], WorkerOptions(max_seqs=256, context_tokens=8192)
    none_loaded = sized(many, llama, device=CUDA)
    assert sized(many, llama, device=CUDA, loaded_dtype=torch.float32) == none_loaded


def test_a_gpu_too_small_for_the_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    free_gpu_memory(monkeypatch, 12)
    with pytest.raises(BadInputError, match=r"1\.00 GiB of KV cache, and 0 MiB is left"):
        sized(WorkerOptions(), PRESETS["llama-3.1-8b"], device=CUDA)


@settings(deadline=None, max_examples=80)
@given(
    max_seqs=st.integers(1, 512),
    context=st.none() | st.integers(1, 1024),
    kv_gib=st.none() | st.floats(0.001, 4),
    layers=st.integers(1, 40),
)
def test_there_is_always_room_for_one_sequence_and_never_more_than_asked(
    max_seqs: int, context: int | None, kv_gib: float | None, layers: int
) -> None:
    config = replace(SMALL, layers=layers)
    options = WorkerOptions(max_seqs=max_seqs, context_tokens=context, kv_gib=kv_gib)
    try:
        settings = sized(options, config)
    except BadInputError:
        assert kv_gib is not None, "without a budget of the user's, a CPU serves any model"
        return
    sequence = -(-settings.context_tokens // BLOCK_TOKENS)
    assert settings.kv_blocks >= sequence
    assert settings.token_budget >= settings.max_seqs == max_seqs
    if kv_gib is None:
        assert settings.kv_blocks <= max_seqs * sequence
    else:
        assert settings.kv_blocks * block_bytes(config, torch.bfloat16) <= kv_gib * GIB


def test_an_fp8_cache_is_refused_where_no_kernel_reads_it() -> None:
    options = WorkerOptions(kv_format="fp8")
    with pytest.raises(BadInputError, match="leave out --kv-format"):
        engine_settings(options, PRESETS["tinyllama-1.1b"], PrecisionName.BF16, CPU)


def test_what_long_prompts_are_gathered_in_is_counted(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("triton")
    from prodtop.engine.kernels.attention.gathered_keys import GatheredKeys

    free_gpu_memory(monkeypatch, 80)
    llama, options = PRESETS["llama-3.1-8b"], WorkerOptions(context_tokens=65_536)
    both = gathered_bytes(options, llama, CUDA, PRESETS["llama-3.2-1b"])
    own = gathered_bytes(options, llama, CUDA)
    scratch = GatheredKeys.of(
        65_536, 2048, llama.heads, llama.kv_heads, llama.head_dim, torch.bfloat16, CPU
    )
    assert scratch is not None
    assert own == scratch.scratch.untyped_storage().nbytes()
    assert own == gathered_bytes(options, llama, CUDA) < both
    on_hopper = sized(WorkerOptions(max_seqs=1000), llama, device=CUDA)
    monkeypatch.setattr(torch.cuda, "get_device_capability", lambda _: (8, 9))
    assert gathered_bytes(options, llama, CUDA) == 0
    on_ada = sized(WorkerOptions(max_seqs=1000), llama, device=CUDA)
    assert on_hopper.kv_blocks < on_ada.kv_blocks
    assert gathered_bytes(options, llama, CPU) == 0
