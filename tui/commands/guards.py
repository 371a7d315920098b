"""`prodtop guards calibrate` and `prodtop guards bias`: what guards must know of a model."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import typer

from ...engine.protocol import LoadSpec
from ...engine.protocol.errors import ProdtopError
from ...engine.protocol.options import WorkerOptions
from ...engine.text.cleaning import clean
from ..style.formatting import percent
from .arguments import Debug, Json
from .engine_options import SERVING, Given, engine_options, with_engine_options
from .json_output import print_json
from .status_line import StatusLine

if TYPE_CHECKING:
    from ...engine.server.guards.bias import BiasReport, GapInterval
    from ...engine.server.guards.calibrating import LabelledAuroc, UncertaintyQuality
    from ...engine.server.guards.model_reference import ModelReference

guards = typer.Typer(
    name="guards", rich_markup_mode=None, help="What the guards must know of a model, measured."
)


@guards.command("calibrate")
@with_engine_options(**SERVING)
def calibrate_command(given: Given, json: Json = False, debug: Debug = False) -> None:
    """Measure the reference of uncertainty and the limits of perplexity, and keep them."""
    from ...engine.server.guards.calibrating import measure_reference, measure_uncertainty
    from ...engine.server.guards.model_reference import keep_reference
    from .own_server import own_completions

    status = _Status()
    with own_completions(_options(given)) as completions:
        day = datetime.now(UTC).date().isoformat()
        try:
            reference = measure_reference(completions, day, status.tell)
        except ValueError as error:
            raise ProdtopError(f"the model cannot be calibrated: {error}") from error
        quality = measure_uncertainty(completions, reference.uncertainty, status.tell)
    status.clear()
    try:
        path = keep_reference(reference)
    except OSError as error:
        raise ProdtopError(f"the reference cannot be kept: {error}") from error
    if json:
        print_json({"reference": reference, "uncertainty": quality, "file": str(path)})
        return
    for line in (*calibration_lines(reference, quality), f"kept in {path}"):
        print(clean(line))


@guards.command("bias")
@with_engine_options(**SERVING)
def bias_command(given: Given, json: Json = False, debug: Debug = False) -> None:
    """Measure an indicator of bias: gaps of paired prompts, beside those of control pairs."""
    from ...engine.server.guards.bias import measure_bias
    from ...engine.server.guards.bias_file import keep_bias
    from ...engine.server.guards.samples.sets import bias_pairs
    from .own_server import own_completions

    status, pairs = _Status(), bias_pairs()
    done = 0
    with own_completions(_options(given)) as completions:

        def score(beginning: str, end: str) -> list[float]:
            nonlocal done
            status.tell("pairs", done / (2 * len(pairs)))
            done += 1
            return completions.score_end(beginning, end)

        report = measure_bias(completions.model, pairs, score)
    status.clear()
    try:
        path = keep_bias(report, datetime.now(UTC).timestamp())
    except OSError as error:
        raise ProdtopError(f"the indicator cannot be kept: {error}") from error
    if json:
        print_json(report)
        return
    for line in (*bias_lines(report), f"kept in {path}"):
        print(clean(line))


class _Status:
    """What is measured now, in one line that goes."""

    def __init__(self) -> None:
        self._line = StatusLine(sys.stderr)

    def tell(self, what: str, share: float) -> None:
        self._line.show(f"{what} {percent(share)}")

    def clear(self) -> None:
        self._line.clear()


def _options(given: Mapping[str, object]) -> WorkerOptions:
    return engine_options(given, WorkerOptions(load=LoadSpec(paused=True)))


def calibration_lines(reference: "ModelReference", quality: "UncertaintyQuality") -> list[str]:
    """What was measured, for people."""
    known, limits = reference.uncertainty, reference.perplexity
    answers = len(known.means)
    return [
        f"{reference.model}, {reference.precision}",
        f"uncertainty: {answers} reference answers, mean entropy {_middle(known.means):.2f} nats a"
        f" token, largest {_middle(known.maxima):.2f} (medians)",
        f"uncertainty, a heuristic: AUROC {_interval(quality.score)} over {quality.n} labelled"
        f" answers, {quality.wrong} wrong; mean entropy alone {_interval(quality.mean_entropy)},"
        f" largest alone {_interval(quality.max_entropy)}",
        f"perplexity: 99 % of {limits.prompts} benign prompts have a length / perplexity of at"
        f" most {limits.length_per_perplexity:.4g}, and of {limits.affixes} beginnings and ends a"
        f" perplexity of at most {limits.affix_perplexity:.4g}",
    ]


def bias_lines(report: "BiasReport") -> list[str]:
    """The indicator, for people."""
    lines = [
        f"{report.model}: an indicator of bias, in nats a token; it proves nothing by itself",
        f"probes    {_gap(report.probes)}",
        f"controls  {_gap(report.controls)}",
        f"excess    {_gap(report.excess)}",
        "widest:",
    ]
    return [*lines, *(f"  {value:+.2f}  {text}" for text, value in report.widest)]


def _gap(interval: "GapInterval") -> str:
    return f"{interval.mean:+.3f}  [{interval.low:+.3f}, {interval.high:+.3f}]  n = {interval.n}"


def _interval(found: "LabelledAuroc | None") -> str:
    return "--" if found is None else f"{found.value:.2f} [{found.low:.2f}, {found.high:.2f}]"


def _middle(values: list[float]) -> float:
    return sorted(values)[len(values) // 2]
