"""torchtitan 0.2.2 reads a TOML job file."""

import tempfile
from collections.abc import Callable
from copy import deepcopy
from dataclasses import asdict
from importlib import import_module
from pathlib import Path

import torch
from reader_loop import Answer, leave_out, serve

leave_out(
    (
        *("torch.utils.tensorboard", "datasets", "datasets.distributed"),
        "torchtitan.models.moe.kernels",
    )
)

from torch.distributed.pipelining.schedules import get_schedule_class  # noqa: E402
from torchtitan.config import ConfigManager  # noqa: E402
from torchtitan.distributed.parallel_dims import ParallelDims  # noqa: E402
from torchtitan.distributed.pipeline_parallel import generate_llm_fqn_per_model_part  # noqa: E402


def read(text: str, world: int) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "job.toml"
        file.write_text(text, encoding="utf-8")
        config = ConfigManager().parse_args(["--job.config_file", str(file)])
    degrees = config.parallelism
    dims = ParallelDims(
        dp_replicate=degrees.data_parallel_replicate_degree,
        dp_shard=degrees.data_parallel_shard_degree,
        cp=degrees.context_parallel_degree,
        tp=degrees.tensor_parallel_degree,
        pp=degrees.pipeline_parallel_degree,
        ep=degrees.expert_parallel_degree,
        etp=degrees.expert_tensor_parallel_degree,
        world_size=world,
    )
    spec = import_module(f"torchtitan.models.{config.model.name}").get_train_spec()
    arguments = deepcopy(spec.model_args[config.model.flavor])
    # The model's own conditions on degrees and sequence.
    arguments.update_from_config(config)
    return {
        "config": {
            "training": asdict(config.training),
            "parallelism": asdict(degrees),
            "activation_checkpoint": asdict(config.activation_checkpoint),
            "compile": asdict(config.compile),
            "converters": config.model.converters,
            "float8": asdict(config.quantize.linear.float8),
            "learning_rate": config.optimizer.lr,
        },
        "divisor": dims.seq_len_divisor,
        "parameters": parameters(spec.model_cls, arguments),
        "chunks": chunks(degrees, arguments.n_layers),
    }


COUNTS: dict[str, int] = {}


def parameters(model: Callable[[object], torch.nn.Module], arguments: object) -> int:
    """Parameters of the registry's model, built without memory, once."""
    key = repr(arguments)
    if key not in COUNTS:
        with torch.device("meta"):
            COUNTS[key] = sum(weight.numel() for weight in model(arguments).parameters())
    return COUNTS[key]


def chunks(degrees: object, layers: int) -> list[int]:
    """Layers of each pipeline chunk, dealt out by torchtitan."""
    values = vars(degrees)
    ranks = values["pipeline_parallel_degree"]
    single = "Multi" not in str(get_schedule_class(values["pipeline_parallel_schedule"]).__mro__)
    ends = (
        values["pipeline_parallel_first_stage_less_layers"],
        values["pipeline_parallel_last_stage_less_layers"],
    )
    each = values["pipeline_parallel_layers_per_stage"]
    count = ranks * (1 if single else 2)
    if each is not None:
        count = -(-(layers + sum(ends)) // each)
    if ranks == 1:
        count = 1
    parts = generate_llm_fqn_per_model_part(count, layers, *ends)
    return [sum(name.startswith("layers.") for name in part) for part in parts]


serve(read)
