"""What the planner expects of a GPU type under a trace's mean rate and lengths."""

from dataclasses import dataclass

from ...engine.planner.calibrate.saved import load_saved
from ...engine.planner.cost.hardware import Gpu
from ...engine.planner.question import options
from ...engine.planner.question.parsers import parse_gpu
from ...engine.planner.question.question import Reader
from ...engine.planner.serving_capacity.at_rate import AtRate, at_rate
from ...engine.planner.serving_capacity.capacity import matrix
from ...engine.planner.serving_capacity.prices import packaged_prices
from ...engine.planner.serving_capacity.server import Load
from ...engine.protocol import PrecisionName
from ...engine.shape.model_shape import ModelShape
from ...engine.traces.summary import TraceSummary

NO_RATE = "the trace has no rate: its requests came all at once"


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """One precision on the GPU type: `gpus` of them, as few as hold `most_requests` at a time.

    `result` is `None` where the model does not fit, or there is no rate; `reason` says it.
    """

    gpu: Gpu
    precision: PrecisionName
    gpus: int | None
    load: Load
    result: AtRate | None
    reason: str | None


def gpu_named(text: str) -> Gpu:
    """A GPU type as `prodtop plan` names it. Raises `QuestionError`."""
    reader = Reader({options.GPU.key: text})
    gpu = reader.parsed(options.GPU, lambda each: parse_gpu(each, {}))
    reader.check()
    return gpu


def planned(
    gpu: Gpu,
    model: ModelShape,
    precision: PrecisionName,
    summary: TraceSummary,
    *,
    speed: float,
    most_requests: int,
) -> Planned:
    """Serve the trace's mean request, at its mean rate times `speed`, `most_requests` at a time at
    most."""
    load = Load(
        requests=most_requests,
        prompt_tokens=max(1, round(summary.prompt_tokens.mean)),
        output_tokens=max(1, round(summary.output_tokens.mean)),
    )
    calibrations = load_saved().calibrations
    (cell,) = matrix(
        model, [gpu], [precision.value], load, prices=packaged_prices(), calibrations=calibrations
    )
    rate = summary.requests_per_s
    full = cell.result
    return Planned(
        gpu=gpu,
        precision=precision,
        gpus=cell.gpus,
        load=load,
        result=None if full is None or rate is None else at_rate(full, rate * speed),
        reason=cell.reason if full is None else NO_RATE if rate is None else None,
    )
