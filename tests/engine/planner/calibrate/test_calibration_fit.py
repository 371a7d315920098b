"""Fitting: known constants come back, whatever they are, and noise does not send them astray."""

import datetime
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.planner.calibrate.constants import (
    CalibrationError,
    Point,
    calibration_of,
    fit_collective,
    fit_copies,
    fit_each,
    fit_line,
    fit_products,
    measured_from,
    ring_bytes,
    ring_steps,
)
from prodtop.engine.planner.calibrate.samples import (
    COLLECTIVES,
    COPY_BYTES,
    PAYLOAD_BYTES,
    SHAPES,
    Collective,
    CollectiveSample,
    CopySample,
    DeviceSample,
    MatmulSample,
    Report,
)
from prodtop.engine.planner.cost.calibration import default_constants
from prodtop.engine.planner.cost.communication import Group, all_reduce, gather
from prodtop.engine.planner.cost.hardware import cluster, find_gpu
from prodtop.engine.planner.cost.products import rates
from prodtop.engine.planner.cost.setting import Setting, setting
from prodtop.engine.shape.presets import preset

H200 = find_gpu("h200")
TODAY = datetime.date(2026, 11, 23)
DEVICE = DeviceSample(
    name="NVIDIA H200",
    type="cuda",
    devices=8,
    memory_bytes=int(H200.memory_bytes),
    sms=H200.sms,
    torch="2.11.0",
)


def collective(kind: Collective, size: int, seconds: float, ranks: int = 8) -> CollectiveSample:
    return CollectiveSample(collective=kind, ranks=ranks, whole_bytes=size, seconds=seconds)


@settings(deadline=None)
@given(
    st.floats(1e-7, 1e-2),
    st.floats(1e6, 1e12),
    st.lists(st.integers(1, 2**34), min_size=2, max_size=12, unique=True),
)
def test_a_line_is_found_exactly(latency: float, rate: float, sizes: list[int]) -> None:
    line = fit_line([Point(1.0, size, latency + size / rate) for size in sizes])
    for size in sizes:
        assert line.fixed_s + size / line.rate == pytest.approx(latency + size / rate, rel=1e-4)
    assert line.error < 1e-4


@settings(deadline=None)
@given(st.floats(1e-6, 1e-4), st.floats(1e9, 1e12), st.integers(2, 64))
def test_known_link_constants_are_recovered(latency: float, rate: float, ranks: int) -> None:
    """Three collectives over the sweep, as a ring of `ranks` would take them."""
    samples = []
    for kind in COLLECTIVES:
        for size in PAYLOAD_BYTES:
            shape = collective(kind, size, 1.0, ranks)
            seconds = latency * ring_steps(shape) + ring_bytes(shape) / rate
            samples.append(collective(kind, size, seconds, ranks))
    for line in (fit_collective(samples), *fit_each(samples).values()):
        assert line.fixed_s == pytest.approx(latency, rel=1e-6)
        assert line.rate == pytest.approx(rate, rel=1e-6)


@settings(deadline=None, max_examples=50)
@given(st.integers(0, 2**32), st.floats(1e-6, 1e-4), st.floats(1e9, 1e12))
def test_noise_of_a_tenth_moves_the_constants_by_little(
    seed: int, latency: float, rate: float
) -> None:
    dice = random.Random(seed)
    points = [
        Point(1.0, size, (latency + size / rate) * dice.uniform(0.9, 1.1))
        for size in PAYLOAD_BYTES
        for _ in range(3)
    ]
    line = fit_line(points)
    smallest, largest = PAYLOAD_BYTES[0], PAYLOAD_BYTES[-1]
    for size in (smallest, largest):
        assert line.fixed_s + size / line.rate == pytest.approx(latency + size / rate, rel=0.15)


def test_a_latency_below_nothing_is_none() -> None:
    """Where larger payloads are disproportionately slow, a line would begin below zero."""
    line = fit_line([Point(1, 1, 1.0), Point(1, 2, 3.0)])
    assert line.fixed_s == 0
    assert line.rate > 0


@pytest.mark.parametrize("points", [[], [Point(1, 1, 1)], [Point(1, 1, 0), Point(1, 2, 1)]])
def test_too_little_is_refused(points: list[Point]) -> None:
    with pytest.raises(ValueError, match="two points"):
        fit_line(points)


def known_machine() -> Setting:
    """A setting whose constants the samples below are made from."""
    return setting(preset("llama-3.1-8b"), cluster(H200, 8), 4096)


def made_by(where: Setting) -> list[Report]:
    """Samples as this machine would report them, from the planner's own formulas."""
    rate, group = rates(where, "bf16"), Group(8, 1)
    reports: list[Report] = [DEVICE]
    for m, n, k in SHAPES:
        seconds = rate.gemm_s(m, n, k)
        reports.append(MatmulSample(dtype="bf16", m=m, n=n, k=k, seconds=seconds))
    reports += [
        CopySample(moved_bytes=2 * size, seconds=rate.pass_s(2 * size)) for size in COPY_BYTES
    ]
    for size in PAYLOAD_BYTES:
        reports.append(collective("all_gather", size, gather(where, group, size).seconds))
        reports.append(collective("all_reduce", size, all_reduce(where, group, size).seconds))
    return reports


def test_the_planners_own_formulas_give_its_constants_back() -> None:
    """The fit and the estimate have one and the same model of the machine."""
    where = known_machine()
    found = calibration_of(measured_from(made_by(where), TODAY), H200)
    for name in ("gemm_bf16", "gemm_wave", "hbm", "kernel_s", "link", "link_alpha_s"):
        expected = getattr(where.measured, name)
        assert getattr(found, name) == pytest.approx(expected, rel=0.02), name


def test_what_was_not_measured_stays_as_packaged() -> None:
    packaged = default_constants().gpu("h200")
    reports = [r for r in made_by(known_machine()) if not isinstance(r, CollectiveSample)]
    measured = measured_from(reports, TODAY)
    found = calibration_of(measured, H200)
    assert measured.ring is None
    assert measured.ranks == 1
    assert (found.link, found.network) == (packaged.link, packaged.network)
    assert found.gemm_fp8 == packaged.gemm_fp8


@pytest.mark.parametrize("missing", [DeviceSample, MatmulSample, CopySample])
def test_a_report_without_its_parts_is_refused(missing: type) -> None:
    reports = [r for r in made_by(known_machine()) if not isinstance(r, missing)]
    with pytest.raises(CalibrationError):
        measured_from(reports, TODAY)


def test_copies_and_products_fit_alone() -> None:
    copies = [r for r in made_by(known_machine()) if isinstance(r, CopySample)]
    products = [r for r in made_by(known_machine()) if isinstance(r, MatmulSample)]
    assert fit_copies(copies).error < 1e-6
    assert fit_products(products, H200.sms, fit_copies(copies).fixed_s).error < 0.02
