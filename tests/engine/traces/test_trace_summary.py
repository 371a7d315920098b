"""The figures of a trace, by hand, and over public traces where they lie beside the checkout."""

import csv
import json
import statistics
from collections.abc import Iterator
from datetime import datetime
from itertools import takewhile
from pathlib import Path

import pytest
from prodtop.engine.traces.summary import summarize
from prodtop.engine.traces.trace_file import parse_trace, read_trace
from trace_samples import AZURE, HASHED

PUBLIC = Path(__file__).resolve().parents[4] / "shared" / "data" / "traces"


def test_the_figures_of_a_small_trace() -> None:
    summary = summarize(parse_trace(AZURE, "a.csv"))
    assert (summary.entries, summary.span_s, summary.requests_per_s) == (3, 2.5, 0.8)
    prompt, output = summary.prompt_tokens, summary.output_tokens
    assert prompt.mean == pytest.approx(653 / 3)
    assert (prompt.p50, prompt.p95, prompt.p99, prompt.most, prompt.total) == (
        120,
        500,
        500,
        500,
        653,
    )
    assert (output.p50, output.most, output.total) == (7, 41, 49)
    assert summary.shared_prefix_share is None


def test_shared_prefixes_are_leading_blocks_that_came_before() -> None:
    # 600: nothing. 512: all of it. 1100: its first block. 20: nothing.
    summary = summarize(parse_trace(HASHED, "h.jsonl"))
    assert summary.shared_prefix_share == pytest.approx((512 + 512) / (600 + 512 + 1100 + 20))


def test_one_request_has_no_rate() -> None:
    line = b'{"timestamp": 5, "input_length": 1, "output_length": 1}'
    assert summarize(parse_trace(line, "one.jsonl")).requests_per_s is None


def rows_of(path: Path) -> Iterator[tuple[float, int, int, list[int]]]:
    """Time in s, lengths and hashes of a public trace, read without any of our code."""
    with path.open(encoding="utf-8-sig", newline="") as file:
        if path.suffix == ".jsonl":
            for line in file:
                row = json.loads(line)
                at_s = row["timestamp"] / 1000
                yield at_s, row["input_length"], row["output_length"], row["hash_ids"]
        else:
            for row in csv.DictReader(file):
                day = datetime.fromisoformat(row["TIMESTAMP"] + "+00:00").timestamp()
                yield day, int(row["ContextTokens"]), int(row["GeneratedTokens"]), []


@pytest.mark.skipif(not PUBLIC.is_dir(), reason="the public traces are not beside the checkout")
@pytest.mark.parametrize(
    "name",
    [
        "azure_llm_2023_code.csv",
        "azure_llm_2023_conv.csv",
        "mooncake_conversation.jsonl",
        "mooncake_synthetic.jsonl",
    ],
)
def test_public_traces_have_what_the_csv_and_json_modules_find(name: str) -> None:
    rows = list(rows_of(PUBLIC / name))
    trace = read_trace(PUBLIC / name)
    summary = summarize(trace)
    assert summary.entries == len(rows)
    assert summary.span_s == pytest.approx(rows[-1][0] - rows[0][0], abs=1e-4)
    prompts, outputs = sorted(row[1] for row in rows), sorted(row[2] for row in rows)
    for lengths, values in ((summary.prompt_tokens, prompts), (summary.output_tokens, outputs)):
        assert lengths.mean == pytest.approx(statistics.fmean(values))
        assert (lengths.most, lengths.total) == (values[-1], sum(values))
        assert lengths.p50 == values[-(-len(values) // 2) - 1]
        assert lengths.p99 == values[-(-99 * len(values) // 100) - 1]
    seen: set[int] = set()
    shared = 0
    for _, prompt, _, ids in rows:
        hits = len(list(takewhile(seen.__contains__, ids)))
        shared += min(prompt, 512 * hits)
        seen |= set(ids)
    if any(row[3] for row in rows):
        assert summary.shared_prefix_share == pytest.approx(shared / sum(row[1] for row in rows))
    else:
        assert summary.shared_prefix_share is None
