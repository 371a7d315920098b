"""`prodtop compare --url A --url B`: servers side by side, by one clock and the same requests.

Each load is put on each server in turn, as often as asked: what drifts on the machine meets both.
"""

import secrets
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import msgspec

from ...engine.attach.asking.addresses import server_url
from ...engine.attach.asking.settings import ServerSettings
from ...engine.compare.cells import load_label
from ...engine.compare.curves import LATENCY, Curve, LoadPoint, knee
from ...engine.compare.median import Median, Verdict, median
from ...engine.compare.median import compare as compared
from ...engine.compare.metrics import METRICS
from ...engine.compare.samples import little
from ...engine.compare.tables import curve_headings, curve_rows, curve_words
from ...engine.http_load.messages import HttpLoadOptions, LoadProgress, ServerResult
from ...engine.protocol import Distribution, LoadSpec
from ...engine.protocol.errors import BadInputError, ProdtopError
from ...engine.text.cleaning import clean
from .bench_file import as_object
from .http_load import generated, lag_words
from .json_output import print_json
from .status_line import StatusLine
from .text_table import aligned

MOST_URLS = 8
COMPARED = ("req_s", "output_tok_s", "ttft_p95_ms", "itl_p95_ms", "e2e_p95_ms")
_VERDICTS = {
    Verdict.HIGHER: "higher",
    Verdict.LOWER: "lower",
    Verdict.NO_DIFFERENCE: "no difference",
    Verdict.UNDECIDED: "too few repeats",
}


@dataclass(frozen=True, slots=True)
class Asked:
    """Which servers, under which loads, how often."""

    urls: Sequence[str]
    loads: Sequence[LoadSpec]
    requests: int
    warmup: int
    repeats: int
    model: str | None = None
    token_file: str | None = None


@dataclass(slots=True)
class Measured:
    """What was measured of a server: its repeats of each load, in the order of the loads."""

    url: str
    repeats: list[list[ServerResult]] = field(default_factory=list)

    @property
    def label(self) -> str:
        return self.url.partition("://")[2]


def compare_urls(asked: Asked, *, json: bool) -> None:
    """Measure, and print curves, knees and differences. Raises `ProdtopError`."""
    if len(asked.urls) > MOST_URLS:
        raise BadInputError(f"{len(asked.urls)} servers: {MOST_URLS} are compared at once")
    servers = [Measured(server_url(url), [[] for _ in asked.loads]) for url in asked.urls]
    status = StatusLine(sys.stderr)
    for place, load in enumerate(asked.loads):
        for repeat in range(asked.repeats):
            salt = secrets.token_hex(4)
            for server in servers:
                where = f"{server.label}, {load_label(load)}, repeat {repeat + 1}"
                result = _one(server.url, load, asked, status, where, salt)
                server.repeats[place].append(result)
                if (lag := lag_words(result)) != "":
                    status.say(f"{where}: {lag}")
    status.clear()
    if json:
        print_json(_object(servers, asked.loads))
    else:
        print("\n".join(_lines(servers, asked.loads)))


def _one(
    url: str, load: LoadSpec, asked: Asked, status: StatusLine, where: str, salt: str
) -> ServerResult:
    options = HttpLoadOptions(
        server=ServerSettings(url=url, token_file=asked.token_file),
        loads=[load],
        requests=asked.requests,
        warmup=asked.warmup,
        model=asked.model,
        api="chat" if load.chat else "completions",
        salt=salt,
        samples=True,
    )
    for told in generated(options):
        match told:
            case LoadProgress(done=done, requests=of):
                status.show(f"{where}: {done} of {of}")
            case ServerResult() if told.failed == told.requests:
                raise ProdtopError(f"{where}: every request failed: {', '.join(told.errors)}")
            case ServerResult():
                return told
    raise ProdtopError(f"{where}: nothing was measured")


def curve_of(server: Measured, loads: Sequence[LoadSpec]) -> Curve:
    """A server's load curve, with its knee."""
    points = [
        point
        for load, repeats in zip(loads, server.repeats, strict=True)
        if (point := _point(load, repeats)) is not None
    ]
    return Curve(
        cell=None,
        label=clean(server.label),
        latency=LATENCY,
        points=points,
        knee=knee(points, METRICS[LATENCY].label),
        at_limits=None,
    )


def _point(load: LoadSpec, repeats: Sequence[ServerResult]) -> LoadPoint | None:
    req_s = median([each.req_s for each in repeats])
    if req_s is None:
        return None
    latencies = [(each.req_s, each.e2e_ms.p95) for each in repeats if each.e2e_ms is not None]
    both = [found for each in repeats if (found := little(each.samples or []))]
    return LoadPoint(
        load=load,
        label=load_label(load),
        req_s=req_s,
        output_tok_s=median([each.output_tok_s for each in repeats]),
        latency_ms=median([p95_ms for _, p95_ms in latencies]),
        power=median([req_s / (p95_ms / 1e3) for req_s, p95_ms in latencies if p95_ms]),
        goodput_req_s=None,
        in_system=median([each.in_system for each in both]),
        rate_times_residence=median([each.rate_times_residence for each in both]),
        within_limits=None,
    )


def figures_of(repeats: Sequence[ServerResult]) -> Mapping[str, Median | None]:
    """The medians of what servers are compared by."""
    return {name: median(_values(name, repeats)) for name in COMPARED}


def _values(name: str, repeats: Sequence[ServerResult]) -> list[float]:
    if not name.endswith("_p95_ms"):
        return [getattr(each, name) for each in repeats]
    field_name = name.replace("_p95_ms", "_ms")
    found: list[Distribution | None] = [getattr(each, field_name) for each in repeats]
    return [each.p95 for each in found if each is not None]


def _differences(servers: Sequence[Measured], loads: Sequence[LoadSpec]) -> list[dict[str, object]]:
    """Each server against the first one, load by load and metric by metric."""
    first, *others = servers
    rows: list[dict[str, object]] = []
    for server in others:
        for place, load in enumerate(loads):
            base, own = figures_of(first.repeats[place]), figures_of(server.repeats[place])
            for name in COMPARED:
                before, after = base[name], own[name]
                if before is None or after is None or not before.value:
                    continue
                rows.append(
                    {
                        "server": server.label,
                        "against": first.label,
                        "load": load_label(load),
                        "metric": name,
                        "ratio": after.value / before.value,
                        "verdict": _VERDICTS[compared(after, before)],
                    }
                )
    return rows


def _object(servers: Sequence[Measured], loads: Sequence[LoadSpec]) -> dict[str, object]:
    return {
        "schema_version": 1,
        "servers": [
            {
                "url": server.url,
                "curve": msgspec.to_builtins(curve_of(server, loads)),
                "repeats": [
                    [_without_samples(each) for each in repeats] for repeats in server.repeats
                ],
            }
            for server in servers
        ],
        "differences": _differences(servers, loads),
    }


def _without_samples(result: ServerResult) -> dict[str, object]:
    return as_object(msgspec.structs.replace(result, samples=None))


def _lines(servers: Sequence[Measured], loads: Sequence[LoadSpec]) -> list[str]:
    lines: list[str] = []
    for server in servers:
        curve = curve_of(server, loads)
        lines += [curve_words(curve), *aligned([curve_headings(curve), *curve_rows(curve)]), ""]
    for row in _differences(servers, loads):
        ratio = row["ratio"]
        assert isinstance(ratio, float)
        lines.append(
            f"{row['server']} against {row['against']}, {row['load']}:"
            f" {METRICS[str(row['metric'])].label} ×{ratio:.3g}, {row['verdict']}"
        )
    return [clean(line) for line in lines]
