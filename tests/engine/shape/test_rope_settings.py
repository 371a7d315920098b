"""Rotary settings of every type, flat and nested, beside transformers' own tables of them."""

import json
from pathlib import Path

import pytest
import torch
from prodtop.engine.ops.rope import rotation
from prodtop.engine.protocol.errors import CheckpointError
from prodtop.engine.shape.config_json import load_shape, parse_shape
from prodtop.engine.shape.model_shape import ModelShape
from prodtop.engine.shape.serving_limits import unserved_reason
from transformers import AutoConfig
from transformers.models.llama.modeling_llama import LlamaRotaryEmbedding

BASE: dict[str, object] = {
    "architectures": ["LlamaForCausalLM"],
    "model_type": "llama",
    "vocab_size": 64,
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "max_position_embeddings": 256,
}
LLAMA3 = {"rope_type": "llama3", "factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
FACTORS = {"short_factor": [1.0 + n / 8 for n in range(8)], "long_factor": [2.0] * 8}
ORIGINAL = "original_max_position_embeddings"

TABLES: list[dict[str, object]] = [
    {"rope_theta": 500.0},
    {"rope_scaling": {"type": "linear", "factor": 4.0}},
    {"rope_scaling": {"type": "dynamic", "factor": 4.0}},
    {"rope_scaling": {"rope_type": "dynamic", "factor": 4.0}, "rope_theta": 500.0},
    {"rope_parameters": {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 500.0}},
    {"rope_scaling": LLAMA3 | {ORIGINAL: 32}, "rope_theta": 500.0},
    {"rope_scaling": LLAMA3},
    {"rope_scaling": LLAMA3 | {ORIGINAL: 32}, ORIGINAL: 64},
    {"rope_scaling": {"type": "yarn", "factor": 4.0}},
    {"rope_scaling": {"type": "yarn", "factor": 4.0, ORIGINAL: 64}},
    {"rope_scaling": {"type": "yarn", "factor": 4.0, ORIGINAL: 64}, ORIGINAL: 128},
    {"rope_scaling": {"type": "yarn", "factor": 4.0, "mscale": 0.7, "mscale_all_dim": 1.0}},
    {"rope_scaling": {"type": "yarn", "factor": 4.0, "mscale": 1.0, "mscale_all_dim": 0}},
    {"rope_scaling": {"type": "yarn", "factor": 4.0, "attention_factor": 1.3}},
    {"rope_scaling": {"type": "yarn", "factor": 4.0, "beta_fast": 16, "truncate": False}},
    {"rope_scaling": {"type": "longrope", "factor": 4.0, ORIGINAL: 64} | FACTORS},
    {"rope_scaling": {"type": "longrope", "factor": 2.0} | FACTORS},
    {
        "rope_scaling": {"type": "linear", "factor": 2.0},
        "rope_parameters": {"rope_type": "default", "rope_theta": 500.0},
    },
    {"rope_parameters": {"rope_type": "linear", "factor": 2.0}, "rope_theta": 500.0},
    {"rope_scaling": {}, "rope_parameters": {"rope_type": "linear", "factor": 2.0}},
    {"rope_scaling": {"rope_type": "default", "mrope_section": [2, 3, 3]}},
    {"partial_rotary_factor": 0.5},
]


def shape_of(**values: object) -> ModelShape:
    return parse_shape(BASE | values, "config.json")


@pytest.mark.parametrize("table", TABLES, ids=[str(n) for n in range(len(TABLES))])
def test_every_type_turns_as_in_transformers(tmp_path: Path, table: dict[str, object]) -> None:
    (tmp_path / "config.json").write_text(json.dumps(BASE | table))
    shape = load_shape(tmp_path)
    assert unserved_reason(shape) is None
    peer = LlamaRotaryEmbedding(AutoConfig.from_pretrained(tmp_path))
    # Beyond its original context longrope takes other frequencies, for all positions alike.
    count = 64 if "longrope" in str(table) else 256
    cos, sin = peer(torch.ones(1), torch.arange(count).unsqueeze(0))
    own_cos, own_sin = rotation(shape, count)
    torch.testing.assert_close(torch.cat((own_cos, own_cos), -1), cos[0], atol=2e-4, rtol=0)
    torch.testing.assert_close(torch.cat((own_sin, own_sin), -1), sin[0], atol=2e-4, rtol=0)


@pytest.mark.parametrize(
    ("table", "context"),
    [
        ({"type": "linear", "factor": 4.0}, 256),
        ({"type": "dynamic", "factor": 4.0}, 256),
        (LLAMA3 | {ORIGINAL: 32}, 256),
        ({"type": "yarn", "factor": 4.0}, 1024),
        ({"type": "yarn", "factor": 4.0, ORIGINAL: 64}, 256),
        ({"type": "yarn", "factor": 8.0, ORIGINAL: 64}, 512),
        ({"type": "longrope", ORIGINAL: 64} | FACTORS, 256),
    ],
)
def test_the_context_is_that_of_config_json_and_what_yarn_stretches(
    table: dict[str, object], context: int
) -> None:
    assert shape_of(rope_scaling=table).context_tokens == context


@pytest.mark.parametrize(
    ("table", "note"),
    [
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0}}, "begins beyond 256 tokens"),
        ({"rope_scaling": {"type": "dynamic", "factor": 2.0, "alpha": 9}}, "'alpha'"),
        ({"rope_scaling": {"type": "linear", "factor": 2.0, "beta_fast": 9}}, "'beta_fast'"),
        ({"partial_rotary_factor": 0.5}, "`partial_rotary_factor`"),
    ],
)
def test_a_setting_that_is_not_used_is_noted(table: dict[str, object], note: str) -> None:
    shape = shape_of(**table)
    assert unserved_reason(shape) is None
    assert any(note in each for each in shape.notes)


