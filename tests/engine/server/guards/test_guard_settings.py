"""What may stand in `[guards]` and in lists, and what is said of what may not."""

from pathlib import Path

import pytest
from prodtop.engine.files.toml_text import parse_toml
from prodtop.engine.server.guards.findings import Outcome
from prodtop.engine.server.guards.pipeline import GuardPipeline
from prodtop.engine.server.guards.settings import (
    GuardSettings,
    GuardSettingsError,
    read_settings,
)
from prodtop.engine.server.guards.word_lists import WordListError, read_list

ACTIONS = GuardSettings().content.lists[0].actions()

EXAMPLE = """
[content]
outputs = false
on_failure = "open"
lists = [
  {name = "words.txt", severity = "high", high = "redact"},
  {name = "rules.toml", low = "off"},
]
[pii]
email = "block"
[injection]
enabled = false
[rate]
requests_per_minute = 60
burst_requests = 10
[limits]
max_tokens = 512
[review]
mode = "hold"
hold_s = 30
"""


def test_an_example_is_read(tmp_path: Path) -> None:
    (tmp_path / "words.txt").write_text("# ours\nproject  falcon\n\nnarwhal # a code name\n")
    (tmp_path / "rules.toml").write_text(
        '[[rules]]\nname = "a"\nseverity = "low"\nwords = ["tulip"]\n'
        '[[rules]]\nname = "b"\npatterns = ["Ticket-\\\\d{4}", "Straße \\\\d+"]\naction = "block"\n'
    )
    settings = read_settings(parse_toml(EXAMPLE))
    pipeline = GuardPipeline.of(settings, tmp_path)
    assert pipeline.check_prompt("Project Falcon has a narwhal, and tulips: tulip").text == (
        "[REDACTED] has a [REDACTED], and tulips: tulip"
    )
    assert pipeline.check_prompt("see ticket-4711").outcome is Outcome.BLOCK
    assert pipeline.check_prompt("in der STRASSE 12").outcome is Outcome.BLOCK
    assert pipeline.check_output("project falcon").outcome is Outcome.PASS
    assert pipeline.check_prompt("a@b.cd").outcome is Outcome.BLOCK


def test_nothing_given_are_the_defaults() -> None:
    assert read_settings({}) == GuardSettings()


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("pii.email = 'drop'", "guards.pii.email"),
        ("pii.emails = 'flag'", "guards.pii"),
        ("content.on_failure = 1", "guards.content.on_failure"),
        ("content.lists = [{nam = 'x'}]", "guards.content.lists[0]"),
        ("rate.requests_per_minute = 0", "guards.rate.requests_per_minute"),
        ("rate.burst_tokens = 1.5", "guards.rate.burst_tokens"),
        ("limits.n = 0", "guards.limits.n"),
        ("review.mode = 'never'", "guards.review.mode"),
        ("review.hold_s = -1", "guards.review.hold_s"),
        ("perplexity.action = 'off'", "guards.perplexity.action"),
        ("unknown = 1", "guards"),
    ],
)
def test_what_is_wrong_names_its_key_in_one_line(text: str, key: str) -> None:
    with pytest.raises(GuardSettingsError) as error:
        read_settings(parse_toml(text))
    assert str(error.value).startswith(f"{key}: ")
    assert "\n" not in str(error.value)


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("[[rules]]\nname = 'r'\npatterns = ['a(']", "rule r: pattern a(: `(` without"),
        ("[[rules]]\nname = 'r'\npatterns = ['[b-a]']", None),
        ("[[rules]]\nname = 'r'\nwords = [' ']", "1 to 256 characters"),
        ("[[rules]]\nname = 'r'\nword = ['a']", "unknown field"),
        ("[[rules]]\nwords = ['a']", "name"),
        ("[[rules]\n", "line 1"),
        ("rules = 1", "rules"),
    ],
)
def test_a_list_that_cannot_be_used_says_why(
    tmp_path: Path, content: str, reason: str | None
) -> None:
    (tmp_path / "list.toml").write_text(content)
    settings = read_settings({"content": {"lists": [{"name": "list.toml"}]}})
    with pytest.raises(Exception, match=r"list\.toml|r: ") as error:
        GuardPipeline.of(settings, tmp_path)
    assert reason is None or reason in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("name", ["none.txt", "bundled:none", "bundled:../settings", "."])
def test_a_list_that_is_not_there(tmp_path: Path, name: str) -> None:
    with pytest.raises(Exception, match=r"no such list|folder"):
        read_list(name, tmp_path, ACTIONS)


@pytest.mark.parametrize("name", ["injection", "harm", "profanity"])
def test_every_shipped_list_is_read(name: str) -> None:
    rules = read_list(f"bundled:{name}", Path(), ACTIONS)
    assert rules.words or rules.patterns


def test_errors_of_lists_are_for_users() -> None:
    with pytest.raises(WordListError):
        read_list("bundled:none", Path(), ACTIONS)


def test_the_examples_of_the_manual_are_read(tmp_path: Path) -> None:
    page = (Path(__file__).parents[4] / "docs" / "production.md").read_text(encoding="utf-8")
    blocks = [block.partition("```")[0] for block in page.split("```toml\n")[1:]]
    (settings_text,) = (block for block in blocks if block.startswith("[guards"))
    (rules_text,) = (block for block in blocks if block.startswith("[[rules]]"))
    guards = parse_toml(settings_text)["guards"]
    (tmp_path / "ours.txt").write_text("one\n")
    (tmp_path / "rules.toml").write_text(rules_text)
    settings = read_settings(guards)
    assert settings.review.mode == "hold"
    assert GuardPipeline.of(settings, tmp_path).check_output("One!").text == "[REDACTED]!"
    rules = read_list("rules.toml", tmp_path, ACTIONS)
    assert (len(rules.words), len(rules.patterns)) == (1, 1)
