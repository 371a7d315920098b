"""`[guards]` of the configuration: what is guarded, by which lists, and what becomes of it."""

from typing import Annotated, Literal

import msgspec

from ...protocol.errors import BadInputError
from ...text.cleaning import clean
from .findings import ActionName, Severity
from .perplexity import PerplexitySettings

Action = ActionName | Literal["off"]
OnFailure = Literal["open", "closed"]
Count = Annotated[int, msgspec.Meta(ge=1, le=2**31)]
Seconds = Annotated[float, msgspec.Meta(gt=0, le=1e8)]


class GuardSettingsError(BadInputError):
    """Settings of guards that cannot be: says which key, and why."""


class _Table(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    pass


class ListSettings(_Table, frozen=True, kw_only=True):
    """A list of a guard. `name`: a file, sought from the config's folder, or `bundled:NAME`.

    `low`, `medium` and `high` are what is done about rules of that severity which do not say so
    themselves; `severity` is that of a text file's words.
    """

    name: str
    severity: Severity = "medium"
    low: Action = "flag"
    medium: Action = "flag"
    high: Action = "block"

    def actions(self) -> dict[Severity, ActionName | None]:
        """The action of each severity; `None` leaves its rules out."""
        return {"low": some(self.low), "medium": some(self.medium), "high": some(self.high)}


class ContentSettings(_Table, frozen=True, kw_only=True):
    """`[guards.content]`: lists of words and patterns for prompts, answers or both."""

    prompts: bool = True
    outputs: bool = True
    on_failure: OnFailure = "closed"
    lists: tuple[ListSettings, ...] = (
        ListSettings(name="bundled:harm"),
        ListSettings(name="bundled:profanity"),
    )


class PiiSettings(_Table, frozen=True, kw_only=True):
    """`[guards.pii]`: personal data and secrets, each kind with its action."""

    prompts: bool = True
    outputs: bool = True
    on_failure: OnFailure = "closed"
    email: Action = "redact"
    phone: Action = "redact"
    card: Action = "redact"
    iban: Action = "redact"
    token: Action = "redact"
    private_key: Action = "redact"
    assigned_secret: Action = "redact"

    def action_of(self, kind: str) -> ActionName | None:
        """The action of a kind of data; `None` where it is not looked for."""
        actions: dict[str, Action] = {
            "email": self.email,
            "phone": self.phone,
            "card": self.card,
            "iban": self.iban,
            "token": self.token,
            "private_key": self.private_key,
            "assigned_secret": self.assigned_secret,
        }
        return some(actions[kind])


class InjectionSettings(_Table, frozen=True, kw_only=True):
    """`[guards.injection]`: prompts that try to take a model's instructions away. Heuristics."""

    enabled: bool = True
    on_failure: OnFailure = "closed"
    hidden_text: Action = "block"
    lists: tuple[ListSettings, ...] = (ListSettings(name="bundled:injection"),)


class RateSettings(_Table, frozen=True, kw_only=True):
    """`[guards.rate]`: per key; absent limits do not hold. A burst is what a key may use at once,
    by default what it may use in a minute. `count_blocked`: a prompt that a guard blocked counts as
    a request."""

    requests_per_minute: Annotated[float, msgspec.Meta(gt=0, le=1e9)] | None = None
    tokens_per_minute: Annotated[float, msgspec.Meta(gt=0, le=1e12)] | None = None
    burst_requests: Count | None = None
    burst_tokens: Count | None = None
    most_keys: Count = 100_000
    count_blocked: bool = True


class LimitSettings(_Table, frozen=True, kw_only=True):
    """`[guards.limits]`: the largest request; `None` leaves it to the engine."""

    body_bytes: Count = 4 << 20
    prompt_tokens: Count | None = None
    max_tokens: Count | None = None
    n: Count = 8
    stop: Count = 4


class ReviewSettings(_Table, frozen=True, kw_only=True):
    """`[guards.review]`: what people look at. `mode` `hold`: an answer waits for a verdict, for
    `hold_s` at most, then it is `on_timeout`. `after`: it goes out, and is looked at later. `file`:
    the queue's, sought from the config's folder; without one it is in prodtop's data folder."""

    mode: Literal["off", "after", "hold"] = "off"
    hold_s: Seconds = 300.0
    on_timeout: Literal["refuse", "release"] = "refuse"
    lease_s: Seconds = 600.0
    retention_s: Seconds = 30 * 86_400.0
    most_items: Count = 10_000
    rubric: str = "Is this text acceptable to send?"
    file: str = ""


class UncertaintySettings(_Table, frozen=True, kw_only=True):
    """`[guards.uncertainty]`: flag answers whose score is `above` so much. It costs the logprobs of
    every token."""

    enabled: bool = False
    above: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.95


class GuardSettings(_Table, frozen=True, kw_only=True):
    """All of `[guards]`."""

    content: ContentSettings = ContentSettings()
    pii: PiiSettings = PiiSettings()
    injection: InjectionSettings = InjectionSettings()
    perplexity: PerplexitySettings = PerplexitySettings()
    uncertainty: UncertaintySettings = UncertaintySettings()
    rate: RateSettings = RateSettings()
    limits: LimitSettings = LimitSettings()
    review: ReviewSettings = ReviewSettings()


def some(action: Action) -> ActionName | None:
    """An action, or `None` for `off`."""
    return None if action == "off" else action


def read_settings(table: object) -> GuardSettings:
    """The settings of a `[guards]` table as TOML gives it. Raises `GuardSettingsError`."""
    try:
        return msgspec.convert(table, GuardSettings)
    except msgspec.ValidationError as error:
        what, _, path = str(error).partition(" - at `$")
        key = f"guards{path.removesuffix('`')}"
        raise GuardSettingsError(f"{clean(key)}: {clean(what[:1].lower() + what[1:])}") from None
