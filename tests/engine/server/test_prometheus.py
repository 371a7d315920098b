"""The exposition: what prometheus_client reads of it is what was counted, in both formats."""

import re
import shutil
import subprocess
from collections.abc import Iterator

import msgspec
import pytest
from exposition_samples import engine_sample, guarding_sample, http_sample
from hypothesis import example, given, settings
from hypothesis import strategies as st
from prodtop.engine.cost.rates import Rates
from prodtop.engine.cost.settings import CostSettings
from prodtop.engine.metrics.export_buckets import BOUNDS, RAW_BOUNDS
from prodtop.engine.metrics.exported import COUNTERS
from prodtop.engine.protocol.served import EngineMetrics, ExportedHistogram
from prodtop.engine.server.cost_rows import rates_of
from prodtop.engine.server.exposed import Exposed, Scraped
from prodtop.engine.server.guarding import Guarding
from prodtop.engine.server.http_counters import HttpCounters
from prodtop.engine.server.metric_table import METRICS
from prodtop.engine.server.prometheus import CONTENT_TYPES, OPEN_METRICS, TEXT, metrics_response
from prodtop.engine.worker.exported_metrics import GAUGES
from prometheus_client import CollectorRegistry, Histogram
from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.openmetrics.parser import (
    text_string_to_metric_families as parse_open_metrics,
)
from prometheus_client.parser import text_string_to_metric_families as parse_text

FORMATS = (TEXT, OPEN_METRICS)
RATES = rates_of(
    CostSettings(
        usd_per_hour=3.6,
        usd_per_kwh=0.36,
        storage_usd_per_gib_month=7.3,
        storage_gib=100.0,
        bandwidth_usd_per_gib=0.09,
        answer_bytes_per_token=200.0,
        budget_usd_per_day=96.0,
    )
)
PROMETHEUS = (
    "application/openmetrics-text;version=1.0.0;q=0.5,application/openmetrics-text;version=0.0.1;"
    "q=0.4,text/plain;version=0.0.4;q=0.3,*/*;q=0.2"
)
"""What Prometheus asks for since 2.5."""


def parsed(
    engine: EngineMetrics | None, http: HttpCounters, accept: str, guarding: Guarding | None = None
) -> dict[str, Metric]:
    """Families by the name without `_total` and `_info`."""
    body, content_type = metrics_response(engine, http, accept, guarding, RATES)
    assert content_type == CONTENT_TYPES[accept]
    parse = parse_text if accept == TEXT else parse_open_metrics
    families = list(parse(body.decode()))
    assert len({family.name for family in families}) == len(families)
    return {family.name.removesuffix("_info"): family for family in families}


def short_name(metric: Exposed) -> str:
    suffix = {"counter": "_total", "info": "_info"}.get(metric.kind, "")
    return metric.name.removesuffix(suffix)


def test_names_are_there_once_and_know_their_family() -> None:
    assert len({metric.name for metric in METRICS}) == len(METRICS)
    for metric in METRICS:
        assert metric.name.endswith("_total") == (metric.kind == "counter") or (
            metric.name == "vllm:iteration_tokens_total"
        )
        told = metric.histogram is not None or metric.distributions is not None
        assert told == (metric.kind == "histogram")
        if metric.histogram is not None:
            assert metric.family is not None
            assert metric.family in BOUNDS[metric.histogram]


def test_all_that_is_counted_is_told() -> None:
    """Every row of buckets has its metric, and every counter and gauge is read by one."""
    exposed = {(metric.histogram, metric.family) for metric in METRICS if metric.histogram}
    assert exposed == {(name, family) for name, families in BOUNDS.items() for family in families}
    sample, http = engine_sample(), http_sample()
    told = metrics_response(sample, http, None)[0]
    for kind, names in (("counters", COUNTERS), ("gauges", GAUGES)):
        for name in names:
            held = dict(getattr(sample, kind)) | {name: 0.0}
            other = msgspec.structs.replace(sample, **{kind: held})
            assert metrics_response(other, http, None)[0] != told, name


@pytest.mark.parametrize("accept", FORMATS)
def test_a_parser_reads_every_metric_with_its_type_labels_and_values(accept: str) -> None:
    engine, http, guarding = engine_sample(), http_sample(), guarding_sample()
    families = parsed(engine, http, accept, guarding)
    assert set(families) == {short_name(metric) for metric in METRICS}
    for metric in METRICS:
        family = families[short_name(metric)]
        info = "info" if accept == OPEN_METRICS else "gauge"
        assert family.type == (info if metric.kind == "info" else metric.kind)
        assert family.documentation == f"{metric.meaning}."
        for sample in family.samples:
            assert set(sample.labels) - {"le"} == set(metric.all_labels)
        if metric.kind != "histogram":
            read = {
                tuple(sample.labels[label] for label in metric.labels): sample.value
                for sample in family.samples
            }
            assert read == dict(metric.read(Scraped(engine, http, guarding, RATES)))


