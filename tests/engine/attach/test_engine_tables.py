"""Every engine's table: each figure has the value that its metrics say, or a reason."""

import pytest
from engine_samples import SAMPLES, EngineSample
from frame_figures import figures
from prodtop.engine.attach.asking.settings import NamedServer
from prodtop.engine.attach.fleet import Fleet
from prodtop.engine.attach.mapping.engines import TABLES
from prodtop.engine.attach.mapping.source import Level, known
from prodtop.engine.attach.reading.server_reading import ServerReading
from prodtop.engine.protocol import EngineKind, Figure, Frame, Replica

WALL_S = 1_790_000_000.0


def read(
    sample: EngineSample, seconds: int = 10, *, of_a_row: bool = False
) -> tuple[ServerReading, Frame]:
    """A server that was scraped every second."""
    reading = ServerReading("http://127.0.0.1:8000", "a", of_a_row=of_a_row)
    for at_s in range(seconds + 1):
        reading.take(sample.told.body(at_s), "text/plain", float(at_s), WALL_S + at_s, 0.01)
        for endpoint, body in sample.answers.items():
            assert endpoint in {each.path for each in reading.wanted()}
            reading.take_json(endpoint, body, float(at_s))
    frame = reading.frame(seconds + 0.5, WALL_S + seconds + 0.5)
    assert frame is not None
    return reading, frame


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_every_figure_is_what_the_metrics_say_or_missing_with_a_reason(
    sample: EngineSample,
) -> None:
    _, frame = read(sample)
    assert frame.attached is not None
    assert frame.attached.kind is sample.kind
    assert frame.attached.ranks == sample.ranks
    found, origins = figures(frame), frame.attached.origins
    assert {f: v for f, v in found.items() if v is not None} == pytest.approx(sample.expected)
    assert set(origins) == set(Figure)
    for figure, origin in origins.items():
        if figure in sample.expected:
            assert origin.missing is None
            assert origin.expression
            assert origin.age_s == pytest.approx(0.5)
        else:
            assert origin.missing
            assert len(origin.missing) <= 90
            assert origin.age_s is None


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_after_one_scrape_only_levels_are_told(sample: EngineSample) -> None:
    reading = ServerReading("http://127.0.0.1:8000", "a")
    assert reading.frame(0.0, WALL_S) is None
    reading.take(sample.told.body(0), "text/plain", 0.0, WALL_S, 0.01)
    frame = reading.frame(0.0, WALL_S)
    assert frame is not None
    assert frame.attached is not None
    found = figures(frame)
    for figure, origin in frame.attached.origins.items():
        assert (origin.missing is None) == (found[figure] is not None)
    if Figure.E2E in sample.expected:
        assert frame.attached.origins[Figure.E2E].missing == "needs a second scrape"


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_a_size_of_nothing_is_one_that_the_server_does_not_know(sample: EngineSample) -> None:
    table = TABLES[sample.kind]
    sizes = [each for each in table.context_tokens + table.max_seqs if isinstance(each, Level)]
    names = {metric.key for each in sizes for metric in each.plus}
    lines = sample.told.body(0).decode().splitlines()
    unknown = [_as_nothing(line) if _name(line) in names else line for line in lines]
    reading = ServerReading("http://127.0.0.1:8000", "a")
    reading.take("\n".join([*unknown, ""]).encode(), "text/plain", 0.0, WALL_S, 0.01)
    frame = reading.frame(0.0, WALL_S)
    assert frame is not None
    assert frame.model.context_tokens != 0
    assert frame.max_seqs != 0


def _name(line: str) -> str:
    return known(line.partition("{")[0].partition(" ")[0])


def _as_nothing(line: str) -> str:
    return line.rpartition(" ")[0] + " 0"


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_metrics_are_asked_for_where_they_were(sample: EngineSample) -> None:
    """TensorRT-LLM has them elsewhere; a Dynamo worker and a gateway pass its on at `/metrics`."""
    reading = ServerReading("http://127.0.0.1:8000", "a")
    path = reading.metrics_path
    for at_s in range(2):
        reading.take(sample.told.body(at_s), "text/plain", float(at_s), WALL_S, 0.01)
        assert reading.metrics_path == path


@pytest.mark.parametrize("kind", EngineKind)
def test_each_kind_has_a_table(kind: EngineKind) -> None:
    assert TABLES[kind].kind is kind


def test_expressions_name_the_metrics_as_the_server_writes_them() -> None:
    _, frame = read(SAMPLES["ray vllm"])
    assert frame.attached is not None
    origins = frame.attached.origins
    assert origins[Figure.DECODE_TOK_S].expression == "rate(ray_vllm_generation_tokens_total[10s])"
    assert origins[Figure.RUNNING].expression == "ray_vllm_num_requests_running"


@pytest.mark.parametrize("sample", SAMPLES.values(), ids=SAMPLES)
def test_what_a_row_shows_is_the_same_where_only_that_is_read(sample: EngineSample) -> None:
    _, whole = read(sample)
    _, row = read(sample, of_a_row=True)
    assert fleet_row(row) == fleet_row(whole)
    assert row.attached is not None
    assert row.attached.further == []


def fleet_row(frame: Frame) -> Replica:
    fleet = Fleet([NamedServer(url="http://a", name="a")], lambda _message: None, clock=float)
    fleet.take("a", frame)
    (row,) = fleet.sample().replicas
    return row
