"""Readiness on the screen: what keys prove, what is written of it, and what `n` does."""

import pytest
from frames import frame, ready
from prodtop.engine.protocol import Progress, QualityDone, RunQuality
from prodtop.engine.readiness.items import Item
from prodtop.engine.readiness.store import proofs_file, read_proofs
from prodtop.engine.records.snapshot import list_snapshots
from prodtop.tui.app import ProdtopApp
from quality_samples import BF16, INT8, LEVELS, REFERENCE, measured
from running_app import RunningApp, open_app, terminal_text

INT8_LEVEL = LEVELS[INT8]
SIZES = [(80, 24), (120, 36), (160, 48)]


async def open_view(running: RunningApp) -> None:
    await running.advance([ready(), frame()])
    await running.pilot.press("O", "i")
    await running.advance([])


def said(app: ProdtopApp) -> str:
    answer = app.monitor.moment().answer
    return "" if answer is None else answer.text


@pytest.mark.parametrize("size", SIZES)
async def test_the_view_lists_every_item_at_every_size(size: tuple[int, int]) -> None:
    async with open_app(size=size) as running:
        await open_view(running)
        text = terminal_text(running.app)
        assert "not ready: 8 of 8 items are open" in text
        assert "quantization validated" in text
        assert "Readiness" in text


async def test_a_snapshot_proves_itself() -> None:
    async with open_app() as running:
        await open_view(running)
        await running.pilot.press("s")
        await running.advance([])
        (proof,) = read_proofs().proofs
        assert proof.item is Item.SNAPSHOT
        assert proof.subject.model == frame().model.name
        assert proof.subject.checkpoint is None
        assert proof.figures == {
            "bytes": float(list_snapshots()[0].stat().st_size),
            "read_back": 1.0,
        }
        assert "not ready: 7 of 8" in terminal_text(running.app)


async def test_a_quality_run_proves_every_precision_that_it_measured() -> None:
    async with open_app() as running:
        await open_view(running)
        await running.pilot.press("n")
        assert any(isinstance(each, RunQuality) for each in running.client.sent)
        await running.advance([Progress(what="scoring", fraction=0.5), REFERENCE, INT8_LEVEL])
        assert read_proofs().proofs == ()
        await running.advance([*measured()])
        proofs = {proof.subject.precision: proof for proof in read_proofs().proofs}
        assert set(proofs) == {name.value for name in LEVELS}
        assert proofs[BF16].figures["perplexity_ratio"] == 1.0
        assert INT8_LEVEL.ratio is not None
        assert proofs[INT8].figures["perplexity_ratio_high"] == INT8_LEVEL.ratio.high


async def test_a_cancelled_run_proves_nothing() -> None:
    async with open_app() as running:
        await open_view(running)
        await running.pilot.press("n")
        await running.advance([REFERENCE])
        await running.pilot.press("Q", "x")
        await running.advance([QualityDone()])
        assert read_proofs().proofs == ()


async def test_n_goes_from_item_to_item_and_names_the_command() -> None:
    async with open_app() as running:
        await open_view(running)
        await running.pilot.press("n")
        await running.advance([*measured()])
        await running.pilot.press("n")
        await running.advance([])
        assert len(list_snapshots()) == 1
        await running.pilot.press("n")
        assert "prodtop ready --run batching" in said(running.app)


async def test_a_file_that_cannot_be_written_is_told() -> None:
    proofs_file().mkdir(parents=True)
    async with open_app() as running:
        await open_view(running)
        await running.pilot.press("s")
        assert "cannot keep proofs" in said(running.app)
        assert len(list_snapshots()) == 1
