"""Suites that say whether a server is what it claims to be: llm-comply, schemathesis."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from asgi_client import Json
from client_scripts import program_of, run_program
from http_server_thread import serving_app
from prodtop.engine.model.loading import BUNDLED_FOLDER
from prodtop.engine.protocol.server_options import ServerOptions
from prodtop.engine.server.app import create_app
from prodtop.engine.server.openapi import OPERATIONS
from scripted_link import ScriptedLink, outputs, serving_of
from serve_process import serving_process
from served_folders import chat_folder, ids_of

CONTEXT_TOKENS = 256
EXAMPLES = 20
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
)
HOOKS = Path(__file__).with_name("schemathesis_hooks.py")


def talkative(parent: Path) -> Path:
    """The bundled model, whose turn ends with a paragraph or a sentence: as a chat model's does
    with a token of its own. Left alone it goes on for chapters."""
    folder = parent / "bundled"
    folder.mkdir()
    for each in BUNDLED_FOLDER.iterdir():
        if each.is_file():
            shutil.copy(each, folder / each.name)
    ends = [0, *ids_of("\n\n"), *ids_of("."), *ids_of(',"')]
    (folder / "generation_config.json").write_text(json.dumps({"eos_token_id": ends}))
    return folder


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    folder = talkative(tmp_path_factory.mktemp("bundled"))
    with serving_process(
        "--model", str(folder), "--context-tokens", str(CONTEXT_TOKENS)
    ) as url:  # fmt: skip
        yield url


def comply(url: str, folder: Path, *options: str) -> dict[str, Json]:
    """llm-comply's findings, by the test's id."""
    _, text = run_program(
        "llm-comply", "llm-comply", "--base-url", f"{url}/v1", "--api-key", "none",
        "--model", "bundled", "--format", "openai-chat", "--json", *options,
        folder=folder,
    )  # fmt: skip
    return {each["id"]: each for each in json.loads(text)["results"]}


def test_the_suite_finds_what_is_meant_alone(
    request: pytest.FixtureRequest, tmp_path: Path
) -> None:
    """What is asked of a model that sees images or reasons is refused; a request without a model
    gets the one that there is, as of vLLM."""
    program_of("llm-comply", "llm-comply")
    found = comply(request.getfixturevalue("served"), tmp_path)
    # A model that was never taught to call tools may not come to an end of its calls.
    del found["chat-tool-calling"]
    others = {name: each for name, each in found.items() if each["status"] != "passed"}
    assert set(others) == {"chat-image-input", "chat-reasoning-summary", "chat-error-handling"}
    assert others["chat-reasoning-summary"]["status"] == "skipped"
    assert others["chat-image-input"]["errors"][0] == "HTTP 400 (expected [200])"
    assert others["chat-error-handling"]["errors"] == ["HTTP 200 (expected [400, 422])"]
    assert not [each["warnings"] for each in found.values() if each.get("warnings")]


def test_the_suite_gets_its_call_of_a_tool(tmp_path: Path) -> None:
    """Of a model that calls it."""
    program_of("llm-comply", "llm-comply")
    call = json.dumps([{"name": "get_weather", "parameters": {"location": "San Francisco"}}])
    link = ScriptedLink(
        lambda _: outputs([*ids_of(call), 0], finish_reason="stop"), serving_of(chat_folder())
    )
    with serving_app(create_app(link, ServerOptions())) as port:
        asked = ("--model", "scripted", "--filter", "chat-tool-calling")
        found = comply(f"http://127.0.0.1:{port}", tmp_path, *asked)
    assert found["chat-tool-calling"]["status"] == "passed", found
    assert not found["chat-tool-calling"].get("warnings")


def test_random_requests_get_what_the_description_says(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    program_of("schemathesis", "schemathesis")
    monkeypatch.setenv("SCHEMATHESIS_HOOKS", HOOKS.stem)
    monkeypatch.setenv("PYTHONPATH", str(HOOKS.parent))
    code, text = run_program(
        "schemathesis", "schemathesis", "run", f"{request.getfixturevalue('served')}/openapi.json",
        "--phases", "examples,fuzzing", "--checks", ",".join(CHECKS),
        "--max-examples", str(EXAMPLES), "--generation-deterministic", "--request-timeout", "60",
        folder=tmp_path,
    )  # fmt: skip
    assert code == 0, text[-6000:]
    # The description's own route is not described to a client that has it already.
    assert f"Tested: {len(OPERATIONS) - 1}" in text
