"""A refresh of a fleet through Prometheus: what is asked, how often, and what an answer becomes."""

import json

import pytest
from prodtop.engine.attach.asking.settings import PrometheusSettings
from prodtop.engine.attach.prometheus.answers import (
    Named,
    Naming,
    QueryError,
    Result,
    Values,
    decoded,
    decoded_values,
)
from prodtop.engine.attach.prometheus.client import PrometheusClient
from prodtop.engine.attach.prometheus.exposing import Exposing
from prodtop.engine.attach.prometheus.fleet_source import NAMES_EVERY_S, PrometheusFleet
from prodtop.engine.attach.prometheus.queries import COLUMN
from prodtop.engine.protocol import FleetSample, Message


class Scripted(PrometheusClient):
    """Answers with the servers that are there now."""

    def __init__(self) -> None:
        self.servers = ["a:1"]
        self.asked_names = 0

    async def values(self, _expression: str) -> Values:
        return Values({"up": {**dict.fromkeys(self.servers, 1.0), "node:9100": 1.0},
                       "running": dict.fromkeys(self.servers, 2.0)})  # fmt: skip

    async def names(self, _expression: str) -> Named:
        self.asked_names += 1
        return Named({each: Naming(each, "vllm:num_requests_running") for each in self.servers})

    async def query(self, _expression: str) -> Result:
        return Result(())

    async def query_range(self, *_query: object) -> Result:
        return Result(())


async def test_names_are_asked_where_servers_have_changed_and_now_and_then() -> None:
    now_s, told = [100.0], list[Message]()
    fleet = PrometheusFleet(PrometheusSettings(url="http://p"), told.append, clock=lambda: now_s[0])
    client = Scripted()
    for _ in range(3):
        await fleet.round(client)
    assert client.asked_names == 1
    client.servers.append("b:1")
    await fleet.round(client)
    assert client.asked_names == 2
    sample = [each for each in told if isinstance(each, FleetSample)][-1]
    assert [(row.name, row.kind, row.running) for row in sample.replicas] == [
        ("a:1", "vLLM", 2),
        ("b:1", "vLLM", 2),
    ]
    now_s[0] += NAMES_EVERY_S
    await fleet.round(client)
    assert client.asked_names == 3


def answered(*values: tuple[str, str, object]) -> bytes:
    result = [
        {"metric": {"instance": at, COLUMN: column, "job": "x"}, "value": [1.5, value]}
        for at, column, value in values
    ]
    return json.dumps({"status": "success", "data": {"result": result}}).encode()


@pytest.mark.parametrize("odd", ["NaN", "+Inf", "-Inf", "Infinity", "nan", "x", "", "1e999"])
def test_a_value_that_is_no_finite_number_is_left_out(odd: str) -> None:
    body = answered(("a", "running", "3"), ("b", "running", odd), ("b", "waiting", "1e1"))
    assert decoded_values(body).columns == {"running": {"a": 3.0}, "waiting": {"b": 10.0}}


@pytest.mark.parametrize(
    "body",
    [b"", b"[]", b"<html>", b'{"status":"success"}', b'{"status":"error","error":"bad \\u001b[2J"}',
     answered(("a", "running", [1]))],
)  # fmt: skip
def test_what_is_no_answer_is_an_error_in_a_line(body: bytes) -> None:
    with pytest.raises(QueryError) as caught:
        decoded_values(body)
    assert str(caught.value).isprintable()


def test_series_are_exposed_as_a_server_would_and_named_once() -> None:
    def body(value: str, **labels: str) -> bytes:
        metric = {"__name__": "vllm:x_total", "instance": "a", "job": "j", **labels}
        series = [{"metric": metric, "value": [1.0, value]}, {"metric": {}, "value": [1.0, "1"]}]
        return json.dumps({"status": "success", "data": {"result": series}}).encode()

    exposing = Exposing()
    odd = {"engine": "0", "model_name": 'a"b\\c\nd'}
    told = exposing.text(decoded(body("1", **odd)).series)
    assert told == b'vllm:x_total{engine="0",model_name="a\\"b\\\\c\\nd"} 1.0\n'
    assert exposing.text(decoded(body("2.5", **odd)).series).endswith(b"} 2.5\n")
    assert exposing.text(decoded(body("3")).series) == b"vllm:x_total 3.0\n"
    assert exposing.text(decoded(body("NaN")).series) == b""


def test_labels_that_are_none_are_an_error() -> None:
    body = b'{"status":"success","data":{"result":[{"metric":[1],"value":[1,"2"]}]}}'
    with pytest.raises(QueryError):
        Exposing().text(decoded(body).series)
