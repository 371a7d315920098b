"""Moments of serving that has a price, for the tests of the Production tab's cost and capacity."""

from dataclasses import replace

import msgspec
from comparisons import WORK, latency, result
from frames import frame
from of_our_own import known
from prodtop.engine.compare.cells import Cell, Comparison, Measured
from prodtop.engine.cost.settings import CapacitySettings, CostSettings
from prodtop.engine.protocol import Frame, LoadSpec, PrecisionName, StrategyName, Window
from prodtop.tui.state.billing import Billing
from prodtop.tui.state.compare import Compare
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from prodtop.tui.state.stage import Stage
from usage_samples import usage

PRICED = Billing(
    CostSettings(
        usd_per_hour=2.1,
        usd_per_kwh=0.25,
        storage_usd_per_gib_month=0.08,
        storage_gib=500.0,
        bandwidth_usd_per_gib=0.09,
        answer_bytes_per_token=200.0,
        spot_usd_per_hour=0.9,
        interruptions_per_hour=0.05,
        restart_s=180.0,
        budget_usd_per_hour=4.0,
    ),
    CapacitySettings(requests_per_s=120.0),
)
SERVED_WORK = msgspec.structs.replace(WORK, model=frame().model.name, max_seqs=64)


def swept(load: LoadSpec | None = None) -> Comparison:
    """Cells of every strategy at two precisions, all but one measured."""
    load = msgspec.structs.replace(load or known(frame().load), ignore_eos=True)
    cells = []
    for number, strategy in enumerate(StrategyName):
        for precision in (PrecisionName.BF16, PrecisionName.INT8):
            of = Cell(strategy=strategy, precision=precision, load=load)
            span_s = (8.0 - number) * (0.7 if precision is PrecisionName.INT8 else 1.0)
            used = usage(span_s=span_s, requests=64, energy_j=310.0 * span_s)
            last = strategy is StrategyName.HYBRID and precision is PrecisionName.INT8
            repeats = [] if last else [result(of, usage=used)] * 6
            cells.append(Measured(cell=of, repeats=repeats))
    return Comparison(work=SERVED_WORK, cells=cells)


def curve(served: Frame | None = None) -> Comparison:
    """The served cell at five loads: it saturates at 38 requests a second."""
    served = served or frame()
    cells = []
    for users in (8, 16, 32, 64, 128):
        load = msgspec.structs.replace(known(served.load), users=users, ignore_eos=True)
        of = Cell(strategy=known(served.strategy), precision=known(served.precision), load=load)
        req_s = min(0.9 * users, 38.0)
        repeat = result(of, req_s=req_s, e2e_ms=latency(2 * users / req_s * 1e3))
        cells.append(Measured(cell=of, repeats=[repeat] * 6))
    return Comparison(work=SERVED_WORK, cells=cells)


def moment(
    billing: Billing = PRICED,
    *,
    cells: Comparison | None = None,
    loads: Comparison | None = None,
    shown: Frame | None = None,
    window: Window = Window.M1,
) -> Moment:
    """A moment of the scripted engine, with its prices and what was measured."""
    served = shown or frame()
    return Moment(
        wall_s=0.0,
        now_s=0.0,
        frame=served,
        window=window,
        worker=WorkerState(Phase.SERVING, load_s=21.0),
        billing=billing,
        compare=Compare(Stage.DONE, cells) if cells is not None else Compare(),
        load_curve=Compare(Stage.DONE, loads) if loads is not None else Compare(),
    )


def starting(billing: Billing = PRICED) -> Moment:
    """Before the first frame."""
    return replace(moment(billing), frame=None, worker=WorkerState())
