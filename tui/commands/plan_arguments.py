"""The options of `prodtop plan`, for every command that asks about a model on a cluster."""

from typing import Annotated

import typer

_SEARCHED = "Searched, unless given."

Model = Annotated[
    str,
    typer.Option(
        "--model", metavar="M", help="A preset, a config.json, or a parameter count such as 7B."
    ),
]
Gpu = Annotated[
    str, typer.Option("--gpu", metavar="G", help="A GPU type: h100-sxm, a100-80, mi300x, ...")
]
Gpus = Annotated[int, typer.Option("--gpus", metavar="N", help="GPUs in all.")]
Batch = Annotated[
    int | None,
    typer.Option(
        "--batch", metavar="N", help="Sequences of the global batch.  [default: 8 for each GPU]"
    ),
]
Sequence = Annotated[
    str, typer.Option("--sequence", metavar="N", help="Tokens of a sequence, such as 4096 or 8k.")
]
Tokens = Annotated[
    str | None,
    typer.Option("--tokens", metavar="T", help="Tokens to train on in all, such as 1.4T."),
]
Precision = Annotated[
    str, typer.Option("--precision", metavar="P", help="bf16, fp16, fp8, fp32 or tf32.")
]
Optimizer = Annotated[
    str,
    typer.Option("--optimizer", metavar="O", help="adamw, adamw8bit, adafactor, sgd or muon."),
]
MemoryGib = Annotated[
    float | None,
    typer.Option("--memory-gib", metavar="G", help="The limit per GPU; else all of its memory."),
]
Framework = Annotated[
    str,
    typer.Option(
        "--framework", metavar="F", help="Whose kernels and habits: megatron-core, torch, ..."
    ),
]
Hardware = Annotated[
    str | None,
    typer.Option("--hardware", metavar="FILE", help="Your own GPUs, as TOML."),
]
NodeGpus = Annotated[
    int | None,
    typer.Option("--node-gpus", metavar="N", help="GPUs of a node; else the type's usual."),
]
NetworkGbS = Annotated[
    float | None,
    typer.Option("--network-gb-s", metavar="B", help="GB/s of each GPU's NIC; else the usual."),
]
Price = Annotated[
    float | None, typer.Option("--price", metavar="P", help="Of one GPU for an hour.")
]
DataParallel = Annotated[
    int | None, typer.Option("--dp", metavar="N", help="Replicas. " + _SEARCHED)
]
TensorParallel = Annotated[
    int | None, typer.Option("--tp", metavar="N", help="Ranks that split a layer. " + _SEARCHED)
]
PipelineParallel = Annotated[
    int | None, typer.Option("--pp", metavar="N", help="Pipeline stages. " + _SEARCHED)
]
Chunks = Annotated[
    int | None,
    typer.Option("--vp", metavar="N", help="Model chunks of each pipeline stage. " + _SEARCHED),
]
ContextParallel = Annotated[
    int | None, typer.Option("--cp", metavar="N", help="Ranks that split a sequence. " + _SEARCHED)
]
ExpertParallel = Annotated[
    int | None, typer.Option("--ep", metavar="N", help="Ranks that share the experts. " + _SEARCHED)
]
ExpertTensor = Annotated[
    int, typer.Option("--expert-tp", metavar="N", help="Ranks that split each expert.")
]
Zero = Annotated[
    int | None, typer.Option("--zero", metavar="0-3", help="ZeRO stage; 3 is FSDP. " + _SEARCHED)
]
DpShard = Annotated[
    int | None,
    typer.Option(
        "--dp-shard", metavar="N", help="Ranks that share one sharded copy, 0 all. " + _SEARCHED
    ),
]
MicroBatch = Annotated[
    int | None, typer.Option("--micro-batch", metavar="N", help="In sequences. " + _SEARCHED)
]
Recompute = Annotated[
    str | None,
    typer.Option("--recompute", metavar="R", help="none, selective or full. " + _SEARCHED),
]
Schedule = Annotated[
    str | None,
    typer.Option(
        "--schedule",
        metavar="S",
        help="sequential, gpipe, 1f1b or interleaved.  [default: the last two]",
    ),
]
Offload = Annotated[
    str, typer.Option("--offload", metavar="O", help="To the host: none, optimizer or all.")
]
SequenceParallel = Annotated[
    bool | None,
    typer.Option(
        "--sequence-parallel/--no-sequence-parallel",
        help="Within tensor parallelism.  [default: wherever the sequence splits]",
    ),
]
Top = Annotated[int, typer.Option("--top", metavar="N", min=1, max=100, help="Layouts to show.")]
