"""The worker's loop in this process, between two ends of a socket."""

import socket
from pathlib import Path

import torch
from prodtop.engine.model.loading import load_model
from prodtop.engine.protocol import (
    COMMAND_DECODER,
    LoadSpec,
    Message,
    PrecisionName,
    Report,
    Shutdown,
    StrategyName,
)
from prodtop.engine.protocol.channel import Channel
from prodtop.engine.protocol.options import WorkerOptions
from prodtop.engine.serving.engine import Engine
from prodtop.engine.serving.runner import RunnerFactory, runner_for
from prodtop.engine.serving.settings import EngineSettings
from prodtop.engine.worker.loop import ServingLoop

LOAD = LoadSpec(users=2, output_tokens_min=4, output_tokens_max=8, ignore_eos=True)


class Clock:
    """Moves by ten milliseconds whenever it is looked at."""

    def __init__(self) -> None:
        self.now_s = 0.0

    def __call__(self) -> float:
        self.now_s += 0.01
        return self.now_s


def make_engine(folder: Path, make_runner: RunnerFactory = runner_for) -> Engine:
    return Engine(
        load_model(str(folder)),
        EngineSettings(max_seqs=64, token_budget=256, kv_blocks=900, context_tokens=256),
        strategy=StrategyName.CONTINUOUS,
        precision=PrecisionName.FP32,
        device=torch.device("cpu"),
        clock=Clock(),
        runner_for=make_runner,
    )


def converse(
    engine: Engine,
    channels: tuple[Channel[Report], socket.socket],
    *commands: Message,
    load: LoadSpec = LOAD,
) -> list[Report]:
    """Give the loop these commands and then `Shutdown`; all that it reported until it ended."""
    ours, theirs = channels
    for command in (*commands, Shutdown()):
        assert ours.send(command)
    ServingLoop(Channel(theirs, COMMAND_DECODER), engine, WorkerOptions(load=load), None).run()
    return ours.receive()
