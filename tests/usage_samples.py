"""Usage and results whose figures a test writes down: no engine has measured them."""

import msgspec
from hypothesis import strategies as st
from prodtop.engine.protocol import Usage

USAGE = Usage(
    span_s=60.0,
    requests=30,
    prefill_tokens=6000,
    decode_tokens=1500,
    cached_prompt_tokens=2000,
    cached_output_tokens=500,
    device_s=45.0,
    prefill_device_s=15.0,
    mbu=0.45,
    mfu=0.15,
    energy_j=18_000.0,
)
"""A minute: three quarters of it busy, a third of that for prompts."""


def usage(**fields: object) -> Usage:
    """`USAGE` with other fields."""
    return msgspec.structs.replace(USAGE, **fields)


@st.composite
def usages(draw: st.DrawFn) -> Usage:
    """Any usage that an engine could tell."""
    amount = st.integers(0, 10**9)
    share = st.floats(0.0, 1.0)
    span_s = draw(st.floats(0.0, 1e6))
    device_s = span_s * draw(share)
    return Usage(
        span_s=span_s,
        requests=draw(amount),
        prefill_tokens=draw(amount),
        decode_tokens=draw(amount),
        cached_prompt_tokens=draw(amount),
        cached_output_tokens=draw(amount),
        device_s=device_s,
        prefill_device_s=device_s * draw(share),
        mbu=draw(st.none() | share),
        mfu=draw(st.none() | share),
        energy_j=draw(st.none() | st.floats(0.0, 1e9)),
    )
