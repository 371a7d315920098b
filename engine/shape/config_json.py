"""Reading a model's shape from a Hugging Face `config.json`, for the engine and the planner.

Only kinds of models whose parameters are known to the last one are read; others are refused rather
than taken for something else. What the engine cannot serve of them is noted in the shape.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from ..files.json_fields import Fields, read_json
from ..protocol.errors import CheckpointError
from . import gpt_configs as gpt
from . import hybrid_configs as hybrid
from . import mixture_configs as mixture
from . import rotary_configs as rotary
from .field_errors import LARGEST_COUNT, FieldError
from .model_shape import ModelShape
from .quantization import read_int4_form

Details = Callable[[ModelShape, Fields], ModelShape]


@dataclass(frozen=True, slots=True)
class Kind:
    """How one kind of `config.json` is read: its structure, and the details for the engine.

    `defaults` are transformers' own, where they differ from those of the readers. A kind that is
    not `served` can only be planned.
    """

    architecture: str
    structure: Callable[[Fields], ModelShape]
    defaults: Mapping[str, object] = field(default_factory=dict)
    details: Details | None = rotary.rotary_details
    served: bool = False


_QWEN = {"max_position_embeddings": 32_768, "sliding_window": 4096, "max_window_layers": 28}
# transformers writes only what differs from these into the table of a model with images.
_GEMMA: dict[str, object] = {
    "hidden_size": 2304,
    "intermediate_size": 9216,
    "num_hidden_layers": 26,
    "num_attention_heads": 8,
    "num_key_value_heads": 4,
    "head_dim": 256,
    "query_pre_attn_scalar": 256,
    "sliding_window": 4096,
    "tie_word_embeddings": True,
}
_GEMMA_2 = _GEMMA | {
    "vocab_size": 256_000,
    "max_position_embeddings": 8192,
    "attn_logit_softcapping": 50.0,
    "final_logit_softcapping": 30.0,
}
_GEMMA_3 = _GEMMA | {
    "vocab_size": 262_208,
    "max_position_embeddings": 131_072,
    "sliding_window_pattern": 6,
}
_GPT_2: dict[str, object] = {
    "vocab_size": 50_257,
    "n_embd": 768,
    "n_layer": 12,
    "n_head": 12,
    "n_positions": 1024,
    "resid_pdrop": 0.1,
    "tie_word_embeddings": True,
}
_GPT_OSS = {"head_dim": 64, "sliding_window": 128}
_MISTRAL = {"max_position_embeddings": 131_072, "sliding_window": 4096}
_PHI_3 = {"max_position_embeddings": 4096, "rms_norm_eps": 1e-5}
_DEEPSEEK = {"q_lora_rank": 1536, "max_position_embeddings": 4096}
_LLAMA_4: dict[str, object] = {"head_dim": 128, "intermediate_size_mlp": 16_384}
_TIED: dict[str, object] = {"tie_word_embeddings": True}

KINDS = {
    "llama": Kind("LlamaForCausalLM", rotary.llama, served=True),
    "mistral": Kind("MistralForCausalLM", rotary.mistral, _MISTRAL, served=True),
    "qwen2": Kind("Qwen2ForCausalLM", rotary.qwen2, _QWEN, served=True),
    "qwen3": Kind("Qwen3ForCausalLM", rotary.qwen3, _QWEN | {"head_dim": 128}, served=True),
    "phi3": Kind("Phi3ForCausalLM", rotary.phi3, _PHI_3, served=True),
    "gemma2": Kind(
        "Gemma2ForCausalLM", rotary.gemma2, _GEMMA_2, rotary.gemma2_details, served=True
    ),
    "gemma3_text": Kind(
        "Gemma3ForCausalLM", rotary.gemma3, _GEMMA_3, rotary.gemma3_details, served=True
    ),
    "gemma3": Kind(
        "Gemma3ForConditionalGeneration",
        rotary.gemma3,
        _GEMMA_3,
        rotary.gemma3_details,
        served=True,
    ),
    "gpt2": Kind("GPT2LMHeadModel", gpt.gpt2, _GPT_2, gpt.gpt2_details, served=True),
    "gemma": Kind(
        "GemmaForCausalLM", rotary.gemma, _TIED | {"head_dim": 256}, rotary.gemma_details
    ),
    "granite": Kind("GraniteForCausalLM", rotary.llama),
    "smollm3": Kind("SmolLM3ForCausalLM", rotary.llama, _TIED),
    "nemotron": Kind("NemotronForCausalLM", rotary.nemotron, details=None),
    "mixtral": Kind("MixtralForCausalLM", mixture.mixtral),
    "qwen2_moe": Kind("Qwen2MoeForCausalLM", mixture.qwen2_moe, _QWEN),
    "qwen3_moe": Kind("Qwen3MoeForCausalLM", mixture.qwen3_moe, _QWEN),
    "deepseek_v2": Kind("DeepseekV2ForCausalLM", mixture.deepseek_v2, _DEEPSEEK),
    "deepseek_v3": Kind("DeepseekV3ForCausalLM", mixture.deepseek_v3, _DEEPSEEK),
    "gpt_oss": Kind("GptOssForCausalLM", mixture.gpt_oss, _GPT_OSS),
    "minimax_m2": Kind("MiniMaxM2ForCausalLM", mixture.minimax_m2, {"head_dim": 128}),
    "grok-1": Kind("Grok1ModelForCausalLM", mixture.grok_1, details=None),
    "dbrx": Kind("DbrxForCausalLM", mixture.dbrx, details=None),
    "llama4_text": Kind("Llama4ForCausalLM", mixture.llama4, _LLAMA_4, None),
    "llama4": Kind("Llama4ForConditionalGeneration", mixture.llama4, _LLAMA_4, None),
    "glm4_moe": Kind("Glm4MoeForCausalLM", mixture.glm4_moe, details=None),
    "nemotron_h": Kind("NemotronHForCausalLM", hybrid.nemotron_h, details=None),
    "qwen3_next": Kind("Qwen3NextForCausalLM", hybrid.qwen3_next, {"head_dim": 256}, None),
    "minimax": Kind("MiniMaxForCausalLM", hybrid.minimax, details=None),
    "minimax_text_01": Kind("MiniMaxText01ForCausalLM", hybrid.minimax, details=None),
    "minimax_m1": Kind("MiniMaxM1ForCausalLM", hybrid.minimax, details=None),
    "falcon_h1": Kind("FalconH1ForCausalLM", hybrid.falcon_h1, details=None),
    "granitemoehybrid": Kind("GraniteMoeHybridForCausalLM", hybrid.granite_hybrid, details=None),
    "lfm2": Kind("Lfm2ForCausalLM", hybrid.lfm2, details=None),
    "lfm2_moe": Kind("Lfm2MoeForCausalLM", hybrid.lfm2_moe, details=None),
    "recurrent_gemma": Kind(
        "RecurrentGemmaForCausalLM",
        hybrid.recurrent_gemma,
        _TIED | {"num_key_value_heads": 1},
        None,
    ),
    "olmo2": Kind("Olmo2ForCausalLM", rotary.olmo2),
    "olmo3": Kind("Olmo3ForCausalLM", rotary.olmo2, details=None),
    "seed_oss": Kind("SeedOssForCausalLM", rotary.seed_oss),
    "starcoder2": Kind("Starcoder2ForCausalLM", rotary.starcoder2, _TIED, None),
    "gptj": Kind("GPTJForCausalLM", gpt.gptj, details=None),
    "gpt_neox": Kind("GPTNeoXForCausalLM", gpt.gpt_neox, details=None),
    "phi": Kind("PhiForCausalLM", gpt.phi, details=None),
    "opt": Kind("OPTForCausalLM", gpt.opt, _TIED | {"dropout": 0.1}, None),
}
"""By the `model_type` of their `config.json`."""

_STATE_SPACE = ("mamba", "rwkv", "jamba", "bamba", "zamba", "kimi_linear", "xlstm", "olmo_hybrid")
_PUBLISHED_BESIDE_CODE = frozenset({"Phi3ForCausalLM"})
"""Named in `auto_map` when they were new; their definition has been transformers' own since."""


