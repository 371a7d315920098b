"""Figures that the Server panel lists beside those with a place: each table's, one by one."""

import pytest
from prodtop.engine.attach.mapping.engine_map import EngineMap
from prodtop.engine.attach.mapping.engines import TABLES
from prodtop.engine.attach.mapping.further import Further
from prodtop.engine.attach.mapping.source import Flow, Label, Level, Mean, Metric, Share
from prodtop.engine.attach.reading.server_reading import ServerReading
from prodtop.engine.protocol import EngineKind, FurtherFigure, Unit

WALL_S = 1_790_000_000.0
FURTHER = [(kind, each) for kind, table in TABLES.items() for each in table.further]


def line(metric: Metric, value: float, **more: str) -> str:
    labels = ",".join(f'{name}="{text}"' for name, text in (*metric.where, *more.items()))
    return f"{metric.name}{{{labels}}} {value}"


def told(each: Further, second: float) -> list[str]:
    """What a server tells: counters grow by these a second."""
    match each.source:
        case Level(plus=(metric,)):
            return [line(metric, 0.5)]
        case Label(metric=metric, label=label):
            if each.source.by == "names":
                return [line(metric, 1, **{label: "a,b,c"}), line(metric, 2, **{label: "a, b"})]
            return [line(metric, 1, **{label: "4"})]
        case Flow(plus=(metric,)):
            return [line(metric, 0.5 * second)]
        case Mean(total=Flow(plus=(total,)), count=Flow(plus=(count,))):
            return [line(total, 3 * second), line(count, 2 * second)]
        case Share(part=Flow(plus=(part,)), whole=Flow(plus=(whole,))):
            return [line(part, 1 * second), line(whole, 4 * second)]
        case _:
            raise TypeError(each.source)


def expected(each: Further) -> float:
    match each.source:
        case Level(scale=scale):
            return 0.5 * scale
        case Label(by=by):
            return 2 if by == "names" else 4
        case Flow():
            return 0.5
        case Mean(unit_ms=unit):
            return 1.5 * unit
        case _:
            return 0.25


def further_of(table: EngineMap, *scrapes: list[str]) -> dict[str, FurtherFigure]:
    reading = ServerReading("http://a", "a")
    known_by = table.running[0].plus[0].name
    for at_s, lines in enumerate(scrapes):
        body = "\n".join([f"{known_by} 1", *lines, ""]).encode()
        reading.take(body, "text/plain", float(at_s), WALL_S + at_s, 0.01)
    frame = reading.frame(len(scrapes) - 0.5, WALL_S + len(scrapes) - 0.5)
    assert frame is not None
    assert frame.attached is not None
    return {each.name: each for each in frame.attached.further}


@pytest.mark.parametrize(
    ("kind", "each"), FURTHER, ids=[f"{kind} {each.name} {each.unit}" for kind, each in FURTHER]
)
def test_each_is_what_the_metrics_say(kind: EngineKind, each: Further) -> None:
    table = TABLES[kind]
    scrapes = [told(each, float(at_s)) for at_s in range(5)]
    found = further_of(table, *scrapes)[each.name]
    assert found.value == pytest.approx(expected(each))
    assert found.unit is each.unit
    assert found.expression
    assert found.age_s == pytest.approx(0.5)
    assert each.name not in further_of(table, [], []), "what is not told is not shown"


def test_a_share_is_never_above_all_of_it() -> None:
    usage = "vllm:kv_offload_cpu_cache_usage_perc"
    found = further_of(TABLES[EngineKind.VLLM], [f"{usage} 1.7"], [f"{usage} 1.7"])
    assert (found["CPU KV usage"].value, found["CPU KV usage"].unit) == (1.0, Unit.SHARE)


def test_lora_adapters_are_those_of_the_newest_series() -> None:
    """vLLM never takes a label set back: its value is when it was true."""
    name = "vllm:lora_requests_info"
    old = f'{name}{{max_lora="4",running_lora_adapters="a,b,c",waiting_lora_adapters="d"}} 100'
    new = f'{name}{{max_lora="4",running_lora_adapters="",waiting_lora_adapters=""}} 101'
    found = further_of(TABLES[EngineKind.VLLM], [new, old])
    assert (found["LoRA running"].value, found["LoRA waiting"].value) == (0, 0)
    assert found["LoRA at most"].value == 4
