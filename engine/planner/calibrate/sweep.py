"""What calibration measures: shapes, sizes and payloads."""

SHAPES = tuple(
    (tokens, outputs, inputs)
    for tokens in (1024, 4096, 16_384)
    for outputs, inputs in (
        (2048, 2048),
        (6144, 4096),
        (4096, 4096),
        (28_672, 4096),
        (4096, 14_336),
    )
)
"""[m, k] × [k, n] as (m, n, k): tokens of a micro-batch through layers of 1B to 8B models, where
the part of a wave that is lost still shows."""
CPU_SHAPES = ((64, 256, 256), (64, 1024, 1024), (256, 512, 512), (256, 1024, 1024))
"""Enough to see a CPU's peak in a second."""

COPY_BYTES = (2**12, *(2**power for power in range(27, 31)))
"""A kernel's start by itself, then what no cache holds (50 MB on an H100, 126 MB on a B200)."""
CPU_COPY_BYTES = (2**12, 2**25, 2**26)

PAYLOAD_BYTES = tuple(2**power for power in range(12, 31, 2))
"""Whole tensors of collectives, 4 KiB to 1 GiB."""
CPU_PAYLOAD_BYTES = tuple(2**power for power in range(10, 23, 4))
"""The same between processes of one host, 1 KiB to 4 MiB."""
