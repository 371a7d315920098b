"""What the form's texts mean, and that no text at all breaks it."""

import json
from collections.abc import Mapping
from pathlib import Path

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.calibrate.saved import Saved
from prodtop.engine.planner.cost.calibration import default_constants
from prodtop.engine.planner.question.options import FORM
from prodtop.engine.planner.question.question import QuestionError, ReferenceData, reference_data
from prodtop.engine.protocol import ModelInfo
from prodtop.engine.shape.presets import preset
from prodtop.engine.shape.shape_message import shape_message
from prodtop.engine.text.cleaning import clean
from prodtop.tui.planner.evaluation import evaluate
from prodtop.tui.planner.form import SCENARIOS, Form
from prodtop.tui.planner.plan import Plan, layout_texts, read_plan
from prodtop.tui.planner.served import served_shape

FIRST = Form.initial().texts


def plan_with(data: ReferenceData, **texts: str) -> Plan:
    return read_plan({**FIRST, **texts}, data)


def plan(**texts: str) -> Plan:
    return plan_with(ReferenceData(), **texts)


def errors(texts: dict[str, str], touched: str = "") -> Mapping[str, str]:
    """The reason for each wrong field."""
    with pytest.raises(QuestionError) as raised:
        read_plan({**FIRST, **texts}, ReferenceData(), touched)
    return raised.value.reasons


def test_the_first_form_is_a_plan() -> None:
    found = plan()
    assert found.model.name == "generic-7b"
    assert found.layout.world == found.cluster.gpus == 32
    assert found.layout.batch == found.batch == 256
    assert found.limit_bytes == found.cluster.gpu.memory_bytes


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenarios_fit_32_gpus(name: str) -> None:
    found = plan(**SCENARIOS[name])
    assert found.cluster.gpus == 32
    assert evaluate(found).fits
    assert set(SCENARIOS[name]) <= set(FORM)


@pytest.mark.parametrize(
    ("texts", "field", "words"),
    [
        ({"model": "no-such-model"}, "model", "unknown model"),
        ({"model": "/no/such/config.json"}, "model", "cannot be read"),
        ({"model": "served"}, "model", "no engine"),
        ({"model": "5"}, "model", "between"),
        ({"gpu": "tpu-v5"}, "gpu", "unknown GPU"),
        ({"gpus": "-8"}, "gpus", "whole number"),
        ({"gpus": "0"}, "gpus", "positive"),
        ({"gpus": "1e9"}, "gpus", "at most 1,048,576"),
        ({"batch": "many"}, "batch", "whole number"),
        ({"sequence": "0.5"}, "sequence", "whole number"),
        ({"tokens": "0"}, "tokens", "above 0"),
        ({"memory_gib": "-1"}, "memory_gib", "number"),
        ({"zero": "4"}, "zero", "0, 1, 2 or 3"),
        ({"tp": "3"}, "gpus", "cannot be split"),
        ({"tp": "64", "gpus": "64"}, "tp", "heads"),
        ({"batch": "100"}, "batch", "cannot be split"),
        ({"pp": "64", "gpus": "64"}, "pp", "layers"),
        ({"vp": "2"}, "vp", "pipeline"),
        ({"ep": "2"}, "ep", "no experts"),
        ({"gpu": "a100-80", "precision": "fp8"}, "precision", "no fp8"),
        ({"framework": "none"}, "framework", "unknown framework"),
        ({"recompute": "some"}, "recompute", "known are none, selective, full"),
        ({"tp": "auto"}, "tp", "must be given"),
        ({"tokens": "auto"}, "tokens", "must be given"),
    ],
)
def test_a_wrong_field_is_marked_with_its_reason(
    texts: dict[str, str], field: str, words: str
) -> None:
    found = errors(texts)
    assert list(found) == [field]
    assert words in found[field]


def test_every_wrong_field_is_marked() -> None:
    wrong = {"gpus": "x", "batch": "y", "zero": "z", "requests": "0", "serve_at": "int3"}
    assert set(errors(wrong)) == set(wrong)


def test_the_field_changed_last_gets_the_blame() -> None:
    assert list(errors({"tp": "3"}, "tp")) == ["tp"]
    assert list(errors({"micro_batch": "3"}, "micro_batch")) == ["micro_batch"]
    assert list(errors({"tp": "3"}, "tokens")) == ["gpus"]


def test_a_count_becomes_a_plausible_shape() -> None:
    assert plan(model="13B").model.parameters == pytest.approx(13e9, rel=0.04)


def test_a_config_file_and_its_folder_are_read(tmp_path: Path) -> None:
    config = {
        "model_type": "llama",
        "hidden_size": 2048,
        "num_hidden_layers": 16,
        "num_attention_heads": 16,
        "intermediate_size": 8192,
        "vocab_size": 32_000,
    }
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    assert plan(model=str(file)).model.layers == 16
    assert plan(model=f"{tmp_path}/").model.hidden == 2048
    file.write_text("{ broken")
    assert "cannot be read" in errors({"model": str(file)})["model"]


