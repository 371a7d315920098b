"""What each key of the Live tab does, under Textual's pilot."""

import msgspec
import pytest
from frames import frame, ready
from prodtop.engine.protocol import (
    LoadSpec,
    PrecisionName,
    SetLoad,
    SetPrecision,
    SetSpeculation,
    SetStrategy,
    Speculation,
    SpeculationSpec,
    StrategyName,
    Window,
)
from prodtop.tui.settings.keymap import remap
from prodtop.tui.style.theme import load_themes
from prodtop.tui.widgets.live_panels import LivePanel
from running_app import open_app


@pytest.mark.parametrize(("number", "strategy"), enumerate(StrategyName, start=1))
async def test_digits_choose_strategies(number: int, strategy: StrategyName) -> None:
    start = StrategyName.SINGLE if strategy is not StrategyName.SINGLE else StrategyName.CACHED
    async with open_app([[ready(), frame(strategy=start)]]) as running:
        await running.press(str(number))
        assert running.client.sent == [SetStrategy(name=strategy)]
        assert f">{number} {strategy}<" in running.text()
        await running.advance([frame(61)])
        assert f"[{number} {strategy}]" in running.text()


async def test_d_switches_drafts_off_and_on_again_as_they_were() -> None:
    spec = SpeculationSpec(drafts=6)
    state = Speculation(spec=spec, drafting=True, tokens_per_step=1.05, step_ratio=1.3)
    drafted = msgspec.structs.replace(frame(), speculation=state)
    async with open_app([[ready(), drafted]]) as running:
        assert "drafts lose ×0.81" in running.text()
        await running.press("d")
        await running.advance([frame(61)])
        assert "drafts lose" not in running.text()
        await running.press("d")
        assert running.client.sent == [SetSpeculation(spec=None), SetSpeculation(spec=spec)]


async def test_brackets_walk_the_precisions() -> None:
    async with open_app([[ready(), frame()]]) as running:
        await running.press("left_square_bracket")
        assert running.client.sent == [SetPrecision(name=PrecisionName.FP32)]
        await running.advance([frame(61)])
        assert "[fp32]" in running.text()
        await running.press(*["right_square_bracket"] * 5)
        assert [command.name for command in running.client.sent[1:]] == [  # type: ignore[union-attr]  # all are SetPrecision
            "bf16",
            "fp16",
            "int8",
            "int4",
        ]
        assert "fp8 needs a GPU of compute capability 8.9 or newer" in running.line("event")


@pytest.mark.parametrize(("key", "users"), [("minus", 24), ("equals_sign", 48), ("plus", 48)])
async def test_minus_and_equals_change_the_load(key: str, users: int) -> None:
    async with open_app([[ready(), frame()]]) as running:
        await running.press(key)
        assert running.client.sent == [SetLoad(load=LoadSpec(users=users))]
        assert f"{users} users" in running.text()


async def test_w_walks_the_windows() -> None:
    async with open_app([[ready(), frame()]]) as running:
        assert "Latency 1m" in running.text()
        await running.press("w")
        assert "Latency 5m" in running.text()
        await running.press("w", "w")
        assert "Latency since switch" in running.text()
        await running.press("w")
        assert running.app.monitor.window is Window.S10


async def test_t_walks_the_themes_and_back() -> None:
    async with open_app([[ready(), frame()]]) as running:
        names = list(load_themes().themes)
        seen = []
        for _ in names:
            seen.append(running.app.theme)
            await running.press("t")
        assert sorted(seen) == sorted(names)
        assert running.app.theme == "prodtop-dark"


@pytest.mark.parametrize("key", ["m", "enter"])
async def test_a_panel_is_maximised_and_put_back(key: str) -> None:
    async with open_app([[ready(), frame()]]) as running:
        await running.press(key)
        assert "choose a panel" in running.app.monitor.moment().log[-1].text
        await running.press("tab", key)
        shown = [panel.id for panel in running.app.query(LivePanel) if panel.display]
        assert shown == ["throughput"]
        assert "Cache" not in running.text()
        await running.press(key)
        assert "Cache" in running.text()


@pytest.mark.parametrize("key", ["q", "ctrl+c"])
async def test_q_quits_and_ends_the_engine(key: str) -> None:
    async with open_app([[ready(), frame()]]) as running:
        await running.press(key)
    assert running.client.closed
    assert running.app.return_code == 0


async def test_keys_follow_the_config() -> None:
    keymap = remap({"strategy_single": "x", "quit": "X"}, "config.toml")
    async with open_app([[ready(), frame()]], keymap=keymap) as running:
        await running.press("1")
        assert running.client.sent == []
        await running.press("x")
        assert running.client.sent == [SetStrategy(name=StrategyName.SINGLE)]
        assert "X quit" in running.line("footer")
