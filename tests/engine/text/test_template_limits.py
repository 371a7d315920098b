"""Templates that run for ever, or make too much: refused by name, and nothing is left behind."""

import os
import signal
import subprocess
import sys
import threading

import psutil
import pytest
from prodtop.engine.protocol.errors import BadInputError, CheckpointError
from prodtop.engine.text import template_process
from prodtop.engine.text.chat_template import ChatMessage, ChatTemplate
from prodtop.engine.text.template_process import TemplateProcess

HELLO = [ChatMessage("user", "hello")]
ENDLESS = "{% for a in range(99999) %}{% for b in range(99999) %}{% endfor %}{% endfor %}"
AT_ONCE = {
    "a constant": "{{ 'a' * 10 ** 10 }}",
    "repeated": "{% set n = messages | length + 9 %}{{ 'a' * 10 ** n }}",
    "padded": "{{ 'a' | center(10 ** 9) }}",
    "formatted": "{{ '%2000000000d' % 1 }}",
    "doubled": (
        "{% set ns = namespace(x='aa') %}"
        "{% for i in range(60) %}{% set ns.x = ns.x ~ ns.x %}{% endfor %}{{ ns.x }}"
    ),
    "written": "{% for i in range(99999) %}{{ messages[0].content * 999 }}{% endfor %}",
}


@pytest.mark.parametrize("case", AT_ONCE)
def test_what_makes_too_much_is_refused(case: str) -> None:
    template = ChatTemplate(AT_ONCE[case], {}, "the file")
    with pytest.raises(CheckpointError, match=r"the file: refused: it (needs|writes) more than"):
        template.render(HELLO)


@pytest.mark.parametrize(
    "text", [ENDLESS, "{{ (10 + messages | length) ** (10 ** 9) }}"], ids=["loops", "one operation"]
)
def test_what_runs_for_too_long_is_refused_once_and_for_all(
    text: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(template_process, "WALL_LIMIT_S", 0.5)
    template = ChatTemplate(text, {}, "the file")
    for _ in range(2):
        with pytest.raises(CheckpointError, match="the file: refused: it runs for more than"):
            template.render(HELLO)
        monkeypatch.setattr(template_process, "WALL_LIMIT_S", 0.0)
    monkeypatch.undo()
    assert ChatTemplate("{{ messages[0].content }}", {}, "here").render(HELLO) == "hello"


def test_the_process_counts_its_own_time_too() -> None:
    """It ends by itself where nobody waits for it any more."""
    template = ChatTemplate(ENDLESS, {}, "the file")
    with pytest.raises(CheckpointError, match="it runs for more than 2 s"):
        template.render(HELLO)


def test_a_process_that_was_killed_is_started_again() -> None:
    process = TemplateProcess()
    assert process.render("a", [{}]) == ["a"]
    assert process._process is not None
    os.kill(process._process.pid, signal.SIGKILL)
    process._process.wait()
    assert process.render("b", [{}, {}]) == ["b", "b"]
    process.close()


def test_it_outlives_the_thread_that_first_needed_it() -> None:
    process = TemplateProcess()
    first: list[list[str | BadInputError]] = []
    thread = threading.Thread(target=lambda: first.append(process.render("a", [{}])))
    thread.start()
    thread.join()
    running = process._process
    assert first == [["a"]]
    assert process.render("b", [{}]) == ["b"]
    assert process._process is running
    process.close()


def test_a_conversation_that_takes_too_much_spoils_no_other() -> None:
    template = ChatTemplate("{{ 'a' * (messages[0].content | length) ** 7 }}", {}, "the file")
    with pytest.raises(CheckpointError, match="refused"):
        template.render([ChatMessage("user", "a long text")])
    assert template.render([ChatMessage("user", "b")]) == "a"


def test_it_ends_with_its_parent_within_an_endless_operation() -> None:
    parent = (
        "from prodtop.engine.text.template_process import TemplateProcess\n"
        "process = TemplateProcess()\n"
        "process.render('a', [{}])\n"
        "print(process._process.pid, flush=True)\n"
        "process.render('{{ (10 + n) ** (10 ** 9) }}', [{'n': 1}])\n"
    )
    with subprocess.Popen([sys.executable, "-c", parent], stdout=subprocess.PIPE) as running:
        assert running.stdout is not None
        child = psutil.Process(int(running.stdout.readline()))
        running.kill()
        running.wait()
    psutil.wait_procs([child], timeout=10)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
