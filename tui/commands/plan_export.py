"""`prodtop plan export`: the fastest layout of a training engine, as its configuration."""

from pathlib import Path
from typing import Annotated

import typer

from . import plan_arguments as options
from .arguments import Debug, Json


def export(
    context: typer.Context,
    engine: Annotated[
        str,
        typer.Argument(
            metavar="ENGINE",
            help="torchtitan[-main|-0.2.2], megatron, deepspeed or accelerate.",
        ),
    ],
    model: options.Model = "llama-3.1-8b",
    gpu: options.Gpu = "h100-sxm",
    gpus: options.Gpus = 32,
    batch: options.Batch = None,
    sequence: options.Sequence = "4096",
    precision: options.Precision = "bf16",
    optimizer: options.Optimizer = "adamw",
    memory_gib: options.MemoryGib = None,
    framework: Annotated[
        str | None,
        typer.Option(
            "--framework",
            metavar="F",
            help="Whose kernels and habits to estimate with; else the engine's.",
        ),
    ] = None,
    hardware: options.Hardware = None,
    node_gpus: options.NodeGpus = None,
    network_gb_s: options.NetworkGbS = None,
    dp: options.DataParallel = None,
    tp: options.TensorParallel = None,
    pp: options.PipelineParallel = None,
    vp: options.Chunks = None,
    cp: options.ContextParallel = None,
    ep: options.ExpertParallel = None,
    expert_tp: options.ExpertTensor = 1,
    zero: options.Zero = None,
    dp_shard: options.DpShard = None,
    micro_batch: options.MicroBatch = None,
    recompute: options.Recompute = None,
    schedule: options.Schedule = None,
    offload: options.Offload = "none",
    sequence_parallel: options.SequenceParallel = None,
    steps: Annotated[
        int, typer.Option("--steps", metavar="N", help="Optimizer steps to run.")
    ] = 1000,
    learning_rate: Annotated[
        float, typer.Option("--learning-rate", metavar="R", help="The peak; it is no advice.")
    ] = 3e-4,
    script: Annotated[
        str, typer.Option("--script", metavar="FILE", help="Yours, where the engine brings none.")
    ] = "train.py",
    out: Annotated[
        Path | None,
        typer.Option("--out", metavar="DIR", help="Write the file and launch.sh into a folder."),
    ] = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Write the fastest layout that an engine can express as its configuration."""
    # Imported here: the other commands need not wait for the planner.
    from .plan_export_answer import answer
    from .plan_export_output import print_json, print_text, write_folder

    # The parameters are declared above for typer, and read there by their names.
    found = answer(engine, context.params)
    if out is not None:
        write_folder(found, out)
    if json:
        print_json(found)
    elif out is None:
        print_text(found)
