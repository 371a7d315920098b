"""Whether a system is steady: whether both sides of Little's law (`little.py`) agree.

By itself, so that who is told both sides need not load what measures them.
"""

TOLERANCE = 0.2
LEAST_DIFFERENCE = 1.0
"""The two sides agree if they differ by less than a fifth of the greater, or by one request."""


def unsteady(mean_in_system: float | None, rate_times_residence: float | None) -> bool:
    """Whether the two sides of the law are too far apart for a steady state."""
    if mean_in_system is None or rate_times_residence is None:
        return False
    greater = max(mean_in_system, rate_times_residence)
    difference = abs(mean_in_system - rate_times_residence)
    return difference > max(LEAST_DIFFERENCE, TOLERANCE * greater)
