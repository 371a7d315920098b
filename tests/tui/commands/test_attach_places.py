"""What `prodtop attach` is given: discovery files, and tables of the config that name one."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from prodtop.engine.attach.asking.settings import HowAsked, NamedServer, TargetFile
from prodtop.engine.protocol.errors import BadInputError
from prodtop.tui.commands.attach_places import attach_options, given_places
from prodtop.tui.commands.main import run
from test_attach import config, served

__all__ = ["config"]  # the fixture


def test_a_discovery_file_of_the_command_line_and_a_pattern_of_the_config(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, config: Callable[[str], None]
) -> None:
    monkeypatch.chdir(tmp_path)
    config(
        """[attach.lab]
file_sd = "/etc/prodtop/lab-*.json"
token_file = "/run/token"
interval_s = 2.0

[attach.chat]
url = "http://gpu-01:8000"
"""
    )
    common = HowAsked(ca_file="/ca.pem")
    options = attach_options(given_places(["lab", "chat", "b:1"], ["own.yml"]), common, None)
    assert options.target_files == [
        TargetFile(
            path="/etc/prodtop/lab-*.json",
            token_file="/run/token",
            ca_file="/ca.pem",
            interval_s=2.0,
        ),
        TargetFile(path=str(tmp_path / "own.yml"), ca_file="/ca.pem"),
    ]
    assert [(each.name, each.url) for each in options.servers] == [
        ("chat", "http://gpu-01:8000"),
        ("b:1", "http://b:1"),
    ]
    assert all(isinstance(each, NamedServer) for each in options.servers)


@pytest.mark.parametrize(
    ("table", "said"),
    [
        ("interval_s = 1.0", "give either url or file_sd"),
        ('url = "http://a"\nfile_sd = "/a.json"', "give either url or file_sd"),
        ('file_sd = "/a.json"\nproxy = 9000', "proxy and probe_s go with url"),
        ('file_sd = "/a.json"\nprobe_s = 5.0', "proxy and probe_s go with url"),
        ('file_sd = "/a.txt"', "a discovery file ends in"),
    ],
)
def test_a_table_that_is_no_place_is_refused(
    config: Callable[[str], None], table: str, said: str
) -> None:
    config(f"[attach.lab]\n{table}\n")
    with pytest.raises(BadInputError, match=said):
        attach_options(["lab"], HowAsked(), None)


def test_once_asks_the_servers_that_a_file_names(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fleet.yml"
    with served() as told:
        address = told.url.removeprefix("http://")
        path.write_text(f"- targets: [{address}, {address}]\n  labels: {{instance: first}}\n")
        assert run(["attach", "--file-sd", str(path), "--once", "--json"]) == 0
    frame = json.loads(capsys.readouterr().out)
    assert (frame["attached"]["name"], frame["queue"]["running"]) == ("first", 3)


def test_once_says_what_is_wrong_with_a_file(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "fleet.json"
    path.write_text("[{")
    assert run(["attach", "--file-sd", str(path), "--once"]) == 2
    said = capsys.readouterr().err
    assert "is no JSON" in said
    assert "the discovery files name no server" in said
