"""Models of the Hugging Face hub: which names are ids, and how their files come to this machine.

Where the hub is, where its files are kept and with which token it is asked are settings of
`huggingface_hub` itself: `HF_ENDPOINT`, `HF_HOME`, `HF_TOKEN`, `HF_HUB_OFFLINE`.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import TYPE_CHECKING, cast

from ..protocol.errors import CheckpointError
from ..text.cleaning import clean

if TYPE_CHECKING:
    from huggingface_hub.utils.tqdm import tqdm

DownloadCallback = Callable[[float], None]

_ID = re.compile(r"(?P<repository>[\w.-]+/[\w.-]+)(?:@(?P<revision>[\w./-]+))?")
_CONFIG_FILES = ["config.json", "generation_config.json"]
_TOKENIZER_FILES = [
    "tokenizer.json",
    "tokenizer_config.json",
    "special_tokens_map.json",
    "added_tokens.json",
    "chat_template.jinja",
    "chat_template.json",
    "additional_chat_templates/*.jinja",
]
_WEIGHT_FILES = ["model*.safetensors", "model.safetensors.index.json"]


@dataclass(frozen=True, slots=True)
class HubId:
    """A model of the hub: `organization/name`, and a branch, tag or commit if one is asked for."""

    repository: str
    revision: str | None = None

    @property
    def name(self) -> str:
        return self.repository.partition("/")[2]


def parse_hub_id(text: str) -> HubId | None:
    """The id that `text` is, as `organization/name[@revision]`; `None` where it is none."""
    match = _ID.fullmatch(text)
    if match is None or set(match["repository"].split("/")) & {".", ".."}:
        return None
    return HubId(match["repository"], match["revision"])


def download(
    model: HubId, *, with_weights: bool, on_progress: DownloadCallback | None = None
) -> Path:
    """The folder with the model's files, fetched from the hub as far as they are not here yet.

    Without weights only the shape comes. `on_progress` is told the share of bytes, from a thread of
    its own. Raises `CheckpointError` where the hub cannot be reached and the files are not here,
    where it has no such model, and where it does not give it to everybody.
    """
    # Imported when needed: it reads its settings then, and takes a good part of a second.
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        GatedRepoError,
        HfHubHTTPError,
        LocalEntryNotFoundError,
        RepositoryNotFoundError,
        RevisionNotFoundError,
    )

    # The first base is that of all errors of the HTTP library that the client is built on.
    http_error = cast(type[Exception], HfHubHTTPError.__bases__[0])
    files = _CONFIG_FILES + (_TOKENIZER_FILES + _WEIGHT_FILES if with_weights else [])
    try:
        count = _Count(_missing_bytes(model, files), on_progress)
        folder = snapshot_download(
            model.repository,
            revision=model.revision,
            allow_patterns=files,
            tqdm_class=_counting_bar(count),
        )
    except GatedRepoError as error:
        raise _refusal(model, "its owners ask for consent: give it there, set HF_TOKEN") from error
    except RepositoryNotFoundError as error:
        raise _refusal(model, "the hub has no such model, or only with HF_TOKEN") from error
    except RevisionNotFoundError as error:
        raise _refusal(model, f"the hub has no revision {model.revision!r} of it") from error
    except LocalEntryNotFoundError as error:
        raise _refusal(model, "the hub cannot be reached") from error
    except (http_error, OSError, ValueError) as error:
        raise _refusal(model, clean(str(error)) or type(error).__name__) from error
    return Path(folder)


def _refusal(model: HubId, reason: str) -> CheckpointError:
    return CheckpointError(
        f"{model.repository} is neither here nor can it be downloaded ({reason}): copy its folder "
        f"(config.json, tokenizer.json, *.safetensors) here and give its path, as ./{model.name}"
    )


def _missing_bytes(model: HubId, files: list[str]) -> int:
    """How many bytes of `files` are not on this machine; 0 where the hub does not say."""
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import DryRunError

    try:
        plan = snapshot_download(
            model.repository, revision=model.revision, allow_patterns=files, dry_run=True
        )
    except DryRunError:
        return 0
    return sum(file.file_size or 0 for file in plan if file.will_download)


class _Count:
    """Adds up the bytes that several threads fetch, and tells their share of `total`."""

    def __init__(self, total: int, report: DownloadCallback | None) -> None:
        self._total = total
        self._report = report
        self._lock = Lock()
        self._bytes: dict[int, float] = {}

    def add(self, bar: int, count: float) -> None:
        """Bar number `bar` went on: one counts bytes received, another bytes written."""
        if self._report is None or not self._total:
            return
        with self._lock:
            self._bytes[bar] = self._bytes.get(bar, 0.0) + count
            self._report(min(1.0, max(self._bytes.values()) / self._total))


def _counting_bar(count: _Count) -> type["tqdm"]:
    """A progress bar that draws nothing and counts the bytes it is told of."""
    from huggingface_hub.utils.tqdm import tqdm

    class CountingBar(tqdm):
        def __init__(self, *arguments: object, **settings: object) -> None:
            settings["disable"] = True
            super().__init__(*arguments, **settings)  # type: ignore[no-untyped-call]  # tqdm's
            self._counts_bytes = settings.get("unit") == "B"

        def update(self, n: float | None = 1) -> None:
            if self._counts_bytes:
                count.add(id(self), n or 0)

    return CountingBar
