"""Pictures of the Sessions tab: what is kept, a preview and a diff, at the usual sizes.

After a change on purpose: run it with `--snapshot-update`, and look.
"""

import asyncio
import math
import time
from pathlib import Path

import msgspec
import pytest
from frames import ScriptedClient, frame, play, ready
from prodtop.engine.protocol import StrategyName
from prodtop.engine.records.kept.rows import Facts, KeptRow, Kind
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.screens.sessions import SessionsScreen
from prodtop.tui.state.sessions import Sessions
from running_app import SLOW, Clock, SnapCompare
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]
DAY_S = 86_400.0


def facts(place: int, strategy: str, label: str = "") -> Facts:
    """What is said of a file: the later ones are slower."""
    shown = frame(float(place), strategy=StrategyName(strategy))
    latency = next(iter(shown.latency.values()))
    curve = [900 + 800 * math.sin(second / 5 + place) for second in range(60)]
    assert latency.ttft is not None
    return Facts(
        wall_s=1_764_547_200.0 - place * DAY_S,
        label=label,
        model=shown.model.name,
        device=shown.device_name,
        strategy=strategy,
        precision="bf16",
        decode_tok_s=shown.throughput.decode_tok_s,
        ttft_p95_ms=latency.ttft.p95_ms,
        window="1m",
        latency=latency,
        requests=3_420,
        version="0.1.0",
        curves={"decode_tok_s": curve, "ttft_p95_ms": curve[::-1], "in_system": [32.0] * 60},
        events=["strategy: single → continuous", "load: 8 users → 32 users"],
    )


def rows() -> tuple[KeptRow, ...]:
    """Two recordings, one of them under way, three snapshots, and two files that cannot be read."""
    names = ("single", "continuous", "hybrid", "hybrid", "cached")
    labels = ("", "the spike at 3 a.m.", "", "before the switch", "")
    found = []
    for place, (strategy, label) in enumerate(zip(names, labels, strict=True)):
        said = facts(place, strategy, label)
        recorded = place in (0, 3)
        if recorded:
            said = msgspec.structs.replace(said, length_s=3720.0 + place, in_use=place == 0)
        ending = ".ptop" if recorded else f"-{strategy}-bf16.json"
        found.append(
            KeptRow(
                path=Path(f"/data/prodtop/2025120{9 - place}-031{place}00{ending}"),
                kind=Kind.RECORDING if recorded else Kind.SNAPSHOT,
                modified_s=said.wall_s,
                size_bytes=412_000 * (place + 1),
                facts=said,
            )
        )
    for name, problem in (
        ("20251130-120000-hybrid-int8.json", "of a newer prodtop (schema 3): upgrade to read it"),
        ("20251129-120000.ptop", "is damaged: its tables are not a recording's"),
    ):
        kind = Kind.SNAPSHOT if name.endswith("json") else Kind.RECORDING
        found.append(
            KeptRow(
                path=Path(f"/data/prodtop/{name}"),
                kind=kind,
                modified_s=0.0,
                size_bytes=2_048,
                problem=problem,
            )
        )
    return tuple(found)


def compare(
    snap_compare: SnapCompare,
    size: tuple[int, int],
    *keys: str,
    theme: str = "prodtop-dark",
    found: tuple[KeptRow, ...] | None = None,
) -> bool:
    """Open the tab over some rows and press keys; whether it looks as it did."""
    clock = Clock()
    client = ScriptedClient([[ready(), frame()], *play(2)[1:]])
    app = ProdtopApp(client, AppSetup(clock=clock, config=SLOW, theme=theme))

    async def before(pilot: Pilot[None]) -> None:
        while client.polls:
            clock.now_s += 0.25
            app.monitor.poll()
        await pilot.press("S")
        screen = app.screen
        assert isinstance(screen, SessionsScreen)
        async with asyncio.timeout(20):
            # The folders are looked at once, and there is nothing in them.
            while screen._reading:
                await pilot.pause()
        screen.sessions = Sessions(rows=rows() if found is None else found, removed=1)
        screen._draw()
        await pilot.press(*keys)
        last = ""
        while last != (last := app.export_screenshot()):
            await pilot.pause()

    return snap_compare(app, terminal_size=size, run_before=before)


@pytest.fixture(autouse=True)
def one_place(monkeypatch: pytest.MonkeyPatch) -> None:
    """Times of day are those of one place."""
    monkeypatch.setenv("TZ", "UTC")

    time.tzset()


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
def test_the_list(snap_compare: SnapCompare, size: tuple[int, int]) -> None:
    assert compare(snap_compare, size, "down", "space", "down", "space")


def test_a_file_that_cannot_be_read(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "end")


def test_nothing_is_kept(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), found=())


def test_a_name_is_typed(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "down", "n")


def test_in_light_colours(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "down", theme="prodtop-light")


def test_in_ascii(snap_compare: SnapCompare) -> None:
    assert compare(snap_compare, (120, 36), "down", "space", theme="ascii")
