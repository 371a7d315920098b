"""What the screen knows of the server, from its events."""

import pytest
from prodtop.engine.protocol import (
    ChildDied,
    ChildStarted,
    Event,
    Note,
    ServerListening,
    ServerSample,
)
from prodtop.tui.state.server import Server, ServerPhase, after_event

STARTED = ChildStarted(child="server", pid=7, attempt=1)
LISTENING = ServerListening(url="http://127.0.0.1:8000", port=8000)
SAMPLE = ServerSample(at_s=1.0, open_requests=3, streams=2)
DIED = ChildDied(child="server", reason="killed by SIGKILL", restart_in_s=4.0)
GIVEN_UP = ChildDied(child="server", reason="ended by an error", given_up=True)


def after(*events: Event) -> Server | None:
    server: Server | None = None
    for event in events:
        server = after_event(server, event, 100.0)
    return server


@pytest.mark.parametrize(
    "event", [Note(message="x"), ChildStarted(child="worker", pid=1, attempt=1), SAMPLE]
)
def test_without_a_server_there_is_none(event: Event) -> None:
    assert after(event) is None


def test_it_starts_listens_and_is_sampled() -> None:
    assert after(STARTED) == Server()
    assert after(STARTED, LISTENING) == Server(ServerPhase.LISTENING, 8000)
    sampled = after(STARTED, LISTENING, SAMPLE)
    assert sampled == Server(ServerPhase.LISTENING, 8000, SAMPLE)
    assert after(STARTED, LISTENING, SAMPLE, ChildDied(child="worker", reason="x")) == sampled


def test_a_death_forgets_what_went_through_it_and_keeps_its_port() -> None:
    dead = after(STARTED, LISTENING, SAMPLE, DIED)
    assert dead == Server(ServerPhase.DOWN, 8000, reason="killed by SIGKILL", restart_at_s=104.0)
    assert after(STARTED, LISTENING, SAMPLE, DIED, STARTED) == Server(port=8000)
    lost = after(STARTED, LISTENING, GIVEN_UP)
    assert lost is not None
    assert lost.restart_at_s is None


@pytest.mark.parametrize(
    ("sample", "words"),
    [
        (None, "  0 streams"),
        (ServerSample(at_s=0.0, open_requests=1, streams=1), "  1 stream"),
        (ServerSample(at_s=0.0, open_requests=12, streams=12), " 12 streams"),
        (ServerSample(at_s=0.0, open_requests=3, streams=2), "  3 requests"),
    ],
)
def test_what_goes_through_it_is_streams_unless_there_are_others(
    sample: ServerSample | None, words: str
) -> None:
    assert Server(ServerPhase.LISTENING, 8000, sample).traffic.rstrip() == words