def load_shape(path: Path) -> ModelShape:
    """The shape in `path`, a `config.json` or the folder that holds it, and the stop tokens beside.

    Raises:
        CheckpointError: a file that cannot be read, or a model of which the shape is not known.
    """
    file = path / "config.json" if path.is_dir() and path.name != "config.json" else path
    name = file.parent.name if file.name == "config.json" else file.stem
    shape = replace(parse_shape(read_json(file), str(file)), name=name or "model")
    generation = file.with_name("generation_config.json")
    if not generation.exists():
        return shape
    stops = _token_ids(read_json(generation).get("eos_token_id"), str(generation))
    return replace(shape, eos_token_ids=shape.eos_token_ids | stops)


def parse_shape(values: Mapping[str, object], source: str) -> ModelShape:
    """The shape that the fields of a `config.json` describe; `source` names it in errors.

    Raises:
        CheckpointError: a field is missing or absurd, or the kind of model is not known.
    """
    kind = _kind(values, source)
    stops = _token_ids(values.get("eos_token_id"), source)
    whole, text = Fields(values, source), values.get("text_config")
    if isinstance(text, dict):
        # A model that sees images as well: its text model's fields lie in a table of their own.
        stops |= _token_ids(text.get("eos_token_id"), source)
        values = text
    fields = Fields(values, source, kind.defaults)
    try:
        shape = replace(kind.structure(fields), eos_token_ids=stops)
    except FieldError as error:
        raise CheckpointError(f"{source}: {error}") from error
    try:
        shape = _detailed(shape, kind, fields, whole)
    except CheckpointError as error:
        shape = replace(shape, unserved=str(error).removeprefix(f"{source}: "))
    if shape.sliding_window is not None and shape.sliding_window >= shape.context_tokens:
        shape = replace(shape, sliding_window=None, sliding_layers=frozenset())
    return shape