@pytest.mark.parametrize("accept", FORMATS)
def test_buckets_grow_to_the_count(accept: str) -> None:
    engine = engine_sample()
    families = parsed(engine, http_sample(), accept)
    for metric in METRICS:
        if metric.histogram is None or metric.family is None:
            continue
        held, samples = engine.histograms[metric.histogram], families[metric.name].samples
        buckets = [each for each in samples if each.name.endswith("_bucket")]
        bounds = [float(each.labels["le"]) for each in buckets]
        assert bounds == [*BOUNDS[metric.histogram][metric.family], float("inf")]
        below = [each.value for each in buckets]
        assert below == sorted(below)
        (count,) = (each.value for each in samples if each.name.endswith("_count"))
        (total,) = (each.value for each in samples if each.name.endswith("_sum"))
        assert count == below[-1] == sum(held.counts)
        assert total == held.total


def test_the_time_that_guards_add_is_a_histogram_of_each() -> None:
    guarding = guarding_sample()
    family = parsed(None, http_sample(), TEXT, guarding)["prodtop_guard_added_seconds"]
    for guard in ("content", "pii", "injection", "all", "perplexity"):
        mine = [each for each in family.samples if each.labels["guard"] == guard]
        below = [each.value for each in mine if each.name.endswith("_bucket")]
        assert below == sorted(below)
        assert below[-1] == (0 if guard == "perplexity" else 3)


@pytest.mark.parametrize("name", BOUNDS)
def test_a_histogram_reads_as_prometheus_clients_own(name: str) -> None:
    """Also the spelling of its bounds, which are a label."""
    metric = next(each for each in METRICS if each.histogram == name)
    assert metric.family is not None
    registry, bounds = CollectorRegistry(), BOUNDS[name][metric.family]
    theirs = Histogram(metric.name, "x", registry=registry, buckets=bounds)
    counts = [0] * (len(RAW_BOUNDS[name]) + 1)
    for bound in bounds[::3]:
        theirs.observe(bound)
        counts[RAW_BOUNDS[name].index(bound)] += 1
    sample = engine_sample()
    held = ExportedHistogram(counts=counts, total=sum(bounds[::3]))
    ours = msgspec.structs.replace(sample, histograms={name: held})
    text = metrics_response(ours, http_sample(), TEXT)[0].decode()
    buckets = re.compile(rf'^{metric.name}_bucket{{.*?le="(.*)"}} (\d+)(?:\.0)?$', re.MULTILINE)
    assert buckets.findall(text) == buckets.findall(generate_latest(registry).decode())
    assert len(buckets.findall(text)) == len(bounds) + 1


@pytest.mark.parametrize("accept", FORMATS)
@settings(max_examples=15, deadline=None)
@example("")
@example('a"b\\n\n{}=,#')
@given(name=st.text(st.characters(exclude_categories=["Cs"]), max_size=20))
def test_no_name_breaks_the_lines(accept: str, name: str) -> None:
    http = http_sample()
    http.on_rejected(name)
    body = metrics_response(engine_sample(name), http, accept)[0].decode()
    plain = metrics_response(engine_sample(), http_sample(), accept)[0].decode()
    assert body.count("\n") == plain.count("\n") + 2
    families = parsed(engine_sample(name), http, accept)
    assert families["prodtop_engine"].samples[0].labels["model_name"] == name
    reasons = [each.labels["reason"] for each in families["prodtop_http_rejected_requests"].samples]
    assert reasons == ["queued tokens", name]


@pytest.mark.parametrize("accept", FORMATS)
def test_without_an_engine_the_server_tells_of_itself(accept: str) -> None:
    families = parsed(None, http_sample(), accept)
    assert families["prodtop_engine_up"].samples[0].value == 0
    assert families["prodtop_http_open_streams"].samples[0].value == 1
    assert not any(name.startswith(("gen_ai", "vllm:num_")) for name in families)


@pytest.mark.parametrize("accept", FORMATS)
def test_a_worker_that_went_leaves_its_counts_and_no_levels(accept: str) -> None:
    gone = msgspec.structs.replace(engine_sample(), gauges={})
    families = parsed(gone, http_sample(), accept)
    assert families["prodtop_engine_up"].samples[0].value == 0
    assert "vllm:num_requests_running" not in families
    assert "vllm:cache_config" not in families
    assert families["prodtop_steps"].samples[0].value > 0


