"""accelerate reads its YAML the way `accelerate launch` does, and hands it to the worker."""

import os
import tempfile
from pathlib import Path
from unittest.mock import patch

from accelerate.commands.launch import _validate_launch_command, launch_command_parser
from accelerate.parallelism_config import ParallelismConfig
from accelerate.utils.dataclasses import FullyShardedDataParallelPlugin
from accelerate.utils.launch import prepare_multi_gpu_env
from reader_loop import Answer, serve


def read(text: str, world: int) -> Answer:
    with tempfile.TemporaryDirectory() as folder:
        file = Path(folder) / "config.yaml"
        file.write_text(text, encoding="utf-8")
        # What the launcher does, up to starting processes: file, arguments, environment.
        arguments = launch_command_parser().parse_args(["--config_file", str(file), "train.py"])
        arguments, _, _ = _validate_launch_command(arguments)
    environment = prepare_multi_gpu_env(arguments)
    # What a worker reads from that environment.
    with patch.dict(os.environ, environment):
        plugin = FullyShardedDataParallelPlugin()
        ranks = ParallelismConfig()
    return {
        "world": arguments.num_processes,
        "machines": arguments.num_machines,
        "fsdp": arguments.use_fsdp,
        "mixed_precision": arguments.mixed_precision,
        "version": plugin.fsdp_version,
        "reshard": plugin.reshard_after_forward,
        "recompute": plugin.activation_checkpointing,
        "offload": type(plugin.cpu_offload).__name__,
        "layers": plugin.transformer_cls_names_to_wrap,
        "replicate": ranks.dp_replicate_size,
        "shard": ranks.dp_shard_size,
        "tp": ranks.tp_size,
        "cp": ranks.cp_size,
        "total": ranks.total_size,
    }


serve(read)
