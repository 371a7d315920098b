"""Personal data and secrets: what is taken away, and what only looks like it."""

from collections.abc import Callable, Iterator

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.server.guards.checksums import IBAN_CHARS, has_luhn_digit, is_card, is_iban
from prodtop.engine.server.guards.findings import ActionName, Outcome
from prodtop.engine.server.guards.patterns import PatternRule
from prodtop.engine.server.guards.personal_data import personal_rules
from prodtop.engine.server.guards.pipeline import GuardPipeline, pii_guard
from prodtop.engine.server.guards.secrets import bits_per_char, secret_rules
from prodtop.engine.server.guards.settings import PiiSettings

PIPELINE = GuardPipeline([pii_guard(PiiSettings())], [])


def redacted(text: str) -> str:
    return PIPELINE.check_prompt(text).text


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Mail alice@example.com.", "Mail [EMAIL]."),
        ("<bob.smith+x@mail.example.co.uk>", "<[EMAIL]>"),
        ("请写信给alice@example.com谢谢", "请写信给[EMAIL]谢谢"),
        ("call +49 170 1234567, or", "call [PHONE], or"),
        ("Tel.:(415) 555-0132;", "Tel.:[PHONE];"),
        ("1-415-555-0132", "[PHONE]"),
        ("card 4111 1111 1111 1111 123", "card [CARD] 123"),
        ("2024 4111111111111111", "2024 [CARD]"),
        ("3782 822463 10005", "[CARD]"),
        ("IBAN DE89 3704 0044 0532 0130 00 BIC", "IBAN [IBAN] BIC"),
        ("gb82west12345698765432", "[IBAN]"),
        ("use ghp_16C7e42F292c6912E7710c838347Ae178B4a now", "use [TOKEN] now"),
        ("AKIAIOSFODNN7EXAMPLE", "[TOKEN]"),
        ("a eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxIn0.dozjgNryP4J3jVmN b", "a [TOKEN] b"),
        ('api_key = "tQ4x9LkP2mZr7VwB1nYsKc3D";', 'api_key = "[ASSIGNED_SECRET]";'),
        (
            "-----BEGIN EC PRIVATE KEY-----\nMHcC\n-----END EC PRIVATE KEY-----\nbye",
            "[PRIVATE_KEY]\nbye",
        ),
        ("a@b.cd alice@example.com", "[EMAIL] [EMAIL]"),
    ],
)
def test_what_is_taken_away(text: str, expected: str) -> None:
    assert redacted(text) == expected


@pytest.mark.parametrize(
    "text",
    [
        "4111 1111 1111 1112", "1234567812345678", "0000000000000000", "41111111111111111111111",
        "DE89 3704 0044 0532 0130 01", "DE8937040044053201300", "XX12 3456 7890 1234 5678",
        "alice@example", "@alice", "alice at example.com", "a@b", "2024-03-15", "05-10-2024 12",
        "10.15.7.2024", "978-3-16-148410-0", "550e8400-e29b-41d4-a716-446655440000", "sk-learn",
        "sk-navigation-item-active-and-visible", "eyJhbGciOiJI", "token: continue_processing_next",
        "-----BEGIN CERTIFICATE-----", "AKIA", "key = user_profile_settings_email",
    ],
)  # fmt: skip
def test_what_only_looks_like_it_stays(text: str) -> None:
    assert redacted(text) == text


@given(digits=st.text("0123456789", min_size=1, max_size=20), place=st.data())
def test_luhn_notices_every_wrong_digit(digits: str, place: st.DataObject) -> None:
    check = next(digit for digit in "0123456789" if has_luhn_digit(digits + digit))
    at = place.draw(st.integers(0, len(digits)))
    number = digits + check
    wrong = number[:at] + str((int(number[at]) + 1) % 10) + number[at + 1 :]
    assert not has_luhn_digit(wrong)


@given(
    country=st.sampled_from(sorted(IBAN_CHARS)),
    chars=st.text("0123456789ABCXYZ", min_size=40, max_size=40),
    lower=st.booleans(),
)
def test_any_iban_is_found_in_groups_of_four(country: str, chars: str, lower: bool) -> None:
    account = chars[: IBAN_CHARS[country] - 4]
    value = int("".join(str(int(char, 36)) for char in f"{account}{country}00"))
    iban = f"{country}{98 - value % 97:02d}{account}"
    assert is_iban(iban)
    assert not is_iban(iban[:-1])
    grouped = " ".join(iban[at : at + 4] for at in range(0, len(iban), 4))
    text = f"to {grouped.lower() if lower else grouped}."
    assert redacted(text) == "to [IBAN]."


@given(
    prefix=st.sampled_from(["4", "51", "55", "2221", "6011", "65"]),
    digits=st.text("0123456789", min_size=20, max_size=20),
    separator=st.sampled_from(["", " ", "-"]),
)
def test_any_card_is_found(prefix: str, digits: str, separator: str) -> None:
    fifteen = (prefix + digits)[:15]
    number = next(fifteen + digit for digit in "0123456789" if has_luhn_digit(fifteen + digit))
    assert is_card(number)
    grouped = separator.join(number[at : at + 4] for at in range(0, 16, 4))
    assert redacted(f"pay with {grouped} today") == "pay with [CARD] today"


def test_random_letters_are_told_from_written_ones() -> None:
    assert bits_per_char("aaaa") == 0
    assert bits_per_char("abcd") == 2


@pytest.mark.parametrize("rules", [personal_rules, secret_rules])
def test_what_is_off_is_not_looked_for(
    rules: Callable[[Callable[[str], ActionName | None]], Iterator[PatternRule]],
) -> None:
    assert list(rules(lambda _kind: None)) == []


def test_each_kind_has_its_own_action() -> None:
    settings = PiiSettings(email="block", phone="flag", token="flag", card="off")
    pipeline = GuardPipeline([pii_guard(settings)], [])
    assert pipeline.check_prompt("x a@b.cd y").outcome is Outcome.BLOCK
    flagged = "call +49 170 1234567 with sk-abcdefghij0123456789 and all the rest"
    verdict = pipeline.check_prompt(flagged)
    assert (verdict.outcome, verdict.text) == (Outcome.FLAG, flagged)
    assert pipeline.check_prompt("4111 1111 1111 1111").findings == ()
