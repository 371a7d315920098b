"""Latencies that were measured beside a server's own metrics, put into its frame."""

from collections.abc import Iterable, Mapping

import msgspec

from ...protocol import Figure, Frame, Latency, Origin, Percentiles, Window

LATENCIES: Mapping[str, Figure] = {
    "ttft": Figure.TTFT,
    "ttfb": Figure.TTFB,
    "itl": Figure.ITL,
    "tpot": Figure.TPOT,
    "e2e": Figure.E2E,
    "queue": Figure.QUEUE_TIME,
}
"""The fields of `Latency`, by their figures."""


def with_latencies(
    latency: Mapping[Window, Latency], measured: Mapping[Window, Latency], names: Iterable[str]
) -> dict[Window, Latency]:
    """`latency` with the fields `names` of `measured`, in every window: no figure of a frame has
    two sources."""
    names = tuple(names)
    return {
        window: msgspec.structs.replace(
            latency.get(window, Latency()),
            **{name: getattr(measured.get(window, Latency()), name) for name in names},
        )
        for window in Window
    }


def with_origins(frame: Frame, origins: Mapping[Figure, Origin]) -> Frame:
    """The frame whose figures come from there."""
    attached = frame.attached
    if attached is None:
        return frame
    attached = msgspec.structs.replace(attached, origins={**attached.origins, **origins})
    return msgspec.structs.replace(frame, attached=attached)


def is_resolved(percentiles: Percentiles | None) -> bool:
    """Whether more is known than that the median lies in the first bucket."""
    if percentiles is None or percentiles.p50_ms is None:
        return False
    return percentiles.below_ms is None or percentiles.p50_ms > percentiles.below_ms
