"""The session's counters over the lives of several workers."""

from itertools import pairwise

import msgspec
from frame_samples import frame
from hypothesis import given, settings
from hypothesis import strategies as st
from of_our_own import known
from prodtop.engine.client.session_counters import SessionCounters
from prodtop.engine.protocol import Accounting, Frame

steps = st.lists(
    st.tuples(st.integers(0, 5), st.integers(0, 5), st.integers(0, 5), st.integers(0, 50)),
    max_size=6,
)
"""Of one worker, between frames: newly submitted, finished, failed requests, generated tokens."""


def frames_of_a_worker(growth: list[tuple[int, int, int, int]]) -> list[Frame]:
    """Frames that count from zero, as a worker's do."""
    frames: list[Frame] = []
    submitted = finished = failed = tokens = 0
    for number, (new, done, lost, generated) in enumerate(growth):
        submitted += new
        finished += min(done, submitted - finished - failed)
        failed += min(lost, submitted - finished - failed)
        tokens += generated
        accounting = Accounting(
            submitted=submitted,
            finished=finished,
            failed=failed,
            in_system=submitted - finished - failed,
            rejected=tokens,
        )
        frames.append(frame(sequence=number, accounting=accounting, generated_tokens_total=tokens))
    return frames


@given(lives=st.lists(steps, min_size=1, max_size=4))
@settings(deadline=None)
def test_counters_add_up_and_never_go_back(lives: list[list[tuple[int, int, int, int]]]) -> None:
    counters = SessionCounters()
    seen: list[Frame] = []
    lost = 0
    for growth in lives:
        frames = frames_of_a_worker(growth)
        seen += [counters.carry(each) for each in frames]
        last_in_system = known(frames[-1].accounting).in_system if frames else 0
        assert counters.close_worker() == last_in_system
        lost += last_in_system

    for each in seen:
        count = known(each.accounting)
        assert count.submitted == count.finished + count.failed + count.in_system
    for earlier, later in pairwise(seen):
        assert later.sequence > earlier.sequence
        assert known(later.generated_tokens_total) >= known(earlier.generated_tokens_total)
        assert known(later.accounting).submitted >= known(earlier.accounting).submitted
        assert known(later.accounting).finished >= known(earlier.accounting).finished
        assert known(later.accounting).failed >= known(earlier.accounting).failed
        assert known(later.accounting).rejected >= known(earlier.accounting).rejected
    total = known(counters.carry(frame(accounting=Accounting())).accounting)
    own = [known(life[-1].accounting) for growth in lives if (life := frames_of_a_worker(growth))]
    assert total.submitted == sum(each.submitted for each in own)
    assert total.failed == lost + sum(each.failed for each in own)
    assert total.rejected == sum(each.rejected for each in own)
    assert total.in_system == 0


def test_a_first_worker_counts_for_itself() -> None:
    counters = SessionCounters()
    first = frame(accounting=Accounting(submitted=3, finished=1, in_system=2))
    assert counters.carry(first) == first


def test_the_session_grows_older_over_a_restart() -> None:
    counters = SessionCounters()
    counters.carry(frame(at_s=100.0, uptime_s=40.0))
    counters.close_worker()
    assert counters.carry(frame(at_s=110.0, uptime_s=2.0)).uptime_s == 50.0


def test_preemptions_are_carried_too() -> None:
    counters = SessionCounters()
    queue = msgspec.structs.replace(frame().queue, preemptions=4)
    counters.carry(frame(queue=queue))
    counters.close_worker()
    assert counters.carry(frame(queue=queue)).queue.preemptions == 8


def test_a_worker_that_never_sent_a_frame_takes_nothing_with_it() -> None:
    assert SessionCounters().close_worker() == 0
