"""What the screen says while the engine starts, is silent, faults or dies."""

from frames import frame, host, play, ready
from prodtop.engine.protocol import (
    ChildDied,
    Fault,
    Progress,
)
from running_app import open_app


async def test_the_first_screen_comes_before_the_engine() -> None:
    async with open_app() as running:
        text = running.text()
        for panel in ("Throughput", "Latency", "Cache", "Queue", "Stream"):
            assert panel in text
        await running.advance([Progress(what="loading bf16 weights", fraction=0.4)])
        assert "LOADING      loading bf16 weights 40 %" in running.line("header")


async def test_a_fatal_fault_closes_with_its_exit_code() -> None:
    fault = Fault(message="cuda was asked for and is not there", fatal=True, exit_code=2)
    async with open_app([[Progress(what="starting")]]) as running:
        await running.advance([fault])
    assert running.app.return_code == 2
    assert running.app.fault == fault


async def test_silence_is_told_with_its_age() -> None:
    async with open_app([[ready(), frame(), host()]]) as running:
        await running.advance(seconds=6.0)
        assert "STALLED      silent for 6 s" in running.line("header")
        assert "Throughput 1m  6 s old" in running.text()


async def test_a_killed_worker_is_told_and_the_history_stays() -> None:
    died = ChildDied(
        child="worker", reason="killed (signal 9)", failed_requests=12, restart_in_s=1.0
    )
    async with open_app([*play(10), [died]]) as running:
        assert "worker killed (signal 9): 12 requests failed" in running.line("event")
        assert "ENGINE DOWN" in running.line("header")
        await running.press("space", "home")
        assert "PAUSED" in running.line("header")
