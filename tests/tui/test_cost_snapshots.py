"""Pictures of the Production tab's cost and capacity, and the keys that measure a load curve.

After a change on purpose: `pytest tests/tui/test_cost_snapshots.py --snapshot-update`, and look.
"""

import pytest
from compare_samples import answer, benches
from cost_samples import swept
from frames import ScriptedClient, frame, ready
from prodtop.engine.protocol import StopBench
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.settings.config import parse_config
from prodtop.tui.state.compare import Compare
from prodtop.tui.state.stage import Stage
from running_app import Clock, SnapCompare
from textual.pilot import Pilot

SIZES = [(80, 24), (120, 36), (160, 48)]
CONFIG = parse_config(
    """
    refresh_hz = 0.5
    [cost]
    usd_per_hour = 2.1
    usd_per_kwh = 0.25
    spot_usd_per_hour = 0.9
    interruptions_per_hour = 0.05
    restart_s = 180
    budget_usd_per_hour = 4
    [capacity]
    requests_per_s = 120
    """,
    "config.toml",
)


class Tab:
    """The app with its Production tab, over an engine that answers every bench."""

    def __init__(self, theme: str = "prodtop-dark") -> None:
        self.clock = Clock()
        self.client = ScriptedClient([[ready(), frame()]])
        self.app = ProdtopApp(self.client, AppSetup(clock=self.clock, config=CONFIG, theme=theme))

    def poll(self) -> None:
        """Take in all that there is."""
        while self.client.polls:
            self.clock.now_s += 1.0
            self.app.monitor.poll()

    def answer_benches(self, most: int = 99) -> None:
        """Answer what was asked for, and what follows from that."""
        answered = 0
        while len(benches(self.client.sent)) > answered and answered < most:
            self.client.polls.append(answer(benches(self.client.sent)[answered], answered))
            answered += 1
            self.poll()
        self.app.draw()

    def compared(self) -> None:
        """Have cells under the load that is served, as Compare measures them."""
        self.app.monitor._compare.now = Compare(Stage.DONE, swept(frame().load))


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
@pytest.mark.parametrize("view", ["cost", "capacity"])
def test_views(snap_compare: SnapCompare, view: str, size: tuple[int, int]) -> None:
    tab = Tab()

    async def before(pilot: Pilot[None]) -> None:
        tab.poll()
        tab.compared()
        await pilot.press("O", "c" if view == "cost" else "a")
        if view == "capacity":
            await pilot.press("b")
            tab.answer_benches()
        await drawn(tab, pilot)

    assert snap_compare(tab.app, terminal_size=size, run_before=before)


@pytest.mark.parametrize("theme", ["ascii", "mono"])
def test_cost_in_other_themes(snap_compare: SnapCompare, theme: str) -> None:
    tab = Tab(theme)

    async def before(pilot: Pilot[None]) -> None:
        tab.poll()
        tab.compared()
        await pilot.press("O", "c")
        await drawn(tab, pilot)

    assert snap_compare(tab.app, terminal_size=(120, 36), run_before=before)


async def drawn(tab: Tab, pilot: Pilot[None]) -> None:
    """Wait for a picture that stays: a focus that moved is drawn by messages of its own."""
    tab.app.draw()
    last = ""
    while last != (last := tab.app.export_screenshot()):
        await pilot.pause()


async def test_b_measures_a_load_curve_and_the_live_load_goes_on_after_it() -> None:
    tab = Tab()
    async with tab.app.run_test(size=(120, 36)) as pilot:
        tab.poll()
        await pilot.press("O", "a", "b")
        await drawn(tab, pilot)
        assert "0/5" in tab.app.export_screenshot()
        tab.answer_benches()
        await drawn(tab, pilot)
        assert {spec.load.users for spec in benches(tab.client.sent)} == {8, 16, 32, 64, 128}
        assert isinstance(tab.client.sent[-1], StopBench)
        shown = tab.app.export_screenshot()
        assert "128&#160;users" in shown
        assert "not&#160;measured" not in shown


async def test_x_ends_it_and_another_measurement_waits_for_it() -> None:
    tab = Tab()
    async with tab.app.run_test(size=(120, 36)) as pilot:
        tab.poll()
        await pilot.press("O", "a", "b")
        await pilot.press("C", "b")
        answer_line = tab.app.monitor.moment().answer
        assert answer_line is not None
        assert "other cells are being measured" in answer_line.text
        await pilot.press("O", "x")
        assert tab.app.monitor.moment().load_curve.stage is Stage.CANCELLING
        tab.answer_benches(1)
        assert tab.app.monitor.moment().load_curve.stage is Stage.CANCELLED


async def test_a_price_that_is_set_on_the_command_line_is_used_at_once() -> None:
    tab = Tab()
    told: list[float | None] = []
    tab.app.monitor.on_billing = lambda billing: told.append(billing.cost.usd_per_hour)
    async with tab.app.run_test(size=(120, 36)) as pilot:
        tab.poll()
        await pilot.press("O", "c", ":", *"price 9", "enter")
        await drawn(tab, pilot)
        assert "$9.00/h" in tab.app.export_screenshot().replace("&#160;", " ")
    assert told == [9.0]


def test_a_changed_config_file_changes_the_prices_and_says_so() -> None:
    tab = Tab()
    tab.poll()
    dear = parse_config("[cost]\nusd_per_hour = 7", "config.toml")
    tab.app.monitor.take_over(dear)
    moment = tab.app.monitor.moment()
    assert moment.billing.cost.usd_per_hour == 7
    assert moment.log[-1].text == "the prices are those of the changed config file"
    before = moment.log
    tab.app.monitor.take_over(dear)
    assert tab.app.monitor.moment().log == before
