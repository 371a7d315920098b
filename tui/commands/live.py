"""`prodtop`: the live monitor."""

import gc
import sys
from collections.abc import Callable, Container, Sequence
from pathlib import Path
from typing import Annotated

import msgspec
import typer

from ...engine.attach.asking.settings import USUAL_PROBE_S
from ...engine.client.local_engine import CLOSING_DRAIN_S, LocalEngine
from ...engine.client.recorded_engine import RecordedEngine
from ...engine.protocol.errors import BadInputError
from ...engine.protocol.options import WorkerOptions
from ...engine.protocol.server_options import DEFAULT_HOST, DEFAULT_PORT, ServerOptions
from ...engine.protocol.wording import counted
from ...engine.text.cleaning import clean
from .arguments import (
    Debug,
    Record,
    Theme,
    Think,
    Users,
    parse_precision,
    parse_strategy,
    refuse_options_before,
)
from .engine_options import CONFIGURED, Given, engine_options, refuse_two_loads, with_engine_options
from .record_trace import RecordTrace, new_file
from .recording_facts import recording_facts
from .screen_run import run_screen
from .server_operations import asks_for_operations, server_operations, with_server_operations
from .server_options import ChatTemplate, Host, Port, asks_for_load, server_options


def _print_version(asked: bool) -> None:
    if asked:
        # Imported here: it costs the first frame milliseconds, and nothing else needs it.
        from importlib import metadata

        print(f"prodtop {metadata.version('prodtop')}")
        raise typer.Exit


@with_server_operations
@with_engine_options(**CONFIGURED)
def live(
    context: typer.Context,
    given: Given,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="S", help="Where to begin; the keys 1 to 6 switch."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="P", help="Where to begin: the device's own, unless given."),
    ] = None,
    users: Users = None,
    think: Think = None,
    serve: Annotated[
        bool, typer.Option("--serve", help="Serve clients over HTTP as well; no load of its own.")
    ] = False,
    host: Host = DEFAULT_HOST,
    port: Port = DEFAULT_PORT,
    chat_template: ChatTemplate = None,
    *,
    operated: Given,
    record_trace: RecordTrace = None,
    theme: Theme = None,
    record: Record = None,
    debug: Debug = False,
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Show it and exit."),
    ] = False,
) -> None:
    """top for LLM serving: serves a model under load and shows, live, how it goes.

    Without a command the live monitor opens. What is not given here is taken from the config file.
    """
    if context.invoked_subcommand is not None:
        refuse_options_before(context)
        return
    refuse_two_loads(given, "users", users)

    server = None
    if serve:
        operations = server_operations(operated)
        server = server_options(host, port, CLOSING_DRAIN_S, operations, chat_template)
    elif (host, port, chat_template) != (DEFAULT_HOST, DEFAULT_PORT, None):
        raise BadInputError(
            "--host, --port and --chat-template are a server's: give --serve with them"
        )
    elif asks_for_operations(operated):
        raise BadInputError("--api-key-file, --tls-…, --max-…, --log-…: give --serve with them")

    def complete(configured: WorkerOptions) -> WorkerOptions:
        """What the command line says, laid over what the config file sets."""
        base = msgspec.structs.replace(
            configured,
            strategy=configured.strategy if strategy is None else parse_strategy(strategy),
            precision=configured.precision if precision is None else parse_precision(precision),
            record_trace=new_file(record_trace),
        )
        if users is not None:
            # Users are a closed loop, whatever the config file says.
            closed_loop = msgspec.structs.replace(
                base.load, rate_per_s=None, ramp=None, burst=None, trace=None
            )
            base = msgspec.structs.replace(base, load=closed_loop)
        if serve:
            paused = not asks_for_load(given, users, think)
            base = msgspec.structs.replace(
                base, load=msgspec.structs.replace(base.load, paused=paused)
            )
        return engine_options(given, base, {"users": users, "think_s": think})

    # Before the terminal is looked at, and the config: a wrong option is the first thing to say.
    complete(WorkerOptions())
    # Textual reads keys from stdin and draws on stderr.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInputError(
            "the live monitor needs a terminal: run it in one, or use 'prodtop bench --json'"
        )
    open_screen(complete, theme, record, server)


