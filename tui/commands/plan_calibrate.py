"""`prodtop plan calibrate`: measure this machine's GPUs, for plans to use."""

import sys
from typing import TYPE_CHECKING, Annotated

import typer

from ...engine.text.cleaning import clean
from . import plan_arguments as options
from .arguments import DEVICE, Debug, Json
from .status_line import StatusLine

if TYPE_CHECKING:
    from ...engine.planner.calibrate.runner import Calibrated
    from ...engine.planner.calibrate.samples import Report


def calibrate(
    device: Annotated[str, DEVICE] = "auto",
    ranks: Annotated[
        int | None,
        typer.Option(
            "--ranks",
            metavar="N",
            min=1,
            help="Processes that talk to each other; 1 for none.  [default: all GPUs, 2 on a CPU]",
        ),
    ] = None,
    gpu: Annotated[
        str | None,
        typer.Option("--gpu", metavar="G", help="The GPU type, where its name does not say it."),
    ] = None,
    hardware: options.Hardware = None,
    json: Json = False,
    debug: Debug = False,
) -> None:
    """Measure products, copies and collectives here, and keep what they reach for later plans."""
    # Imported here: the other commands need not wait for the planner.
    from pathlib import Path

    from ...engine.planner.calibrate.runner import calibrate as measure
    from ...engine.planner.calibrate.runner import progress
    from ...engine.planner.cost.hardware import find_gpu, load_gpus

    extra = None if hardware is None else load_gpus(Path(hardware).expanduser())
    chosen = None if gpu is None else find_gpu(gpu, extra)
    status = StatusLine(sys.stderr)

    def tell(report: "Report") -> None:
        status.say(clean(progress(report)))

    found = measure(tell, device=device, ranks=ranks, gpu=chosen)
    if json:
        import msgspec

        print(msgspec.json.encode(as_object(found)).decode())
        return
    for line in lines(found):
        print(clean(line))


def as_object(found: "Calibrated") -> dict[str, object]:
    """What was measured, in SI units and bytes."""
    measured = found.measured
    return {
        "schema_version": 1,
        "device": measured.device.name,
        "gpu": None if found.gpu is None else found.gpu.key,
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
        "constants": None if found.calibration is None else dict(vars(found.calibration)),
        "file": str(found.path),
    }


def lines(found: "Calibrated") -> list[str]:
    """The result for people: rates, how well they fit, and what becomes of them."""
    measured = found.measured
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
    if found.gpu is None:
        text.append("no GPU type of that name is known: kept, but plans do not use it (see --gpu)")
    else:
        text.append(f"plans for {found.gpu.name} use this from now on")
    text.append(f"kept in {found.path}")
    return text