def test_what_is_not_known_is_not_told() -> None:
    sample = engine_sample()
    gauges = {name: each for name, each in sample.gauges.items() if name != "gpu_energy_joules"}
    families = parsed(msgspec.structs.replace(sample, gauges=gauges), http_sample(), TEXT)
    assert "prodtop_gpu_energy_joules" not in families
    assert "prodtop_device_memory_bytes" in families


@pytest.mark.parametrize(
    ("accept", "wanted"),
    [
        (None, TEXT),
        ("", TEXT),
        ("*/*", TEXT),
        ("text/html, */*;q=0.1", TEXT),
        (PROMETHEUS, OPEN_METRICS),
        ("application/openmetrics-text", OPEN_METRICS),
        ("Application/OpenMetrics-Text; version=1.0.0; charset=utf-8", OPEN_METRICS),
        ("application/openmetrics-text;q=0", TEXT),
        ("application/openmetrics-text;q=0.3,text/plain;q=0.5", TEXT),
        ("application/openmetrics-text; q = 0.6 ,text/plain;q=0.5", OPEN_METRICS),
        ("application/openmetrics-text;q=high", TEXT),
        (";;,,=;q", TEXT),
    ],
)
def test_the_format_is_the_one_asked_for(accept: str | None, wanted: str) -> None:
    body, content_type = metrics_response(engine_sample(), http_sample(), accept)
    assert content_type == CONTENT_TYPES[wanted]
    assert body.endswith(b"# EOF\n") == (wanted == OPEN_METRICS)


def complaints(engine: EngineMetrics | None) -> Iterator[tuple[str, str]]:
    """What promtool's linter says, as (metric, complaint)."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH (Debian: the package prometheus)")
    told = subprocess.run(
        [promtool, "check", "metrics"],
        input=metrics_response(engine, http_sample(), TEXT)[0],
        capture_output=True,
        timeout=60,
        check=False,
    )
    # 3: it read all, and complains of names.
    assert told.returncode in (0, 3), told.stderr.decode()
    for line in (told.stdout + told.stderr).decode().splitlines():
        name, _, complaint = line.partition(" ")
        yield name, complaint


def test_promtool_complains_of_nothing_but_vllms_own_names() -> None:
    for name, complaint in complaints(engine_sample()):
        assert name.startswith("vllm:"), (name, complaint)
        assert complaint == "metric names should not contain ':'" or (
            name == "vllm:iteration_tokens_total" and "_total" in complaint
        )


def costs(engine: EngineMetrics | None, rates: Rates | None) -> dict[str, float]:
    """What is told of costs, by the name and the part."""
    text = metrics_response(engine, http_sample(), TEXT, None, rates)[0].decode()
    return {
        sample.labels.get("part", sample.name.removeprefix("prodtop_cost_")): sample.value
        for family in parse_text(text)
        for sample in family.samples
        if sample.name.startswith("prodtop_cost_")
    }


def test_costs_are_price_times_what_was_counted() -> None:
    sample = engine_sample()
    counters = dict(sample.counters) | {
        "energy_joules": 3.6e6,
        "generation_tokens": 3_000_000,
        "response_cache_tokens": 1_000_000,
    }
    found = costs(msgspec.structs.replace(sample, counters=counters), RATES)
    assert found["usd_per_hour"] == 3.6
    assert found["budget_usd_per_hour"] == 4.0
    # Half an hour of the server, and a kilowatt-hour of the card.
    assert found["device"] == pytest.approx(1.8)
    assert found["energy"] == pytest.approx(0.36)
    assert found["storage"] == pytest.approx(7.3 * 100 / 730 / 2)
    assert found["bandwidth"] == pytest.approx(4e6 * 200 / 2**30 * 0.09)


def test_without_a_price_no_cost_is_told() -> None:
    assert rates_of(CostSettings()) is None
    assert rates_of(CostSettings(storage_gib=3.0)) is None
    assert costs(engine_sample(), None) == {}


def test_what_is_not_known_has_no_cost() -> None:
    """Before a worker has served, and on a card that has no counter of energy."""
    assert set(costs(None, RATES)) == {
        "usd_per_hour",
        "budget_usd_per_hour",
        "device",
        "storage",
    }
    sample = engine_sample()
    gauges = {name: each for name, each in sample.gauges.items() if name != "gpu_energy_joules"}
    assert "energy" not in costs(msgspec.structs.replace(sample, gauges=gauges), RATES)
