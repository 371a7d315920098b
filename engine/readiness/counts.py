"""What drills need of two scrapes of `/metrics`: sums of counters, and by how much they grew."""

from ..attach.mapping.names import canonical
from ..attach.reading.exposition import Exposition, ExpositionError

NO_SCRAPE = Exposition(b"")


def read_scrape(page: bytes) -> Exposition:
    """The samples of a page; none of one beyond the bounds of a scrape."""
    try:
        return Exposition(page)
    except ExpositionError:
        return NO_SCRAPE


def total(scrape: Exposition, name: str, **labels: str) -> float | None:
    """The sum of a metric over all samples with these labels; `None` where there is none."""
    wanted = set(labels.items())
    samples = scrape.samples(canonical(name))
    values = [value for own, value in samples.items() if wanted <= set(own)]
    return sum(values) if values else None


def increase(before: Exposition, after: Exposition, name: str, **labels: str) -> float | None:
    """By how much a counter grew; `None` where it is not told after."""
    now = total(after, name, **labels)
    return None if now is None else now - (total(before, name, **labels) or 0.0)


def label_values(scrape: Exposition, name: str, label: str) -> set[str]:
    """Every value of a label of a metric whose sample is not 0."""
    samples = scrape.samples(canonical(name))
    return {dict(own)[label] for own, value in samples.items() if value and label in dict(own)}
