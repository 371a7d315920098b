"""megatron-core builds its configuration objects from Megatron-LM's flags, which check themselves.

The command line itself is part of Megatron-LM, which is on no package index. Its parser makes flags
of the fields of these classes; what it adds by hand and is used here, `BY_HAND` lists after
`megatron/training/arguments.py` of the same release.
"""

import shlex
from dataclasses import fields
from unittest.mock import patch

import torch
from megatron.core.distributed import DistributedDataParallelConfig
from megatron.core.optimizer import OptimizerConfig
from megatron.core.transformer.enums import LayerType
from megatron.core.transformer.pipeline_parallel_layer_layout import PipelineParallelLayerLayout
from megatron.core.transformer.transformer_config import MLATransformerConfig, TransformerConfig
from reader_loop import Answer, serve

BY_HAND = {
    "--max-position-embeddings": int,
    "--position-embedding-type": str,
    "--untie-embeddings-and-output-weights": None,
    "--seq-length": int,
    "--tokenizer-type": str,
    "--vocab-size": int,
    "--micro-batch-size": int,
    "--global-batch-size": int,
    "--train-iters": int,
    "--mock-data": None,
    "--ckpt-format": str,
    "--init-model-with-meta-device": None,
    "--group-query-attention": None,
    "--multi-latent-attention": None,
}
RENAMED: dict[str, tuple[str, object]] = {
    # Flag, field, and the value of a flag that has none.
    "--swiglu": ("gated_linear_unit", True),
    "--disable-bias-linear": ("add_bias_linear", False),
    "--num-virtual-stages-per-pipeline-rank": ("virtual_pipeline_model_parallel_size", None),
    "--fp8-format": ("fp8", None),
    "--num-experts": ("num_moe_experts", None),
    "--moe-token-dispatcher-type": ("moe_token_dispatcher_type", None),
}
SEVERAL = ("--recompute-modules",)


def read(text: str, world: int) -> Answer:
    flags = parse(shlex.split(text))
    latent = "--multi-latent-attention" in flags
    transformer = MLATransformerConfig if latent else TransformerConfig
    classes = (transformer, OptimizerConfig, DistributedDataParallelConfig)
    arguments: dict[type, dict[str, object]] = {each: {} for each in classes}
    rest: dict[str, object] = {}
    for flag, value in flags.items():
        if flag in BY_HAND:
            convert = BY_HAND[flag]
            rest[flag] = True if convert is None else convert(str(value))
            continue
        name, switched = RENAMED.get(flag, (flag[2:].replace("-", "_"), True))
        owners = [each for each in classes if name in {field.name for field in fields(each)}]
        assert owners, f"megatron-core has no field for {flag}"
        for owner in owners:
            arguments[owner][name] = switched if value is None else value
    model = arguments[transformer]
    if model.get("pipeline_model_parallel_size", 1) != 1:
        # As Megatron-LM's validate_args derives it.
        model["pipeline_dtype"] = torch.bfloat16
    # Transformer Engine is there where these flags are used, and some ask for its version.
    with (
        patch("megatron.core.transformer.transformer_config.is_te_min_version", return_value=True),
        patch("megatron.core.optimizer.optimizer_config.is_te_min_version", return_value=True),
    ):
        built = [each(**arguments[each]) for each in classes]
    return {
        "config": {
            name: plain(getattr(config, name))
            for config, each in zip(built, classes, strict=True)
            for name in arguments[each]
            if name != "pipeline_dtype"
        },
        "rest": rest,
    }


def plain(value: object) -> object:
    """A dealing of layers as what each rank's chunks hold, all else as it is."""
    if not isinstance(value, PipelineParallelLayerLayout):
        return value
    return [[chunk.count(LayerType.decoder) for chunk in rank] for rank in value.layout]


def parse(words: list[str]) -> dict[str, object]:
    """Flags with their values as numbers, words or lists; `None` for a flag alone."""
    flags: dict[str, object] = {}
    name = ""
    for word in words:
        if word.startswith("--"):
            assert word not in flags, f"{word} twice"
            name, flags[word] = word, None
        elif name in SEVERAL:
            before = flags[name]
            flags[name] = [*(before if isinstance(before, list) else []), word]
        else:
            assert flags[name] is None, f"{name} has two values"
            flags[name] = number(word)
    return flags


def number(word: str) -> object:
    for kind in (int, float):
        try:
            return kind(word)
        except ValueError:
            continue
    return word


serve(read)
