"""The reports: offline and well-formed whatever the names are, and every figure in them."""

import csv
import html
import io
import math
import re
import shutil
import subprocess
from html.parser import HTMLParser
from pathlib import Path
from xml.etree import ElementTree

import msgspec
import pytest
from comparisons import around, cell, comparison, measured, result, sample
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.compare.against import judge, parse_rule
from prodtop.engine.compare.cells import Comparison, Measured
from prodtop.engine.compare.charts import escaped, ticks
from prodtop.engine.compare.curves import curves
from prodtop.engine.compare.html_report import Report, html_report
from prodtop.engine.compare.insights import insights
from prodtop.engine.compare.json_report import json_report
from prodtop.engine.compare.matrix import matrix
from prodtop.engine.compare.median import median
from prodtop.engine.compare.metrics import METRICS, summary
from prodtop.engine.compare.recommend import Wishes, recommend
from prodtop.engine.compare.samples import Limits
from prodtop.engine.compare.tables import csv_text, markdown

LIMITS = Limits(ttft_ms=60.0)
SAMPLES = [sample(n * 0.1) for n in range(12)]
FULL = comparison(
    measured(cell("single", users=1), around(50.0), around(100.0)),
    *(
        Measured(
            cell=cell(users=users),
            repeats=[
                result(cell(users=users), tok_s=value, p95_ms=100.0 * users, samples=SAMPLES)
                for value in around(40.0 * math.sqrt(users))
            ],
        )
        for users in (1, 4, 16)
    ),
    Measured(cell=cell("hybrid", "fp8"), skipped="no <b>fp8</b> | here & “there”"),
    Measured(cell=cell("cached"), failure="out of memory"),
)


def report(of: Comparison = FULL) -> Report:
    return Report(
        comparison=of,
        matrix=matrix(of, list(METRICS.values()), limits=LIMITS, baseline=of.cells[0].cell),
        insights=insights(of, LIMITS),
        curves=curves(of, limits=LIMITS),
        recommendation=recommend(of, Wishes(limits=LIMITS)),
        judgements=judge(of, of, [parse_rule("output_tok_s<-5%")], LIMITS),
    )


class References(HTMLParser):
    """What a page would fetch or run."""

    FETCHING = {"src", "href", "srcset", "data", "action", "poster", "xlink:href", "ping"}

    def __init__(self) -> None:
        super().__init__()
        self.found: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in {"script", "link", "iframe", "object", "embed", "base", "img"}:
            self.found.append(tag)
        self.found += [
            f"{tag} {name}" for name, _ in attrs if name in self.FETCHING or name.startswith("on")
        ]


def tree(text: str) -> ElementTree.Element:
    return ElementTree.fromstring(text.removeprefix("<!DOCTYPE html>\n"))


def test_the_page_needs_nothing_from_outside_and_is_well_formed() -> None:
    text = html_report(report())
    tree(text)
    references = References()
    references.feed(text)
    assert references.found == []
    assert not re.search(r"url\(|@import|https?:|//", text)


@given(st.text(max_size=40))
def test_no_name_breaks_the_page(name: str) -> None:
    work = msgspec.structs.replace(FULL.work, model=name)
    cells = [*FULL.cells[:1], Measured(cell=cell("batched"), failure=name)]
    page = tree(html_report(report(msgspec.structs.replace(FULL, work=work, cells=cells))))
    shown = html.unescape(escaped(name))
    heading = page.find("./body/h1")
    assert heading is not None
    assert " ".join((heading.text or "").split()) == " ".join(f"{shown} on cpu".split())


def test_every_figure_of_the_matrix_is_in_the_page_and_every_bar_as_long_as_its_value() -> None:
    page = tree(html_report(report()))
    rows = page.findall(".//table")[0].findall("tr")
    assert len(rows) == 1 + len(FULL.cells)
    texts = ["".join(each.itertext()) for each in rows[2].findall("td")]
    assert texts[0] == "hybrid bf16 1 user"
    assert "40.0 ±1% (−20.0 %)" in texts
    assert any("skipped: no <b>fp8</b>" in "".join(row.itertext()) for row in rows)
    assert any("FAILED: out of memory" in "".join(row.itertext()) for row in rows)
    first_chart = page.find(".//svg")
    assert first_chart is not None
    lengths = [float(bar.get("width", "")) for bar in first_chart.findall(".//rect")]
    values = [
        found.value
        for each in FULL.cells
        if (found := summary(FULL, each, METRICS["output_tok_s"])) is not None
    ]
    assert len(lengths) == len(values) == 4
    for length, value in zip(lengths, values, strict=True):
        assert length / lengths[0] == pytest.approx(value / values[0], abs=2e-3)


