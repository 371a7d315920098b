"""Where a server's guards come from: a file of their own, or the config."""

from pathlib import Path

import pytest
from prodtop.engine.protocol.errors import BadInputError
from prodtop.engine.protocol.server_options import (
    ServerOptions,
    server_argument,
    server_options_of,
)
from prodtop.engine.server.guard_words import guards_line
from prodtop.engine.server.guarding import Guarding
from prodtop.engine.server.guards.settings import GuardSettings, read_settings
from prodtop.tui.commands.guard_options import guards_of_config, guards_of_file
from prodtop.tui.settings.config import config_file

RATED = """
[guards.content]
lists = [{name = "own.txt", severity = "high"}]
[guards.pii]
prompts = false
outputs = false
[guards.rate]
requests_per_minute = 60
tokens_per_minute = 1.5e6
"""


def written(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(text)
    return file


def test_the_server_gets_the_settings_and_the_lists_beside_their_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    written(tmp_path / "lists" / "own.txt", "marzipan\n")
    written(tmp_path / "lists" / "guards.toml", RATED)
    monkeypatch.chdir(tmp_path)
    options = guards_of_file(Path("lists/guards.toml"))
    assert guards_line(options) == (
        "guards: content, injection; 60 requests/min per key; 1.5e+06 tokens/min per key"
    )
    sent = server_options_of(server_argument(ServerOptions(guards=options))).guards
    assert sent is not None
    # The server's process stands in another folder.
    monkeypatch.chdir("/")
    (verdict,) = Guarding.of(sent).judge(["some marzipan"])
    assert verdict.blocked_by is not None


def test_the_configs_table_switches_them_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert guards_of_config() is None
    written(config_file(), "[load]\nusers = 2\n")
    assert guards_of_config() is None
    written(config_file(), "[guards]\n")
    options = guards_of_config()
    assert options is not None
    assert read_settings(options.table) == GuardSettings()
    assert options.folder == str(config_file().parent)
    assert guards_line(options) == "guards: content, pii, injection"


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[guards.pii]\nphone = 'burn'\n", "guards.pii.phone"),
        ("[guards]\nnonsense = 1\n", "nonsense"),
        ("[guards.rate]\nrequests_per_minute = 0\n", "guards.rate.requests_per_minute"),
        ("[guards.review]\nmode = 'never'\n", "guards.review.mode"),
        ("[guards\n", "line 1"),
    ],
)
def test_what_cannot_be_is_one_line_with_the_key(
    text: str, said: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    written(config_file(), text)
    for read in (guards_of_config, lambda: guards_of_file(config_file())):
        with pytest.raises(BadInputError) as raised:
            read()
        assert said in str(raised.value)
        assert "\n" not in str(raised.value)


def test_a_file_of_guards_has_nothing_else_and_is_there(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match=r"--guards .*no\.toml"):
        guards_of_file(tmp_path / "no.toml")
    for text in ("", "theme = 'ember'\n[guards]\n"):
        with pytest.raises(BadInputError, match="guards"):
            guards_of_file(written(tmp_path / "guards.toml", text))
