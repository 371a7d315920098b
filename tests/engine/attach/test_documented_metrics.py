"""Every metric that an engine documents is read, or it is said why it is not shown."""

from fnmatch import fnmatch

import pytest
from documented_metrics import DOCUMENTED, PREFIXES
from prodtop.engine.attach.mapping.engine_map import EngineMap
from prodtop.engine.attach.mapping.engines import TABLES
from prodtop.engine.attach.mapping.source import known
from prodtop.engine.protocol import EngineKind

from tools.attach_not_shown import NOT_SHOWN

PARTS = ("", "_bucket", "_sum", "_count")
"""What stands for a metric: itself, or a part of the histogram."""


def read_of(table: EngineMap) -> set[str]:
    """The canonical names that a table reads."""
    needed = table.needs
    buckets = {spread.parts[0].key for spread in needed.spreads}
    return buckets | {metric.key for metric in needed.counters} | needed.gauges


def patterns_of(kind: EngineKind) -> list[str]:
    return [pattern for _, patterns in NOT_SHOWN[kind] for pattern in patterns.split()]


@pytest.mark.parametrize("kind", DOCUMENTED, ids=str)
def test_each_documented_metric_is_read_or_there_is_a_reason_why_not(kind: EngineKind) -> None:
    read, patterns = read_of(TABLES[kind]), patterns_of(kind)
    unclear = {}
    for name in DOCUMENTED[kind]:
        is_read = any(known(f"{PREFIXES[kind]}{name}{part}") in read for part in PARTS)
        reasons = [pattern for pattern in patterns if fnmatch(name, pattern)]
        if is_read == bool(reasons) or len(reasons) > 1:
            unclear[name] = ("read" if is_read else "not read", reasons)
    assert unclear == {}


@pytest.mark.parametrize("kind", DOCUMENTED, ids=str)
def test_no_reason_is_for_a_metric_that_nobody_documents(kind: EngineKind) -> None:
    unused = [
        pattern
        for pattern in patterns_of(kind)
        if not any(fnmatch(name, pattern) for name in DOCUMENTED[kind])
    ]
    assert unused == []


@pytest.mark.parametrize("kind", DOCUMENTED, ids=str)
def test_the_names_of_further_figures_fit_into_their_column(kind: EngineKind) -> None:
    for each in TABLES[kind].further:
        assert 0 < len(each.name) <= 15, each.name
