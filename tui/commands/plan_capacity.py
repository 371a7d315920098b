"""`prodtop plan capacity`: on which GPUs a model serves a load, how fast and for how much."""

from typing import Annotated

import typer

from . import plan_arguments as options
from .arguments import Debug, Json


def capacity(
    model: options.Model = "llama-3.1-8b",
    gpu: Annotated[
        str, typer.Option("--gpu", metavar="a,b|all", help="GPU types; one alone shows more of it.")
    ] = "all",
    gpus: Annotated[
        str,
        typer.Option(
            "--gpus", metavar="N|auto", help="GPUs that share the model; auto: as few as hold it."
        ),
    ] = "auto",
    precision: Annotated[
        str, typer.Option("--precision", metavar="a,b|all", help="bf16, fp8, int4, ...")
    ] = "all",
    requests: Annotated[
        int, typer.Option("--requests", metavar="N", help="Requests in flight at a time.")
    ] = 32,
    prompt_tokens: Annotated[
        str,
        typer.Option("--prompt-tokens", metavar="N", help="Of each request, such as 512 or 8k."),
    ] = "512",
    output_tokens: Annotated[
        str, typer.Option("--output-tokens", metavar="N", help="Of each request.")
    ] = "256",
    fp8_cache: Annotated[
        bool, typer.Option("--fp8-cache", help="Keys and values in one byte each.")
    ] = False,
    group: Annotated[
        int, typer.Option("--int4-group", metavar="N", help="Weights that share a scale in int4.")
    ] = 64,
    hardware: options.Hardware = None,
    price: options.Price = None,
    explain: Annotated[
        bool, typer.Option("--explain", help="Open every figure into its formula.")
    ] = False,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Plan serving: memory, decode speed, TTFT and cost by GPU type and precision."""
    # Imported here: the other commands need not wait for the planner.
    from .plan_capacity_answer import CapacityAsked, answer

    found = answer(
        CapacityAsked(
            model=model,
            gpu=gpu,
            gpus=gpus,
            precision=precision,
            requests=requests,
            prompt_tokens=prompt_tokens,
            output_tokens=output_tokens,
            fp8_cache=fp8_cache,
            group=group,
            hardware=hardware,
            price=price,
        )
    )
    if json:
        import msgspec

        from .plan_capacity_json import as_object

        print(msgspec.json.encode(as_object(found, explained=explain)).decode())
        return
    from .plan_capacity_table import print_answer

    print_answer(found, explained=explain)
