"""Scoring: what counts as an error, what is skipped and why, and the baseline beside it."""

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from planner_scoring.rows import parse_run
from planner_scoring.scoring import percentile, read_rows, score
from prodtop.engine.planner.cost.calibration import default_constants
from prodtop.engine.planner.cost.estimate import estimate
from prodtop.engine.shape.field_errors import FieldError

ROW = {
    "source": "torchtitan 2024-12",
    "model": "Llama-3.1-8B",
    "layers": "32",
    "hidden": "4096",
    "heads": "32",
    "kv_heads": "8",
    "ffn": "14336",
    "vocab": "128256",
    "seq": "8192",
    "gpu": "H100 SXM 80GB",
    "num_gpus": "8",
    "tp": "1",
    "pp": "1",
    "cp": "1",
    "dp": "8",
    "zero_stage": "3 (FSDP2)",
    "micro_bs": "2",
    "global_bs": "16",
    "recompute": "selective op-level AC",
    "precision": "bf16",
    "tokens_per_s_per_gpu": "6000",
    "notes": "memory is max over ranks, GiB",
}


def test_a_full_row_needs_no_guess() -> None:
    run = parse_run(ROW, default_constants())
    assert run.assumed == ()
    assert run.layout.recompute_modules == ("op",)
    assert run.setting.software.name == "torch"
    assert run.layout.zero == 3


def test_the_error_is_predicted_over_measured() -> None:
    run = parse_run(ROW, default_constants())
    predicted = estimate(run.setting, run.layout).tokens_s_gpu
    (scored,) = score([ROW]).scored
    assert scored.predicted == pytest.approx(predicted)
    assert scored.error == pytest.approx(predicted / 6000 - 1)
    assert scored.baseline_error == pytest.approx(0)


def test_time_comes_before_speed_and_memory_is_a_row_of_its_own() -> None:
    row = {**ROW, "step_time_s": "3.0", "peak_mem_gb": "77"}
    time, memory = score([row]).scored
    assert (time.metric, time.unit) == ("time", "s")
    assert memory.metric == "memory"
    assert memory.measured == pytest.approx(77 * 2**30)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"tokens_per_s_per_gpu": ""}, "no step time"),
        ({"seq": ""}, "seq"),
        ({"hidden": "", "model": "secret"}, "shape is not stated"),
        ({"hidden": "", "model": "secret-30B-A3B"}, "mixture of experts is not stated"),
        ({"tp": "3", "dp": ""}, "do not split over tp"),
        ({"params_b": "70", "model": "other"}, "come to 8.03B"),
        ({"gpu": "TPU v4"}, "unknown GPU"),
        ({"dp": "7"}, "is not 8 GPUs"),
        ({"global_bs": "17"}, "do not split"),
        ({"layers": "many"}, "must be a number"),
        ({"model": "Nemotron-H-8B"}, "which layers of the hybrid"),
    ],
)
def test_a_row_that_cannot_be_scored_says_why(change: dict[str, str], reason: str) -> None:
    report = score([ROW, {**ROW, **change}])
    assert len(report.scored) == 1
    (skipped,) = report.skipped
    assert skipped.row == 2
    assert reason in skipped.reason


def test_a_named_model_fills_the_blanks() -> None:
    row = {**ROW, "layers": "", "hidden": "", "vocab": "", "heads": ""}
    run = parse_run(row, default_constants())
    assert run.setting.model.parameters == 8_030_261_248
    assert run.assumed == ("shape of llama-3.1-8b",)


def test_guesses_are_recorded() -> None:
    row = {**ROW, "micro_bs": "", "recompute": "", "vocab": "", "zero_stage": ""}
    run = parse_run(row, default_constants())
    assert len(run.assumed) == 4
    assert run.layout.micro_batch * run.layout.micro_batches == 2


@pytest.mark.parametrize(
    ("model", "params_b", "size"),
    [
        ("secret-12B", "", 12e9),
        ("secret", "30", 30e9),
        ("", "760M", 0.76e9),
        ("Any 1.3b", "", 1.3e9),
    ],
)
def test_a_parameter_count_stands_in_for_a_shape(model: str, params_b: str, size: float) -> None:
    row = {**ROW, "model": model, "params_b": params_b}
    row |= dict.fromkeys(("layers", "hidden", "heads", "kv_heads", "ffn", "vocab"), "")
    run = parse_run(row, default_constants())
    assert run.setting.model.parameters == pytest.approx(size, rel=0.05)
    assert any(guess.startswith("shape of") for guess in run.assumed)


def test_the_stated_count_says_whether_an_mlp_is_gated() -> None:
    for count, gated in (("8.03", True), ("6.2", False)):
        row = {**ROW, "model": "unheard-of", "params_b": count, "vocab": "128256"}
        assert parse_run(row, default_constants()).setting.model.gated_mlp is gated


def test_a_model_cut_down_keeps_its_layers() -> None:
    row = {**ROW, "model": "DeepSeek-V3", "layers": "4", "hidden": "7168", "params_b": ""}
    model = parse_run(row, default_constants()).setting.model
    assert (model.layers, model.dense_layers, model.moe_layers) == (4, 3, 1)


