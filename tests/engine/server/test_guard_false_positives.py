"""The rate of false positives that a server tells of its guards: by its own rules, once it runs."""

import asyncio
import re
from pathlib import Path

from asgi_client import Client
from guarded_api import guard_metrics, guard_options
from prodtop.engine.protocol.server_options import GuardOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.guarding import Guarding
from prodtop.engine.server.guards.measured import measure_quality
from prodtop.engine.server.guards.pipeline import GuardPipeline
from prodtop.engine.server.guards.samples.sets import benign_texts
from prodtop.engine.server.guards.settings import GuardSettings
from scripted_link import ScriptedLink, serving_of
from served_folders import chat_folder


def test_rates_are_of_the_users_own_rules(tmp_path: Path) -> None:
    """Counted here without the guards: the texts with a word of the list in them."""
    (tmp_path / "own.txt").write_text("what\n")
    lists = [{"name": "own.txt", "severity": "low"}]
    own = Guarding.of(GuardOptions(table={"content": {"lists": lists}}, folder=str(tmp_path)))
    assert own.samples()["content"].false_positives is None
    own.measure_false_positives()
    expected = [text for text in benign_texts() if re.search(r"\bwhat\b", text.text, re.I)]
    found = own.samples()["content"].false_positives
    assert found is not None
    assert found.found == len(expected) > 1
    assert found.texts == len(benign_texts())
    every = own.samples()["all"].false_positives
    assert every is not None
    assert every.found >= found.found
    # What was measured is nobody's traffic.
    assert all(sample.texts == 0 for sample in own.samples().values())
    assert all(histogram.count == 0 for histogram in own.added().values())


def test_the_server_and_the_benchmark_measure_the_same() -> None:
    guarding = Guarding(GuardSettings(), Path())
    guarding.measure_false_positives()
    rates = guarding.false_positives
    for quality in measure_quality(GuardPipeline.of(GuardSettings(), Path())):
        assert rates[quality.guard] == quality.false_positives


def test_guards_that_ask_the_model_or_are_off_have_no_rate() -> None:
    table: dict[str, object] = {
        "perplexity": {"enabled": True},
        "uncertainty": {"enabled": True},
        "content": {"prompts": False, "outputs": False},
    }
    guarding = Guarding.of(GuardOptions(table=table, folder="."))
    guarding.measure_false_positives()
    rated = {
        name for name, sample in guarding.samples().items() if sample.false_positives is not None
    }
    assert rated == {"pii", "injection", "all"}


def test_the_app_measures_at_its_start_and_tells_at_metrics() -> None:
    async def measure() -> None:
        link = ScriptedLink(lambda _: [], serving_of(chat_folder()))
        app = create_app(link, guard_options())
        api, guarding = Client(app), app.state.context.guarding
        before = await guard_metrics(api)
        assert not [name for name in before if "false_positive" in name]
        async with app.router.lifespan_context(app):
            while not guarding.false_positives:
                await asyncio.sleep(0.01)
        after = await guard_metrics(api)
        for name in ("content", "pii", "injection", "all"):
            rate = guarding.false_positives[name]
            assert after[f'false_positive_ratio{{guard="{name}"}}'] == rate.hits / rate.texts
        assert rate.hits > 0

    asyncio.run(measure())