def test_own_gpus_come_from_a_file(tmp_path: Path) -> None:
    file = tmp_path / "mine.toml"
    file.write_text(
        '[x1]\nname = "X1"\nmemory_bytes = 1e11\nsms = 100\nhbm_bytes_s = 2e12\n'
        "link_bytes_s = 1e11\nnode_gpus = 4\nnetwork_bytes_s = 2e10\npower_w = 500\n"
        "peak = { bf16 = 5e14 }\n"
    )
    assert plan(gpu=str(file)).cluster.gpu.name == "X1"
    assert plan(gpu=f"{file}:x1").cluster.node_gpus == 4
    assert "unknown GPU" in errors({"gpu": f"{file}:x2"})["gpu"]
    file.write_text("broken")
    assert "TOML" in errors({"gpu": str(file)})["gpu"]


@pytest.mark.parametrize("name", ["gpt2", "gemma-3-1b", "phi-3-mini", "llama-3.1-8b"])
def test_the_served_model_is_the_one_that_the_engine_says(name: str) -> None:
    shape = preset(name)
    info = ModelInfo(
        name="tiny",
        parameters=shape.parameters,
        layers=shape.layers,
        context_tokens=64,
        vocabulary=shape.vocabulary,
        shape=shape_message(shape),
    )
    sent = msgspec.msgpack.decode(msgspec.msgpack.encode(info), type=ModelInfo)
    asked = plan_with(ReferenceData(served=served_shape(sent)), model="served")
    assert asked.model == shape
    assert asked.model.name == "tiny"
    assert asked.model.parameters == info.parameters


def test_a_shape_of_another_version_is_no_shape() -> None:
    info = ModelInfo(
        name="gpt2",
        parameters=124_439_808,
        layers=12,
        context_tokens=1024,
        vocabulary=50_257,
        shape={"hidden": 768, "intermediate": 3072, "heads": 12, "kv_heads": 12, "head_dim": 64},
    )
    assert served_shape(info) == preset("gpt2")


def test_a_served_model_without_a_shape_is_known_by_name_or_derived() -> None:
    info = ModelInfo(
        name="Qwen3-0.6B", parameters=596_049_920, layers=28, context_tokens=1, vocabulary=151_936
    )
    assert served_shape(info) == preset("qwen3-0.6b")
    unknown = ModelInfo(
        name="mine", parameters=2_000_000_000, layers=9, context_tokens=1, vocabulary=9
    )
    derived = served_shape(unknown)
    assert derived is not None
    assert derived.parameters == pytest.approx(2e9, rel=0.04)


def test_prices_are_the_users_or_listed_or_typed() -> None:
    listed = plan().price
    assert listed is not None
    assert plan(price="2.5").price == 2.5
    prices = reference_data().prices
    assert prices["h100-sxm"].usd_per_hour == listed
    assert plan_with(ReferenceData(prices={})).price is None


def test_a_calibration_is_used() -> None:
    measured = default_constants().gpu("a100-80")
    data = ReferenceData(saved=Saved(path=Path("x"), calibrations={"h100-sxm": measured}))
    assert plan_with(data).setting.calibration is measured
    assert data.origin("h100-sxm").startswith("calibrated")


def test_a_layout_is_written_as_it_is_read() -> None:
    texts = {"tp": "4", "pp": "2", "zero": "1", "recompute": "full", "dp_shard": "2"}
    layout = plan(**texts).layout
    assert plan(**layout_texts(layout)).layout == layout


ABSURD = ("9e15", "1e300", "1e-300", "8k", "0", "-1", "1e5", "nan", "../x.json", "x.toml:")
steps = st.sampled_from([*FORM]).flatmap(
    lambda name: st.tuples(
        st.just(name),
        st.one_of(
            st.text(max_size=12),
            st.sampled_from(ABSURD),
            st.sampled_from(FORM[name].steps),
        ),
    )
)


@pytest.mark.parametrize("key", FORM)
@pytest.mark.parametrize("text", ["\n", "3\n1", "\x1b[31m1\x07", "1\u2028", "\u202e8"])
def test_a_reason_is_one_line_without_control_characters(key: str, text: str) -> None:
    said: list[str] = []
    try:
        read_plan({**FIRST, key: text}, ReferenceData(), key)
    except QuestionError as error:
        said = [*error.reasons.values(), str(error)]
    assert said == [clean(reason) for reason in said]


@settings(deadline=None, max_examples=300)
@given(st.lists(steps, max_size=8).map(dict), st.sampled_from([*FORM, ""]))
def test_no_form_breaks_it(texts: dict[str, str], touched: str) -> None:
    found: Plan | None = None
    reasons: Mapping[str, str] = {}
    try:
        found = read_plan({**FIRST, **texts}, ReferenceData(), touched)
    except QuestionError as error:
        reasons = error.reasons
    assert (found is None) == bool(reasons)
    assert set(reasons) <= set(FORM)
    for reason in reasons.values():
        assert reason
        assert "\n" not in reason
    if found is not None:
        shown = evaluate(found)
        assert shown.estimate.step_s > 0
        assert shown.estimate.memory.total > 0