@pytest.mark.parametrize(
    ("text", "kind", "modules"),
    [
        ("full", "full", ()),
        ("true", "full", ()),
        ("activation checkpointing", "full", ()),
        ("no checkpointing", "none", ()),
        ("no full recompute", "none", ()),
        ("full, no offload", "full", ()),
        ("none", "none", ()),
        ("selective op-level AC", "selective", ("op",)),
        ("selective: mla_up_proj, mlp", "selective", ("mla_up_proj", "mlp")),
        ("core attention", "selective", ("core_attn",)),
    ],
)
def test_recomputation_by_any_words(text: str, kind: str, modules: tuple[str, ...]) -> None:
    layout = parse_run({**ROW, "recompute": text}, default_constants()).layout
    assert (layout.recompute, layout.recompute_modules) == (kind, modules)


@pytest.mark.parametrize(
    ("text", "precision"),
    [
        ("BF16-mixed", "bf16"),
        ("bfloat16", "bf16"),
        ("FP16 (O2)", "fp16"),
        ("float16", "fp16"),
        ("float8 linear + compile", "fp8"),
        ("FP8-CS", "fp8"),
        ("float8 rowwise, bf16 all-gather", "fp8-rowwise"),
        ("FP8 (blockwise)", "fp8-block"),
        ("tf32", "tf32"),
        ("fp32", "fp32"),
    ],
)
def test_precisions_by_any_spelling(text: str, precision: str) -> None:
    assert parse_run({**ROW, "precision": text}, default_constants()).layout.precision == precision


@pytest.mark.parametrize(("text", "precision"), [("MXFP8", "mxfp8"), ("NVFP4", "nvfp4")])
def test_precisions_that_came_with_blackwell(text: str, precision: str) -> None:
    row = {**ROW, "gpu": "B200", "precision": text}
    assert parse_run(row, default_constants()).layout.precision == precision


def test_units_that_a_cell_names_count() -> None:
    row = {
        **ROW,
        "step_time_s": "2,950 ms",
        "peak_mem_gb": "75 GB",
        "seq": "8k",
        "num_gpus": "8 GPUs",
    }
    run = parse_run(row, default_constants())
    assert run.step_s == pytest.approx(2.95)
    assert run.peak_bytes == pytest.approx(75e9)
    assert run.setting.sequence == 8192
    in_tokens = parse_run({**ROW, "global_bs": "0.524288M tokens"}, default_constants())
    assert in_tokens.layout.batch == 64


def test_a_batch_in_the_notes_counts_and_one_left_open_fills_a_pipeline() -> None:
    noted = {**ROW, "global_bs": "", "notes": "batch size of 4M tokens"}
    assert parse_run(noted, default_constants()).layout.batch == 488
    row = {**ROW, "global_bs": "", "pp": "2", "dp": "4", "micro_bs": "1"}
    run = parse_run(row, default_constants())
    assert run.layout.micro_batches == 8
    assert "8 micro-batches" in run.assumed


def test_flash_attention_in_the_notes_means_no_scores_in_memory() -> None:
    old = {**ROW, "source": "a paper", "gpu": "A100 80GB", "precision": "fp16", "zero_stage": "1"}
    new = {**old, "notes": "Megatron-LM with FlashAttention-2"}
    kinds = [parse_run(row, default_constants()).setting.software.attention for row in (old, new)]
    assert kinds == ["unfused", "flash2"]


def test_the_network_is_the_one_that_the_row_names() -> None:
    row = {**ROW, "num_gpus": "16", "dp": "16", "interconnect": "NVLink; EFA 400 Gbps per node"}
    cluster = parse_run(row, default_constants()).setting.cluster
    assert cluster.gpu.network_bytes_s == pytest.approx(400e9 / 8 / 8)


def test_the_baseline_is_one_mfu_for_a_source() -> None:
    """Two rows of the same model at different speeds: the constant lies between them."""
    rows = [ROW, {**ROW, "tokens_per_s_per_gpu": "4000"}]
    errors = [scored.baseline_error for scored in score(rows).scored]
    assert errors == [pytest.approx(5000 / 6000 - 1), pytest.approx(5000 / 4000 - 1)]


def test_a_source_and_all_are_summed_up() -> None:
    report = score([ROW, {**ROW, "source": "other"}])
    assert report.sources("time") == ["torchtitan 2024-12", "other"]
    one, both = report.summary("time", "other"), report.summary("time")
    assert one is not None
    assert both is not None
    assert (one.rows, both.rows) == (1, 2)
    assert report.summary("memory") is None


def test_percentiles_interpolate() -> None:
    assert percentile([1.0, 2.0, 3.0, 4.0, 5.0], 0.9) == pytest.approx(4.6)
    assert percentile([7.0], 0.5) == 7.0


def test_a_file_is_read_and_a_missing_one_refused(tmp_path: Path) -> None:
    path = tmp_path / "runs.csv"
    path.write_text(",".join(ROW) + "\n" + ",".join(f'"{cell}"' for cell in ROW.values()))
    assert len(score(read_rows(path)).scored) == 1
    with pytest.raises(FieldError, match="cannot be read"):
        read_rows(tmp_path / "none.csv")
    path.write_text(",".join(ROW))
    with pytest.raises(FieldError, match="no rows"):
        read_rows(path)


@settings(deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(sorted(ROW)),
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(["", "0", "-1", "1e300", "nan", "7", "4096", "full", "fp8"]),
        ),
    )
)
def test_no_row_crashes_the_scoring(change: dict[str, str]) -> None:
    report = score([{**ROW, **change}])
    assert len(report.scored) + len(report.skipped) >= 1
    assert all(scored.predicted > 0 for scored in report.scored)
