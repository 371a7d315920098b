"""Which levels a device runs, and what is said of those that it does not."""

import pytest
import torch
from prodtop.engine.precision.int4_rounding import int4_group
from prodtop.engine.precision.levels import (
    base_dtype,
    default_precision,
    pack,
    require,
    statuses,
    unavailable_reason,
)
from prodtop.engine.precision.projection import Projection
from prodtop.engine.protocol import PrecisionName
from prodtop.engine.protocol.errors import PrecisionUnavailableError

CPU, CUDA = torch.device("cpu"), torch.device("cuda", 0)


def pretend_gpu(monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int]) -> None:
    def of_device(device: torch.device) -> tuple[int, int]:
        assert device.type == "cuda"
        return capability

    monkeypatch.setattr(torch.cuda, "get_device_capability", of_device)


def test_a_cpu_runs_every_level_but_fp8() -> None:
    by_name = {status.name: status.reason for status in statuses(CPU)}
    assert list(by_name) == list(PrecisionName), "in the order of their keys"
    assert [name for name, reason in by_name.items() if reason is not None] == [PrecisionName.FP8]
    assert "compute capability 8.9" in (by_name[PrecisionName.FP8] or "")


def test_what_cannot_run_is_refused_with_its_reason_never_replaced() -> None:
    with pytest.raises(PrecisionUnavailableError) as caught:
        require(PrecisionName.FP8, CPU)
    reason = unavailable_reason(PrecisionName.FP8, CPU)
    assert str(caught.value) == f"fp8 cannot run here: {reason}"
    assert caught.value.exit_code == 2


@pytest.mark.parametrize("precision", [p for p in PrecisionName if p is not PrecisionName.FP8])
def test_what_can_run_is_let_through(precision: PrecisionName) -> None:
    require(precision, CPU)


@pytest.mark.parametrize(
    ("capability", "missing"),
    [
        ((7, 5), {"bf16", "int8", "int4", "fp8"}),
        ((8, 0), {"fp8"}),
        ((8, 6), {"fp8"}),
        ((8, 9), set()),
        ((9, 0), set()),
        ((10, 0), set()),
        ((12, 0), set()),
    ],
)
def test_a_gpus_levels_follow_its_compute_capability(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], missing: set[str]
) -> None:
    pretend_gpu(monkeypatch, capability)
    reasons = {status.name: status.reason for status in statuses(CUDA) if status.reason}
    assert set(reasons) == missing
    shown = ".".join(map(str, capability))
    assert all(shown in reason for reason in reasons.values())


@pytest.mark.parametrize(
    ("capability", "precision"), [((7, 0), PrecisionName.FP32), ((8, 0), PrecisionName.BF16)]
)
def test_the_default_is_bf16_where_the_gpu_has_it(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], precision: PrecisionName
) -> None:
    pretend_gpu(monkeypatch, capability)
    assert default_precision(CUDA) is precision


def test_the_default_on_a_cpu_is_bf16() -> None:
    assert default_precision(CPU) is PrecisionName.BF16


def test_weight_only_levels_compute_in_bf16() -> None:
    assert base_dtype(PrecisionName.FP32) is torch.float32
    assert base_dtype(PrecisionName.FP16) is torch.float16
    others = set(PrecisionName) - {PrecisionName.FP32, PrecisionName.FP16}
    assert {base_dtype(name) for name in others} == {torch.bfloat16}


@pytest.mark.parametrize(("columns", "group"), [(64, 64), (128, 64), (32, 32), (96, 32)])
def test_int4_groups_divide_the_inputs(columns: int, group: int) -> None:
    assert int4_group(columns) == group


def test_a_layer_that_int4_cannot_group_is_refused() -> None:
    with pytest.raises(
        PrecisionUnavailableError, match="multiples of 32, this model has one of 40"
    ):
        pack(Projection(torch.zeros(16, 40)), PrecisionName.INT4, CPU)


@pytest.mark.parametrize("shape", [(16, 40), (40, 16)])
def test_a_layer_that_fp8_cannot_tile_is_refused(shape: tuple[int, int]) -> None:
    with pytest.raises(PrecisionUnavailableError, match=f"one of {shape[0]} × {shape[1]}"):
        pack(Projection(torch.zeros(shape)), PrecisionName.FP8, CPU)


def test_packing_leaves_the_master_copy_alone() -> None:
    weight = torch.randn(32, 64, generator=torch.Generator().manual_seed(0))
    before = weight.clone()
    for precision in PrecisionName:
        pack(Projection(weight), precision, CPU)
    assert torch.equal(weight, before)
