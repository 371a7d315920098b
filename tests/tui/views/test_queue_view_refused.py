"""The queue panel where requests are refused: how many, and why."""

import msgspec
import pytest
from frames import frame
from of_our_own import known
from prodtop.engine.client.session_counters import SessionCounters
from prodtop.engine.protocol import Accounting, Frame
from prodtop.tui.state.moment import Moment, Phase, WorkerState
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.views.panel import Room
from prodtop.tui.views.queue import queue_view

WHY = "the model's tokenizer makes no tokens of a prompt"


def with_refusals(refused: dict[str, int]) -> Frame:
    failed = sum(refused.values())
    accounting = Accounting(submitted=failed, failed=failed, refused=refused)
    return msgspec.structs.replace(frame(), accounting=accounting)


def lines(shown: Frame, width: int) -> list[str]:
    moment = Moment(wall_s=0.0, now_s=0.0, frame=shown, worker=WorkerState(Phase.SERVING))
    return [each.plain for each in queue_view(moment, Room(width, 12, UNICODE)).lines]


@pytest.mark.parametrize("width", [40, 60, 90])
def test_refusals_stand_near_the_top_with_the_most_frequent_reason(width: int) -> None:
    shown = lines(with_refusals({"another": 2, WHY: 7}), width)
    assert shown[1].startswith("9 refused: the model's tokenizer"[: width - 1])
    assert all(len(each) <= width for each in shown)


def test_without_refusals_nothing_is_said_of_them() -> None:
    assert not [each for each in lines(with_refusals({}), 90) if "refused" in each]


def test_a_session_counts_refusals_over_the_deaths_of_its_workers() -> None:
    session = SessionCounters()
    session.carry(with_refusals({WHY: 7, "another": 1}))
    session.close_worker()
    done = known(session.carry(with_refusals({WHY: 2})).accounting)
    assert done.refused == {WHY: 9, "another": 1}
