"""`prodtop plan calibrate`: measure this machine's GPUs, for plans to use."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine.planner.question.options import CALIBRATION_OPTIONS, HARDWARE, MEASURED_TYPE
from ...engine.text.cleaning import clean
from .arguments import Debug, Json
from .json_output import print_json
from .plan_options import Texts, with_options
from .status_line import StatusLine

if TYPE_CHECKING:
    from ...engine.planner.calibrate.runner import Calibrated
    from ...engine.planner.calibrate.samples import Report


@with_options(CALIBRATION_OPTIONS)
def calibrate(
    device: Annotated[
        str, typer.Option("--device", metavar="D", help="auto, cpu, cuda or cuda:N.")
    ] = "auto",
    ranks: Annotated[
        int | None,
        typer.Option(
            "--ranks",
            metavar="N",
            min=1,
            help="Processes that talk to each other; 1 for none.  [default: all GPUs, 2 on a CPU]",
        ),
    ] = None,
    *,
    texts: Texts,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure products, copies and collectives here, and keep what they reach for later plans."""
    # Imported here: the other commands need not wait for the planner.
    from ...engine.planner.calibrate.runner import calibrate as measure
    from ...engine.planner.calibrate.runner import progress
    from ...engine.planner.question.parsers import optional, parse_gpu
    from ...engine.planner.question.question import Reader

    reader = Reader(texts)
    own = reader.read(HARDWARE) or {}
    chosen = reader.parsed(MEASURED_TYPE, optional(lambda text: parse_gpu(text, own)))
    reader.check()
    status = StatusLine(sys.stderr)

    def tell(report: "Report") -> None:
        status.say(clean(progress(report)))

    calibrated = measure(tell, device=device, ranks=ranks, gpu=chosen)
    if json:
        print_json(as_object(calibrated))
        return
    for line in lines(calibrated):
        print(clean(line))


def as_object(calibrated: "Calibrated") -> dict[str, object]:
    """What was measured, in SI units and bytes."""
    measured = calibrated.measured
    return {
        "schema_version": 1,
        "device": measured.device.name,
        "gpu": None if calibrated.gpu is None else calibrated.gpu.key,
        "torch": measured.device.torch,
        "ranks": measured.ranks,
        "products": {
            dtype: {"flops_s": fit.flops_s, "wave": fit.wave, "error": fit.error}
            for dtype, fit in measured.products.items()
        },
        "copy": {"bytes_s": measured.copy.rate, "kernel_s": measured.copy.fixed_s},
        "links": {
            name: {"latency_s": line.fixed_s, "bytes_s": line.rate, "error": line.error}
            for name, line in measured.links.items()
        },
        "skipped": {sample.what: sample.reason for sample in measured.skipped},
        "constants": None if calibrated.calibration is None else dict(vars(calibrated.calibration)),
        "file": str(calibrated.path),
    }


def lines(calibrated: "Calibrated") -> list[str]:
    """The result for people: rates, how well they fit, and what becomes of them."""
    measured = calibrated.measured
    text = [f"{measured.device.name}, torch {measured.device.torch}"]
    for dtype, fit in measured.products.items():
        text.append(f"{dtype} products: {fit.flops_s / 1e12:,.2f} TFLOP/s ({fit.error:.1%} off)")
    text.append(f"copy: {measured.copy.rate / 1e9:,.1f} GB/s, read and written")
    for name, line in measured.links.items():
        latency = f"{line.fixed_s * 1e6:,.1f} µs a step"
        rate = f"{line.rate / 1e9:,.2f} GB/s"
        kind = name.replace("_", "-")
        text.append(f"{kind} on {measured.ranks}: {latency}, {rate} ({line.error:.1%} off)")
    text += [f"{sample.what} skipped: {sample.reason}" for sample in measured.skipped]
    if measured.device.type != "cuda":
        text.append("a CPU: kept apart, and no plan of GPUs uses it")
    elif calibrated.gpu is None:
        text.append("no GPU type of that name is known: kept, but plans do not use it (see --gpu)")
    else:
        text.append(f"plans for {calibrated.gpu.name} use this from now on")
    text.append(f"kept in {calibrated.path}")
    return text
