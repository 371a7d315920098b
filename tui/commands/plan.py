"""`prodtop plan`: the best layouts for training a model on a cluster, and what goes with them."""

import typer

from . import plan_arguments as options
from .arguments import Debug, Json, refuse_options_before
from .plan_calibrate import calibrate
from .plan_capacity import capacity
from .plan_export import export

plan = typer.Typer(
    name="plan",
    rich_markup_mode=None,
    help="How many GPUs, split how, how long, and does it fit: every figure is an estimate.",
)


@plan.callback(invoke_without_command=True)
def search_layouts(
    context: typer.Context,
    model: options.Model = "generic-7b",
    gpu: options.Gpu = "h100-sxm",
    gpus: options.Gpus = 32,
    batch: options.Batch = None,
    sequence: options.Sequence = "4096",
    tokens: options.Tokens = None,
    precision: options.Precision = "bf16",
    optimizer: options.Optimizer = "adamw",
    memory_gib: options.MemoryGib = None,
    framework: options.Framework = "megatron-core",
    hardware: options.Hardware = None,
    node_gpus: options.NodeGpus = None,
    network_gb_s: options.NetworkGbS = None,
    price: options.Price = None,
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
    top: options.Top = 8,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Plan training: the fastest layouts of a cluster that fit, and why the first one wins."""
    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return
    # Imported here: the other commands need not wait for the planner.
    from .plan_answer import answer
    from .plan_question import asked_with, read_question

    # The parameters are declared above for typer, and read here by their names.
    found = answer(read_question(asked_with(context.params)))
    if json:
        import msgspec

        from .plan_json import as_object

        print(msgspec.json.encode(as_object(found)).decode())
        return
    from .plan_table import print_answer

    print_answer(found)


# Every command under `prodtop plan`, one line each.
plan.command("calibrate")(calibrate)
plan.command("capacity")(capacity)
plan.command("export")(export)
