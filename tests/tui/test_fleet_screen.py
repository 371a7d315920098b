"""The Fleet tab: its table, its keys, and looking at one server of it."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import msgspec
import pytest
from attached_frames import attached_frame
from fleet_samples import replica, sample
from prodtop.engine.protocol import Report, WatchReplica
from prodtop.tui.drawing.line import Line
from prodtop.tui.state.fleet import Fleet, Row
from prodtop.tui.views.fleet import table
from running_app import RunningApp, open_app, terminal_text

SIZES = [(80, 24), (120, 36), (160, 48)]


@asynccontextmanager
async def fleet(size: tuple[int, int] = (160, 48)) -> AsyncIterator[RunningApp]:
    polls: list[list[Report]] = [
        [attached_frame(float(second)), sample(float(second))] for second in range(24)
    ]
    async with open_app(polls, size=size) as running:
        await running.advance(*polls, seconds=1.0)
        await running.press("F")
        yield running


@pytest.mark.parametrize("size", SIZES)
async def test_every_trouble_is_in_sight_and_told(size: tuple[int, int]) -> None:
    async with fleet(size) as running:
        text = terminal_text(running.app)
        for word in ("DOWN", "KV FULL", "OVERLOADED", "SLOW", "OUTLIER", "12 replicas"):
            assert word in text
        assert "refuses connections" in text
        assert text.index("DOWN ") < text.index("SLOW ")
        assert running.app.defect is None


async def test_keys_sort_turn_group_and_filter() -> None:
    async with fleet() as running:
        await running.press("o")
        assert "by name" in terminal_text(running.app)
        first = terminal_text(running.app)
        await running.press("i")
        assert terminal_text(running.app) != first
        await running.press("g")
        assert "grouped by model" in terminal_text(running.app)
        await running.press("/", *"qwen", "enter")
        text = terminal_text(running.app)
        assert "small-a" in text
        assert "gpu-00" not in text
        await running.press("escape")
        assert "gpu-00" in terminal_text(running.app)


async def test_enter_looks_at_a_server_and_what_was_known_of_another_is_forgotten() -> None:
    async with fleet() as running:
        await running.press("o", "down", "enter")
        assert running.client.sent == [WatchReplica(name="gpu-01:8000")]
        assert running.app.screen.id == "live"
        assert running.app.monitor.moment().frame is None
        assert running.app.monitor.moment().fleet is not None
        await running.advance([attached_frame(30.0), sample(30.0)])
        assert running.app.monitor.moment().frame is not None


async def test_without_a_fleet_the_tab_is_not_there() -> None:
    async with open_app([[attached_frame()]], size=(160, 48)) as running:
        await running.advance([attached_frame()])
        assert "Fleet" not in terminal_text(running.app).splitlines()[0]
        await running.press("F")
        assert running.app.screen.id == "live"
        assert "several servers" in terminal_text(running.app)


async def test_of_five_hundred_rows_a_key_draws_those_in_sight(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    drawn: list[str] = []
    draw = table._row

    def counted(row: Row, fleet: Fleet, *rest: object, **named: object) -> Line:
        drawn.append(row.replica.name)
        return draw(row, fleet, *rest, **named)  # type: ignore[arg-type]  # as they came

    monkeypatch.setattr(table, "_row", counted)
    many = [replica(each, name=f"gpu-{each:03d}", node=f"n{each % 8}") for each in range(500)]
    polls: list[list[Report]] = [
        [attached_frame(float(s)), msgspec.structs.replace(sample(float(s)), replicas=many)]
        for s in range(3)
    ]
    async with open_app(polls, size=(120, 36)) as running:
        await running.advance(*polls, seconds=1.0)
        await running.press("F")
        for keys in (["down"], ["o"], ["i"], ["g"], ["end"], ["/", *"n3", "enter"]):
            drawn.clear()
            await running.press(*keys)
            assert len(set(drawn)) <= 36, keys
        assert "gpu-003" in terminal_text(running.app)
        assert running.app.defect is None
