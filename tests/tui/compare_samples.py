"""What an engine says while cells are compared: every bench answered, with figures by place."""

from collections.abc import Sequence

import msgspec
from comparisons import result, sample
from frames import frame
from prodtop.engine.compare.cells import Cell
from prodtop.engine.protocol import (
    BenchDone,
    BenchSpec,
    CellSkipped,
    Command,
    LoadSpec,
    PrecisionName,
    Progress,
    Report,
    RunBench,
    StrategyName,
)

TOK_S = dict(
    zip(StrategyName, (520.0, 9_400.0, 17_900.0, 18_400.0, 17_600.0, 22_900.0), strict=True)
)
GAIN = {PrecisionName.FP32: 0.6, PrecisionName.INT8: 1.3, PrecisionName.INT4: 1.6}
LOAD = LoadSpec(users=32)


def answer(spec: BenchSpec, number: int = 0, skipped: Sequence[PrecisionName] = ()) -> list[Report]:
    """What a bench of one cell reports; repeats vary a little."""
    strategy, precision = spec.strategies[0], spec.precisions[0]
    if precision in skipped:
        reason = f"{precision} does not fit into the memory that is left"
        return [CellSkipped(strategy=strategy, precision=precision, reason=reason), BenchDone()]
    tok_s = TOK_S[strategy] * GAIN.get(precision, 1.0) * (1 + 0.004 * (number % 5))
    cell = Cell(strategy=strategy, precision=precision, load=spec.load)
    within = [sample(ttft_ms=4e5 / tok_s)] * (2 + int(tok_s / 1000))
    measured = result(cell, tok_s=tok_s, p95_ms=4e6 / tok_s, samples=within)
    return [measured, Progress(what="measuring cells", fraction=1.0), BenchDone()]


def benches(sent: Sequence[Command]) -> list[BenchSpec]:
    """The benches among the commands."""
    return [command.spec for command in sent if isinstance(command, RunBench)]


def two_precisions(second: float = 60.0) -> Report:
    """A frame of an engine that can run bf16 and int8 alone."""
    shown = frame(second)
    statuses = [
        each
        if each.name in (PrecisionName.BF16, PrecisionName.INT8)
        else msgspec.structs.replace(each, reason=f"{each.name} is not for this device")
        for each in shown.precisions
    ]
    return msgspec.structs.replace(shown, precisions=statuses)
