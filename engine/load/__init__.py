"""When requests arrive, and what they ask: laws, ramps, bursts, traces. Pure: no clock."""
