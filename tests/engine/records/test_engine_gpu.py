"""Whose figures the screen shows on a machine with several GPUs: those of the engine's own."""

import math
from collections.abc import Sequence

import msgspec
import pytest
from frames import EPOCH_S, GIB, ScriptedClient, frame, gpu, host
from prodtop.engine.protocol import Frame, GpuSample, HostSample
from prodtop.engine.records.engine_gpu import engine_gpu, in_order
from prodtop.tui.state.history import History
from prodtop.tui.state.monitor import Monitor
from prodtop.tui.state.observer import ENERGY_SPAN_S
from running_app import Clock

changed = msgspec.structs.replace


def cards(second: float, watts: Sequence[float], *, listed: int | None = None) -> list[GpuSample]:
    """A card for each of `watts`, which `listed` of them is said to hold the engine's process."""
    return [
        changed(
            gpu(second, index),
            uuid=f"GPU-{index}",
            power_w=power_w,
            energy_j=1e6 * (index + 1) + power_w * second,
            process_bytes=GIB if index == listed else None,
        )
        for index, power_w in enumerate(watts)
    ]


def on(device: str, uuid: str | None = None, second: float = 60.0) -> Frame:
    tokens = int(100 * second)
    return changed(frame(second), device=device, gpu_uuid=uuid, generated_tokens_total=tokens)


def machine(second: float, gpus: list[GpuSample]) -> HostSample:
    return changed(host(second), gpus=gpus)


@pytest.mark.parametrize(
    ("device", "uuid", "listed", "index"),
    [
        ("cuda:0", "GPU-2", None, 2),
        ("cuda:1", "GPU-0", None, 0),
        ("cuda:1", "GPU-2", 3, 2),
        ("cuda:0", "GPU-of-another-machine", None, None),
        ("cuda:0", "GPU-of-another-machine", 1, None),
        ("cuda:1", None, None, 1),
        ("cuda", None, None, 0),
        ("cuda:0", None, 3, 3),
        ("cuda:9", None, None, None),
        ("cpu", None, 1, None),
    ],
)
def test_the_uuid_decides_then_the_process_then_the_number(
    device: str, uuid: str | None, listed: int | None, index: int | None
) -> None:
    gpus = cards(60.0, [60.0, 70.0, 80.0, 90.0], listed=listed)
    for order in (gpus, gpus[::-1]):
        own = engine_gpu(on(device, uuid), order)
        assert (None if own is None else own.index) == index
        first, *others = in_order(order, on(device, uuid))
        assert first.index == (index or 0)
        assert [one.index for one in others] == sorted(one.index for one in others)


def test_before_the_first_frame_no_gpu_is_the_engines_unless_it_lists_it() -> None:
    assert engine_gpu(None, cards(0.0, [60.0, 70.0])) is None
    own = engine_gpu(None, cards(0.0, [60.0, 70.0], listed=1))
    assert own is not None
    assert own.index == 1


def joules_per_token(sessions: Sequence[tuple[float, Frame | None, HostSample]]) -> float | None:
    """What the screen says at the end of a session of a poll a time."""
    clock, client = Clock(), ScriptedClient()
    monitor = Monitor(client, clock=clock)
    began_s = clock.now_s
    for second, now, sample in sessions:
        clock.now_s = began_s + second
        client.queue(*([sample] if now is None else [sample, now]))
        monitor.poll()
    return monitor.moment().joules_per_token


@pytest.mark.parametrize("own", range(16))
def test_the_own_cards_energy_makes_the_joules_per_token(own: int) -> None:
    watts = [60.0 + 10 * index for index in range(16)]
    shown = joules_per_token(
        [
            (
                float(second),
                on("cuda:0", f"GPU-{own}", second),
                machine(second, cards(second, watts)),
            )
            for second in range(61)
        ]
    )
    assert shown == pytest.approx(watts[own] / 100)


def test_a_cpu_engine_beside_gpus_uses_none_of_their_energy() -> None:
    polls = [(float(s), on("cpu", None, s), machine(s, cards(s, [60.0, 70.0]))) for s in range(40)]
    assert joules_per_token(polls) is None


def test_a_card_that_was_away_counts_for_the_time_that_both_were_read() -> None:
    polls = [
        (
            float(second),
            on("cuda:0", "GPU-1", second),
            machine(second, cards(second, [60.0, 600.0][: 1 if second < 50 else 2])),
        )
        for second in range(61)
    ]
    assert joules_per_token(polls) == pytest.approx(6.0, rel=0.1)


def test_an_engine_that_goes_on_another_card_begins_its_energy_anew() -> None:
    history = History()
    for second in range(40):
        uuid = "GPU-0" if second < 30 else "GPU-1"
        sample = machine(second, cards(second, [60.0, 600.0]))
        history.add(EPOCH_S + second, on("cuda:0", uuid, second), sample)
    end_s = EPOCH_S + 39
    assert history.increase("energy_j", end_s, ENERGY_SPAN_S) == pytest.approx(9 * 600.0)
    before_s = EPOCH_S + 29
    assert history.increase("energy_j", before_s, ENERGY_SPAN_S) == pytest.approx(29 * 60.0)
    ratio = history.growth_ratio("energy_j", "generated_tokens", end_s, ENERGY_SPAN_S)
    assert ratio == pytest.approx(6.0, rel=0.1)


def test_a_card_that_is_not_the_engines_draws_no_curve() -> None:
    history = History()
    sample = machine(0.0, cards(0.0, [60.0]))
    history.add(EPOCH_S, on("cuda:1", "GPU-5"), sample)
    assert all(map(math.isnan, history.series("power_w", 0.0, math.inf).values))
