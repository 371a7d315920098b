"""What the planner expects of a GPU type under the load of a trace."""

import math
from dataclasses import dataclass

from ...engine.planner.serving_capacity.capacity import Cell
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.options import WorkerOptions
from ...engine.traces.served import Served
from ...engine.traces.trace import Trace
from .plan_capacity import capacity_matrix


@dataclass(frozen=True, slots=True)
class Planned:
    """The planner's estimate with so many requests in flight, of the trace's mean lengths.

    `answer_gaps`: of an answer of the mean length, between its tokens.
    """

    gpu: str
    model: str
    precision: str
    gpus: int | None
    in_flight: int
    ttft_ms: float
    tpot_ms: float | None
    output_tok_s: float | None
    usd_per_million: float | None
    answer_gaps: float

    @property
    def e2e_ms(self) -> float | None:
        """Of an answer of the mean length."""
        return None if self.tpot_ms is None else self.ttft_ms + self.tpot_ms * self.answer_gaps


def planned(gpu: str, model: str, trace: Trace, yours: Served) -> Planned:
    """The estimate for one GPU type at bf16.

    As many requests are in flight as there were when the trace was recorded; where it does not
    tell, as many as arrive in a second. Raises `BadInputError` for what cannot be planned or does
    not fit.
    """
    if model == WorkerOptions().model:
        raise BadInputError(
            f"--gpu plans no {model} model: give --plan-model, a preset or a config"
        )
    prompt, output = float(trace.prompt_tokens.mean()), float(trace.output_tokens.mean())
    in_flight = yours.mean_running or len(trace) / max(trace.span_s, 1.0)
    requests = max(1, math.ceil(in_flight))
    matrix = capacity_matrix(
        {
            "model": model,
            "gpu": gpu,
            "precision": "bf16",
            "requests": str(requests),
            "prompt_tokens": str(max(1, round(prompt))),
            "output_tokens": str(max(1, round(output))),
        }
    )
    cell = _only(matrix.cells)
    result = cell.result
    if result is None:
        raise BadInputError(f"--gpu {gpu}: {cell.reason}")
    return Planned(
        gpu=cell.gpu.key,
        model=matrix.model.name,
        precision=cell.precision,
        gpus=cell.gpus,
        in_flight=requests,
        ttft_ms=result.ttft_s * 1e3,
        tpot_ms=None if result.tpot_s is None else result.tpot_s * 1e3,
        output_tok_s=result.tokens_s,
        usd_per_million=result.usd_per_million_output,
        answer_gaps=max(0.0, output - 1),
    )


def _only(cells: tuple[Cell, ...]) -> Cell:
    if len({cell.gpu.key for cell in cells}) != 1:
        raise BadInputError("--gpu takes one type of GPU")
    return cells[0]
