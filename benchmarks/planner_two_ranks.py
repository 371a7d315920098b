"""The planner's prediction beside a small GPT really trained on two GPUs: FSDP2, TP and PP.

    python benchmarks/planner_two_ranks.py [--strategies fsdp,tp,pp] [--device auto] [--size small]
        [--steps 10] [--json]

Calibrates the machine first, then trains under each strategy through torchrun and prints measured
and predicted step time and peak memory. On a CPU two processes talk over gloo: that proves only
that the script runs, since processes that share cores are no GPUs.
"""

import argparse
import json
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import msgspec
from prodtop.engine.planner.calibrate.constants import Measured, calibration_of
from prodtop.engine.planner.calibrate.runner import calibrate, progress
from prodtop.engine.planner.cost.calibration import Calibration, default_constants
from prodtop.engine.planner.cost.estimate import Estimate, estimate
from prodtop.engine.planner.cost.hardware import Cluster, Gpu, Precision
from prodtop.engine.planner.cost.layout import Layout
from prodtop.engine.planner.cost.setting import Setting
from prodtop.engine.shape.field_errors import FieldError
from two_ranks_work import SIZES, Work

TRAIN = Path(__file__).with_name("two_ranks_train.py")
STRATEGIES = ("fsdp", "tp", "pp")
RANKS = 2
LONGEST_S = 600.0


class Trained(msgspec.Struct, frozen=True):
    """What the training of one strategy printed."""

    step_s: float
    peak_bytes: float | None
    first_loss: float
    last_loss: float


@dataclass(frozen=True)
class Row:
    """One strategy, measured and predicted; memory is what the allocator hands out at the peak.

    The loss of the first and the last step show that it really trained.
    """

    strategy: str
    measured_s: float
    predicted_s: float
    measured_bytes: float | None
    predicted_bytes: float
    first_loss: float
    last_loss: float


@dataclass(frozen=True)
class Machine:
    """The device that trains, with the constants that were measured on it."""

    gpu: Gpu
    calibration: Calibration
    kind: str

    @property
    def precision(self) -> Precision:
        """What it trains in."""
        return "bf16" if self.kind == "cuda" else "fp32"


def machine_of(measured: Measured, gpu: Gpu | None) -> Machine:
    """A device that the planner does not know has what was measured for its peaks."""
    own = gpu or _own_type(measured)
    return Machine(own, calibration_of(measured, own), measured.device.type)


def _own_type(measured: Measured) -> Gpu:
    """A GPU type whose vendor states exactly what was measured; its power is not known."""

    def peak(dtype: str) -> float:
        fit = measured.products.get(dtype)
        return 0.0 if fit is None else fit.flops_s

    link = measured.copy.rate if measured.ring is None else measured.ring.rate
    return Gpu(
        key=measured.device.type,
        name=measured.device.name,
        memory_bytes=measured.device.memory_bytes,
        sms=measured.device.sms,
        hbm_bytes_s=measured.copy.rate,
        link_bytes_s=link,
        node_gpus=RANKS,
        network_bytes_s=link,
        power_w=0.0,
        # Attention is rated by the bf16 peak, whatever the layout's precision.
        bf16_flops=peak("bf16"),
        fp16_flops=0.0,
        fp8_flops=peak("fp8"),
        fp32_flops=peak("fp32"),
        tf32_flops=0.0,
        fp4_flops=0.0,
        generation="",
        names="",
        note="",
        source="measured",
    )


def layout_of(strategy: str, work: Work, precision: Precision) -> Layout:
    """The layout that `two_ranks_train.py` runs under that name."""
    common = Layout(micro_batch=work.micro_batch, precision=precision)
    match strategy:
        case "fsdp":
            return replace(common, dp=RANKS, zero=3)
        case "tp":
            return replace(common, tp=RANKS)
        case "pp":
            return replace(common, pp=RANKS, micro_batches=work.micro_batches)
    raise FieldError("strategy", f"unknown strategy {strategy!r}; known are {STRATEGIES}")


def predicted(strategy: str, work: Work, machine: Machine) -> Estimate:
    """The estimate of what `two_ranks_train.py` does, with the constants of this machine."""
    constants = default_constants()
    where = Setting(
        model=work.shape,
        cluster=Cluster(gpu=machine.gpu, gpus=RANKS, node_gpus=RANKS),
        sequence=work.sequence,
        software=constants.profile("torch"),
        constants=constants,
        calibration=machine.calibration,
    )
    return estimate(where, layout_of(strategy, work, machine.precision))


def train(strategy: str, size: str, machine: Machine, steps: int) -> Trained:
    """Train in processes of their own; raises `CalledProcessError` or `TimeoutExpired`."""
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", str(RANKS)]
    options = ["--strategy", strategy, "--size", size, "--steps", str(steps)]
    device = ["--device", machine.kind, "--precision", machine.precision]
    done = subprocess.run(
        [sys.executable, *launch, str(TRAIN), *options, *device],
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=LONGEST_S,
    )
    return msgspec.json.decode(done.stdout.splitlines()[-1], type=Trained)


def compare(strategy: str, size: str, machine: Machine, steps: int) -> Row:
    """One strategy, trained and predicted."""
    guess = predicted(strategy, SIZES[size], machine)
    trained = train(strategy, size, machine, steps)
    return Row(
        strategy=strategy,
        measured_s=trained.step_s,
        predicted_s=guess.step_s,
        measured_bytes=trained.peak_bytes,
        predicted_bytes=guess.memory.allocated,
        first_loss=trained.first_loss,
        last_loss=trained.last_loss,
    )


def table(rows: Sequence[Row]) -> str:
    """The rows as Markdown, times in ms and memory in GiB."""
    lines = [
        "| strategy | step, measured | predicted | error | peak memory | predicted | error |",
        "|---|---|---|---|---|---|---|",
    ]
    for row in rows:
        seconds = f"{row.measured_s * 1e3:,.1f} | {row.predicted_s * 1e3:,.1f}"
        memory = f"-- | {row.predicted_bytes / 2**30:,.2f} | --"
        if row.measured_bytes is not None:
            both = f"{row.measured_bytes / 2**30:,.2f} | {row.predicted_bytes / 2**30:,.2f}"
            memory = f"{both} | {row.predicted_bytes / row.measured_bytes - 1:+.1%}"
        error = f"{row.predicted_s / row.measured_s - 1:+.1%}"
        lines.append(f"| {row.strategy} | {seconds} | {error} | {memory} |")
    return "\n".join(lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--strategies", default=",".join(STRATEGIES))
    parser.add_argument("--device", default="auto")
    parser.add_argument("--size", choices=tuple(SIZES), default="small")
    parser.add_argument("--steps", type=int, default=10)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        result = calibrate(
            lambda report: print(progress(report), file=sys.stderr),
            device=arguments.device,
            ranks=RANKS,
            path=Path(folder) / "calibration.toml",
        )
    machine = machine_of(result.measured, result.gpu)
    names = arguments.strategies.split(",")
    rows = [compare(name, arguments.size, machine, arguments.steps) for name in names]
    if arguments.json:
        print(json.dumps([asdict(row) for row in rows]))
        return
    print(f"{RANKS} × {machine.gpu.name}, {machine.precision}, {arguments.size} model")
    print(table(rows))
    if machine.kind == "cpu":
        print("On a CPU: only a proof that the script runs.")


if __name__ == "__main__":
    main()
