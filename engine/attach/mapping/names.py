"""How series are named: labels, and one name for all ways to write a metric.

Engines write a metric with `:` or `_` after their prefix, with or without `_total`, and under Ray
with `ray_` before it.
"""

Labels = tuple[tuple[str, str], ...]
"""Names and values, sorted by names. Values are safe to show in a terminal."""


def canonical(name: str) -> str:
    """The one name for all ways to write a metric: `ray_vllm_x_total` and `vllm:x` are `vllm_x`."""
    plain = name.replace(":", "_").replace(".", "_")
    return plain.removeprefix("ray_").removesuffix("_total") or plain
