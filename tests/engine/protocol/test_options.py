"""The worker's options cross the command line unchanged, or are refused in one line."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from prodtop.engine.protocol import LoadSpec, PrecisionName, StrategyName
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.options import WorkerOptions, from_argument, to_argument

options = st.builds(
    WorkerOptions,
    model=st.text(),
    strategy=st.sampled_from(StrategyName),
    precision=st.none() | st.sampled_from(PrecisionName),
    load=st.builds(
        LoadSpec,
        users=st.integers(1, 1000),
        rate_per_s=st.none() | st.floats(0.01, 1e6),
        seed=st.integers(0, 2**63),
    ),
    load_format=st.sampled_from(["auto", "dummy"]),
    context_tokens=st.none() | st.integers(1, 10**6),
    idle=st.booleans(),
)


@given(options=options)
@settings(deadline=None)
def test_options_survive_the_command_line(options: WorkerOptions) -> None:
    assert from_argument(to_argument(options)) == options


@pytest.mark.parametrize(
    "text", ["", "{", "[]", '{"model": 3}', '{"strategy": "fast"}', '{"unknown": 1}']
)
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(BadInputError, match="options cannot be read"):
        from_argument(text)
