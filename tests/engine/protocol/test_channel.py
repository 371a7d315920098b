"""Messages over a socket pair: whole or not at all, in order, and never blocking."""

import socket
import struct

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import (
    COMMAND_DECODER,
    ENCODER,
    REPORT_DECODER,
    Command,
    HostSample,
    Note,
    Progress,
    Report,
    SetSpeculation,
    SetStrategy,
    Shutdown,
    SpeculationSpec,
    StrategyName,
    WatchProcess,
)
from prodtop.engine.protocol.channel import MAX_MESSAGE_BYTES, Channel, ChannelError, channel_pair

commands = st.one_of(
    st.builds(SetStrategy, name=st.sampled_from(StrategyName)),
    st.builds(
        SetSpeculation,
        spec=st.none() | st.builds(SpeculationSpec, drafts=st.integers(1, 16)),
    ),
    st.builds(WatchProcess, pid=st.integers(1, 2**31)),
    st.just(Shutdown()),
)


def sample(hostname: str = "host") -> HostSample:
    return HostSample(
        at_s=1.0,
        wall_s=2.0,
        hostname=hostname,
        cpu_count=2,
        cpu_utilization=0.5,
        memory_used_bytes=1,
        memory_total_bytes=2,
    )


def on_the_wire(*messages: msgspec.Struct) -> bytes:
    bodies = [ENCODER.encode(message) for message in messages]
    return b"".join(struct.pack(">I", len(body)) + body for body in bodies)


def report_pair() -> tuple[Channel[Command], Channel[Report]]:
    """A child's end and its parent's."""
    parent, inherited = channel_pair(REPORT_DECODER)
    return Channel(inherited, COMMAND_DECODER), parent


def fill(channel: Channel[Command]) -> int:
    """Send samples until one is dropped; how many were taken."""
    taken = 0
    while channel.send(sample("x" * 10_000)):
        if channel.unsent_bytes:
            return taken + 1
        taken += 1
    return taken


@given(messages=st.lists(commands), cuts=st.lists(st.integers(1, 40), min_size=1))
@settings(deadline=None)
def test_any_fragmentation_gives_the_same_messages(
    messages: list[Command], cuts: list[int]
) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours, COMMAND_DECODER)
    stream = on_the_wire(*messages)
    received: list[Command] = []
    position, turn = 0, 0
    while position < len(stream):
        step = cuts[turn % len(cuts)]
        theirs.sendall(stream[position : position + step])
        received += channel.receive()
        position, turn = position + step, turn + 1
    assert received == messages
    assert not channel.closed
    theirs.close()
    channel.close()


@given(junk=st.binary(min_size=1, max_size=200))
@settings(deadline=None)
def test_junk_closes_the_channel_or_is_an_unfinished_message(junk: bytes) -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours, COMMAND_DECODER)
    theirs.sendall(junk)
    try:
        channel.receive()
    except ChannelError:
        assert channel.closed
    theirs.close()
    channel.close()


def test_an_oversized_announcement_closes_the_channel() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours, COMMAND_DECODER)
    theirs.sendall(struct.pack(">I", MAX_MESSAGE_BYTES + 1))
    with pytest.raises(ChannelError, match="bytes was announced"):
        channel.receive()
    assert channel.closed
    assert not channel.send(Shutdown())
    theirs.close()


def test_messages_before_a_bad_one_still_arrive() -> None:
    ours, theirs = socket.socketpair()
    channel = Channel(ours, COMMAND_DECODER)
    theirs.sendall(on_the_wire(Shutdown(), sample()))
    assert channel.receive() == [Shutdown()]
    with pytest.raises(ChannelError, match="broke the protocol"):
        channel.receive()
    theirs.close()


def test_a_slow_reader_loses_samples_and_no_event() -> None:
    child, parent = report_pair()
    taken = fill(child)
    assert taken > 0
    assert not child.send(sample("dropped"))
    events = [Note(message=f"event {number}") for number in range(100)]
    assert all(child.send(event) for event in events)

    received: list[Report] = []
    while child.unsent_bytes:
        received += parent.receive()
        child.flush()
    received += parent.receive()

    samples = [report for report in received if isinstance(report, HostSample)]
    assert len(samples) == taken
    assert all(report.hostname != "dropped" for report in samples)
    assert [report for report in received if isinstance(report, Note)] == events
    assert child.send(sample("after"))
    assert parent.receive() == [sample("after")]


def test_the_outbox_is_bounded() -> None:
    child, _parent = report_pair()
    large = Progress(what="x" * (MAX_MESSAGE_BYTES // 2))
    sent = [child.send(large) for _ in range(8)]
    assert sent[0]
    assert not sent[-1]


def test_a_message_no_peer_would_take_is_refused_here() -> None:
    child, _parent = report_pair()
    with pytest.raises(ValueError, match="above the limit"):
        child.send(Progress(what="x" * MAX_MESSAGE_BYTES))


def test_the_last_words_of_a_peer_are_read_before_its_end() -> None:
    child, parent = report_pair()
    child.send(Note(message="farewell"))
    child.close()
    parent.send(Shutdown())
    states = [parent.closed, parent.receive(), parent.closed]
    assert states == [False, [Note(message="farewell")], True]
    assert parent.receive() == []
    assert not parent.send(Shutdown())