def with_usual_values(arguments: Sequence[str], commands: Container[str]) -> list[str]:
    """The arguments with the usual value for a `--record`, a `--run` or a `--probe` that stands
    alone."""
    given = list(arguments)
    for place, argument in enumerate(arguments):
        after = arguments[place + 1] if place + 1 < len(arguments) else "-"
        if argument == "--record" and (after.startswith("-") or after in commands):
            given[place] = "--record="
        # An item of `ready` may have a command's name.
        if argument == "--run" and after.startswith("-"):
            given[place] = "--run="
        if argument == "--probe" and not _is_number(after):
            given[place] = f"--probe={USUAL_PROBE_S:g}"
    return given


def _is_number(text: str) -> bool:
    """Whether it is a number, if none that may be given: an address is none."""
    try:
        float(text)
    except ValueError:
        return False
    return True


def open_screen(
    complete: Callable[[WorkerOptions], WorkerOptions],
    theme: str | None,
    record: str | None,
    server: ServerOptions | None = None,
) -> None:
    """Run the monitor until the user leaves it, and then print what the session came to.

    `complete` lays what the command line says over the options that the config file sets; `record`
    is the file to record to, empty for one in the usual folder. Raises
    `WorkerFailedError` where the engine gave up, once the terminal is the user's again.
    """
    # Here and not above: bad input and the other commands need not wait for the config's modules.
    from ..settings.config import config_file, load_config, theme_folder
    from ..settings.config_watch import ConfigWatch
    from ..state.billing import Billing
    from ..state.target_watch import watched
    from .cost_options import given_prices

    config, watch = load_config(), ConfigWatch(config_file())
    keymap = config.keymap(f"config {config_file()}")
    configured = WorkerOptions(
        model=config.model,
        device=config.device,
        strategy=config.strategy,
        precision=config.precision,
        load=config.load.spec(),
        speculation=None if config.speculation is None else config.speculation.spec(),
        slo=config.slo.spec(),
    )
    if server is not None and config.guards is not None:
        from .guard_options import guard_options

        guarded = guard_options(config.guards, config_file())
        server = msgspec.structs.replace(server, guards=guarded)
    if server is not None:
        server = msgspec.structs.replace(server, cost=given_prices(config.cost))
    local = LocalEngine(complete(configured), server=server)
    target_engine, budget = watched(local, config, Billing.of(config))
    engine = RecordedEngine(target_engine, facts=recording_facts)
    if record is not None:
        engine.start_recording(Path(record) if record else None)
    local.start()
    try:
        # Only now: importing the screen takes longest, and the worker loads meanwhile. What is
        # imported stays for good, so collecting garbage among it would only delay the first frame.
        gc.disable()
        from ..app import ProdtopApp
        from ..app_setup import AppSetup
        from ..style.theme import load_themes, palette_of
        from ..views.exit_summary import exit_summary

        gc.freeze()
        gc.enable()
        setup = AppSetup(
            config=config,
            keymap=keymap,
            theme=theme,
            themes=load_themes(theme_folder()),
            config_watch=watch,
        )
        app = ProdtopApp(engine, setup)
        app.monitor.on_billing = lambda billing: setattr(budget, "check", billing.budget)
        app.monitor.ring = app.bell
        run_screen(app)
    finally:
        engine.close()
    # Wherever the cursor stood: what is told is the whole session.
    app.monitor.playhead.go_live()
    summary = exit_summary(
        app.monitor.moment(), app.monitor.tried.records, app.saved, palette_of(app).glyphs
    )
    summary += [f"  recorded  {clean(str(path))}" for path in engine.saved]
    for line in summary:
        print(line)
    if local.aborted_at_close:
        print(f"{counted(local.aborted_at_close, 'request')} of the server aborted")
