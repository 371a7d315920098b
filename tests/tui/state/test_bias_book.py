"""The indicator of bias that the screen reads: as it is kept, also once another process kept it."""

import pytest
from prodtop.engine.server.guards import bias_file
from prodtop.engine.server.guards.bias_file import KeptBias, keep_bias
from prodtop.tui.state.bias_book import BiasBook
from production_samples import kept_bias


def test_the_newest_indicator_of_a_model_is_shown_and_read_once(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    reads: list[str] = []
    load = bias_file.load_bias

    def counted(model: str) -> KeptBias | None:
        reads.append(model)
        return load(model)

    monkeypatch.setattr(bias_file, "load_bias", counted)
    book = BiasBook()
    assert [book.look("one"), book.look("one")] == [None, None]
    first = kept_bias("one", 5.0)
    path = keep_bias(first.report, 5.0)
    assert [book.look("one"), book.look("one")] == [first, first]
    assert reads == ["one", "one"], "once without the file, and once with it"
    assert book.look("two") is None
    keep_bias(first.report, 1234567.0)
    assert book.look("one") == kept_bias("one", 1234567.0)
    assert book.look("one") == kept_bias("one", 1234567.0)
    assert reads == ["one", "one", "two", "one"]
    path.write_text("{")
    assert book.look("one") is None
    path.unlink()
    assert book.look("one") is None
