"""Powers of two, which Triton asks of the sizes of its blocks."""


def largest_power_of_two(n: int) -> int:
    """The largest power of two up to `n`; 0 where there is none."""
    return 1 << n.bit_length() - 1 if n > 0 else 0