def test_settings_that_are_used_leave_no_note() -> None:
    for table in TABLES:
        if not any(word in str(table) for word in ("dynamic", "partial", "mrope")):
            assert shape_of(**table).notes == ()


@pytest.mark.parametrize(
    ("table", "message"),
    [
        ({"rope_scaling": {"type": "ntk", "factor": 2.0}}, "rope type 'ntk' is not supported"),
        ({"rope_scaling": {"type": "dynamic"}}, "`factor` must be a number"),
        ({"rope_parameters": {"full_attention": {"rope_theta": 5.0}}}, "'full_attention'"),
        (
            {"rope_scaling": {"type": "linear", "factor": 2.0, "partial_rotary_factor": 0.5}},
            "`partial_rotary_factor` 0.5 is not supported",
        ),
        ({"rope_scaling": {"type": "longrope", "factor": 2.0}}, "`short_factor` must be a list"),
    ],
)
def test_what_is_not_computed_is_refused_with_its_reason(
    table: dict[str, object], message: str
) -> None:
    assert message in (unserved_reason(shape_of(**table)) or "")


@pytest.mark.parametrize("layers", [10_001, 2**52])
def test_absurd_depths_are_refused_at_once(layers: int) -> None:
    for architecture in ("MistralForCausalLM", "GPT2LMHeadModel"):
        values = {"architectures": [architecture], "sliding_window": 64, "layer_types": None}
        sizes = {"num_hidden_layers": layers, "n_layer": layers}
        with pytest.raises(CheckpointError, match="must be 10000 at most"):
            shape_of(**values, **sizes)


def test_the_documentation_names_every_type() -> None:
    text = (Path(__file__).parents[3] / "docs" / "models.md").read_text()
    kinds = "default, linear, dynamic, llama3, yarn, longrope"
    reason = unserved_reason(shape_of(rope_scaling={"type": "ntk"}))
    assert kinds in (reason or "")
    assert all(f"`{kind}`" in text for kind in kinds.split(", "))
