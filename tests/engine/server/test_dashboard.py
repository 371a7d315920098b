"""The Grafana dashboard asks for what is exported, by labels that it has, in queries that parse."""

import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from prodtop.engine.server.exposed import Exposed
from prodtop.engine.server.metric_table import METRICS

DASHBOARD = Path(__file__).parents[3] / "docs" / "grafana" / "prodtop.json"
SCRAPE_LABELS = {"instance", "job"}
"""Prometheus adds them to everything."""
WORDS = {"sum", "max", "avg", "by", "rate", "increase", "histogram_quantile"}

SELECTOR = re.compile(r"([a-zA-Z_:][\w:]*)\{([^}]*)\}")
MATCHER = re.compile(r'(\w+)\s*(?:=~|!~|!=|=)\s*"[^"]*"')
GROUPING = re.compile(r"\bby \(([^)]*)\)")
VALUES = re.compile(r"label_values\(([\w:]+), (\w+)\)")


def series() -> dict[str, Exposed]:
    """Each metric by the names of its samples."""
    named: dict[str, Exposed] = {}
    for metric in METRICS:
        suffixes = ("_bucket", "_count", "_sum") if metric.kind == "histogram" else ("",)
        named |= {metric.name + suffix: metric for suffix in suffixes}
    return named


def labels_of(name: str) -> set[str]:
    metric = series()[name]
    le = {"le"} if name.endswith("_bucket") else set()
    return {*metric.all_labels, *SCRAPE_LABELS, *le}


def walk(value: object) -> Iterator[dict[str, object]]:
    """Every object in a JSON value."""
    if isinstance(value, dict):
        yield value
        value = list(value.values())
    if isinstance(value, list):
        for each in value:
            yield from walk(each)


def queries() -> list[tuple[str, str]]:
    """Every query with the legend of its lines."""
    dashboard = json.loads(DASHBOARD.read_text(encoding="utf-8"))
    return [
        (str(each["expr"]), str(each.get("legendFormat", "")))
        for each in walk(dashboard)
        if "expr" in each
    ]


def faults(query: str, legend: str = "") -> list[str]:
    """What a query asks for that is not there."""
    found: list[str] = []
    labels: set[str] = set()
    for name, matchers in SELECTOR.findall(query):
        if name not in series():
            found.append(name)
            continue
        labels |= labels_of(name)
        matched = MATCHER.findall(matchers)
        assert len(matched) == len([each for each in matchers.split(",") if each])
        found += [each for each in matched if each not in labels_of(name)]
    groups = [each.strip() for group in GROUPING.findall(query) for each in group.split(",")]
    found += [each for each in groups if each not in labels]
    rest = GROUPING.sub("by", SELECTOR.sub("", query))
    found += [each for each in re.findall(r"(?<![\w$])[a-zA-Z_:][\w:]*", rest) if each not in WORDS]
    shown = re.findall(r"\{\{(\w+)\}\}", legend)
    kept = set(groups) if groups or "sum(" in query else labels
    return found + [each for each in shown if each not in kept]


def test_every_query_asks_for_what_is_exported() -> None:
    assert len(queries()) > 40
    for query, legend in queries():
        assert faults(query, legend) == [], query


@pytest.mark.parametrize(
    ("query", "legend"),
    [
        ("rate(prodtop_no_such_total{}[1m])", ""),
        ("prodtop_no_such_total", ""),
        ('rate(prodtop_steps_total{strategy="x"}[1m])', ""),
        ("sum by (le) (rate(prodtop_steps_total{}[1m]))", ""),
        ("rate(prodtop_queue_time_seconds{}[1m])", ""),
        ("sum(rate(prodtop_requests_ended_total{}[1m]))", "{{reason}}"),
        ("sum by (reason) (rate(prodtop_requests_ended_total{}[1m]))", "{{route}}"),
    ],
)
def test_a_query_for_what_is_not_there_would_be_found(query: str, legend: str) -> None:
    assert faults(query, legend)


def test_the_variable_lists_a_label_that_is_there() -> None:
    asked = VALUES.findall(DASHBOARD.read_text(encoding="utf-8"))
    assert asked
    for name, label in asked:
        assert label in labels_of(name)


def test_panels_have_names_of_their_own_and_do_not_overlap() -> None:
    panels = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    assert len({each["id"] for each in panels}) == len({each["title"] for each in panels})
    taken = [
        (each["gridPos"]["x"] + x, each["gridPos"]["y"] + y)
        for each in panels
        for x in range(each["gridPos"]["w"])
        for y in range(each["gridPos"]["h"])
    ]
    assert len(set(taken)) == len(taken)
    assert max(x for x, _ in taken) < 24


def test_promtool_parses_every_query(tmp_path: Path) -> None:
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("promtool is not on the PATH (Debian: the package prometheus)")
    rules = [
        {
            "record": f"panel:{place}",
            "expr": query.replace("$__rate_interval", "1m").replace("$instance", ".*"),
        }
        for place, (query, _) in enumerate(queries())
    ]
    file = tmp_path / "rules.yml"
    # JSON is YAML.
    file.write_text(json.dumps({"groups": [{"name": "panels", "rules": rules}]}))
    told = subprocess.run(
        [promtool, "check", "rules", str(file)], capture_output=True, timeout=60, check=False
    )
    assert told.returncode == 0, told.stdout + told.stderr