def test_marks_stay_within_the_charts() -> None:
    page = tree(html_report(report()))
    circles = 0
    for chart in page.iter("svg"):
        _, _, width, height = (float(each) for each in chart.get("viewBox", "").split())
        for circle in chart.iter("circle"):
            circles += 1
            assert 0 <= float(circle.get("cx", "")) <= width
            assert 0 <= float(circle.get("cy", "")) <= height
    assert circles == 4 + 3


@pytest.mark.skipif(shutil.which("chromium") is None, reason="no chromium here")
def test_a_browser_without_network_shows_it(tmp_path: Path) -> None:
    page = tmp_path / "report.html"
    page.write_text(html_report(report()), encoding="utf-8")
    command = ["chromium", "--headless", "--no-sandbox", "--disable-gpu", "--dump-dom"]
    offline = ["--host-resolver-rules=MAP * ~NOTFOUND", f"--user-data-dir={tmp_path}/profile"]
    done = subprocess.run(
        [*command, *offline, page.as_uri()], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.count("<svg") == html_report(report()).count("<svg") == 7
    assert "Recommendation" in done.stdout


def test_csv_has_every_figure_with_all_its_digits() -> None:
    rows = list(csv.DictReader(io.StringIO(csv_text(report().matrix))))
    assert len(rows) == len(FULL.cells) * len(METRICS)
    for row in rows:
        of = next(
            each
            for each in FULL.cells
            if (each.cell.strategy, each.cell.precision) == (row["strategy"], row["precision"])
            and row["load"].split()[0] == str(each.cell.load.users)
        )
        found = summary(FULL, of, METRICS[row["metric"]], LIMITS)
        if found is None:
            assert (row["median"], row["low"], row["repeats"]) == ("", "", "")
        else:
            assert float(row["median"]) == found.value
            assert (float(row["low"]), float(row["high"])) == (found.low, found.high)
            assert int(row["repeats"]) == found.count


def test_markdown_has_a_row_for_each_cell_of_as_many_columns() -> None:
    lines = markdown(report().matrix).splitlines()
    assert len(lines) == 2 + len(FULL.cells)
    columns = {len(re.findall(r"(?<!\\)\|", line)) for line in lines}
    assert columns == {len(METRICS) + 3}
    assert "no &lt;b&gt;fp8&lt;/b&gt; \\| here" in lines[-2]


def test_json_has_every_metric_of_every_cell() -> None:
    found = json_report(report(), limits=LIMITS, stopped="cancelled")
    text = msgspec.json.decode(msgspec.json.encode(found))
    assert (text["stopped"], text["baseline"]) == ("cancelled", "single bf16 1 user")
    assert len(text["cells"]) == len(FULL.cells)
    for row, of in zip(text["cells"], FULL.cells, strict=True):
        assert set(row["metrics"]) == set(METRICS)
        for name, figure in row["metrics"].items():
            expected = summary(FULL, of, METRICS[name], LIMITS)
            assert (None if figure is None else figure["value"]) == (
                None if expected is None else expected.value
            )
    assert text["recommendation"]["best"]["label"]
    assert {each["topic"] for each in text["insights"]} >= {"latency", "throughput", "pareto"}
    assert text["against"][0]["failed"] is False


@given(st.floats(0.001, 1e9))
def test_ticks_are_round_and_few(most: float) -> None:
    found = ticks(0.0, most)
    assert 2 <= len(found) <= 7
    assert found[0] == 0.0
    assert found[-1] <= most * (1 + 1e-9)
    step = found[1]
    mantissa = step / 10 ** math.floor(math.log10(step) + 1e-9)
    assert min(abs(mantissa - round_one) for round_one in (1, 2, 5)) < 1e-6


def test_nothing_measured_is_a_report_as_well() -> None:
    empty = comparison(Measured(cell=cell(), failure="died"))
    tree(html_report(report(empty)))
    assert median([]) is None
