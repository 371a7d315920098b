"""torchtitan 0.3.0 runs a Python module and reads the trainer's configuration that it returns."""

import importlib
import sys
import tempfile
from dataclasses import asdict
from functools import cache
from pathlib import Path

import torch
from reader_loop import Answer, leave_out, serve

leave_out(("torch.utils.tensorboard", "datasets", "datasets.distributed", "wandb"))

from torchtitan.config.manager import ConfigManager  # noqa: E402
from torchtitan.distributed.parallel_dims import ParallelDims  # noqa: E402
from torchtitan.distributed.pipeline_parallel import (  # noqa: E402
    _generate_llm_fqn_per_model_part,
    _get_pipeline_metadata,
)

sys.dont_write_bytecode = True


def read(text: str, world: int) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "prodtop_titan.py").write_text(text, encoding="utf-8")
        sys.path.insert(0, folder)
        importlib.invalidate_caches()
        arguments = ["--module", "prodtop_titan", "--config", "prodtop"]
        try:
            config = ConfigManager().parse_args(arguments)
        finally:
            sys.path.remove(folder)
            sys.modules.pop("prodtop_titan", None)
    dims = ParallelDims.from_config(config.parallelism, world)
    model = config.model_spec.model
    # The model's own conditions on degrees and sequence.
    model.update_from_config(config=config)
    recompute = config.activation_checkpoint
    chunks = [len(model.layers)]
    if dims.pp > 1:
        count, layers, first, last = _get_pipeline_metadata(dims, config.parallelism, model)
        parts = _generate_llm_fqn_per_model_part(count, layers, first, last)
        chunks = [sum(name.startswith("layers.") for name in part) for part in parts]
    return {
        "config": {
            "training": asdict(config.training),
            "parallelism": asdict(config.parallelism),
            "activation_checkpoint": None if recompute is None else type(recompute).__qualname__,
            "compile": asdict(config.compile),
            "learning_rate": config.optimizer.param_groups[0].optimizer_kwargs["lr"],
        },
        "parameters": parameters(config.model_spec.name, config.model_spec.flavor),
        "chunks": chunks,
    }


@cache
def parameters(name: str, flavor: str) -> int:
    """Parameters of the registry's model, built without memory."""
    registry = importlib.import_module(f"torchtitan.models.{name}").model_registry
    with torch.device("meta"):
        built = registry(flavor).model.build()
    return sum(weight.numel() for weight in built.parameters())


serve(read)