def _detailed(shape: ModelShape, kind: Kind, fields: Fields, whole: Fields) -> ModelShape:
    """`shape` with what only the engine needs.

    Raises:
        CheckpointError: what the engine cannot serve of it.
    """
    if kind.details is not None:
        shape = kind.details(shape, fields)
    if not kind.served:
        return replace(shape, unserved=f"architecture {kind.architecture!r} is not served")
    if whole.has("auto_map") and kind.architecture not in _PUBLISHED_BESIDE_CODE:
        raise whole.error("the model needs its own code (`auto_map`): refused")
    int4 = read_int4_form(whole.table("quantization_config") or fields.table("quantization_config"))
    return replace(shape, stored=replace(shape.stored, int4=int4))


def _kind(values: Mapping[str, object], source: str) -> Kind:
    """The kind of model, by its architecture, or by `model_type` where it names none."""
    architectures, model_type = values.get("architectures"), values.get("model_type")
    if isinstance(architectures, list) and architectures:
        named = [kind for kind in KINDS.values() if kind.architecture in architectures]
        name = str(architectures[0])
    elif model_type:
        named = [kind for known, kind in KINDS.items() if known == model_type]
        name = str(model_type)
    else:
        raise CheckpointError(f"{source}: `architectures` is missing, and so is `model_type`")
    if named:
        return named[0]
    if any(word in f"{name} {model_type}".lower() for word in _STATE_SPACE):
        raise CheckpointError(f"{source}: {name!r} has state-space layers, which are not modelled")
    known = ", ".join(sorted(KINDS))
    raise CheckpointError(f"{source}: architecture {name!r} is not supported (known: {known})")


def _token_ids(value: object, source: str) -> frozenset[int]:
    values: list[object] = value if isinstance(value, list) else [] if value is None else [value]
    ids = [item for item in values if isinstance(item, int) and not isinstance(item, bool)]
    if len(ids) != len(values) or any(abs(each) > LARGEST_COUNT for each in ids):
        raise CheckpointError(f"{source}: `eos_token_id` must be a token id or a list of them")
    return frozenset(ids)
