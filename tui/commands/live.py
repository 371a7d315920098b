"""`prodtop`: the live monitor."""

import gc
import sys
from collections.abc import Callable
from typing import Annotated

import msgspec
import typer

from ...engine.client.local_engine import LocalEngine
from ...engine.protocol.errors import BadInputError, WorkerFailedError
from ...engine.protocol.options import KvFormat, LoadFormat, WorkerOptions
from .arguments import (
    BURSTINESS,
    CHAT,
    CONTEXT_TOKENS,
    DEVICE,
    DRAFT_MODEL,
    KV_FORMAT,
    KV_GIB,
    LOAD_FORMAT,
    MAX_SEQS,
    MODEL,
    OUTPUT_TOKENS,
    PROMPT_TOKENS,
    RATE,
    SEED,
    SPECULATE,
    TEMPERATURE,
    THREADS,
    ZIPF,
    Debug,
    check_model,
    check_not_negative,
    check_positive,
    parse_precision,
    parse_range,
    parse_strategy,
    refuse_options_before,
    speculation,
)


class SignalledError(WorkerFailedError):
    """A signal ended the screen; the exit code is the shell's for it."""


def _print_version(asked: bool) -> None:
    if asked:
        # Imported here: it costs the first frame milliseconds, and nothing else needs it.
        from importlib import metadata

        print(f"prodtop {metadata.version('prodtop')}")
        raise typer.Exit


def live(
    context: typer.Context,
    model: Annotated[str | None, MODEL] = None,
    device: Annotated[str | None, DEVICE] = None,
    strategy: Annotated[
        str | None,
        typer.Option(metavar="S", help="Where to begin; the keys 1 to 6 switch."),
    ] = None,
    precision: Annotated[
        str | None,
        typer.Option(metavar="P", help="Where to begin: the device's own, unless given."),
    ] = None,
    load_format: Annotated[LoadFormat, LOAD_FORMAT] = "auto",
    users: Annotated[
        int | None, typer.Option(metavar="N", min=1, help="Clients with one request each.")
    ] = None,
    think: Annotated[
        float | None, typer.Option(metavar="SECONDS", help="Between a client's requests.")
    ] = None,
    rate: Annotated[float | None, RATE] = None,
    burstiness: Annotated[float | None, BURSTINESS] = None,
    zipf: Annotated[float | None, ZIPF] = None,
    output_tokens: Annotated[str | None, OUTPUT_TOKENS] = None,
    prompt_tokens: Annotated[str | None, PROMPT_TOKENS] = None,
    temperature: Annotated[float | None, TEMPERATURE] = None,
    chat: Annotated[bool | None, CHAT] = None,
    seed: Annotated[int | None, SEED] = None,
    max_seqs: Annotated[int, MAX_SEQS] = WorkerOptions().max_seqs,
    context_tokens: Annotated[int | None, CONTEXT_TOKENS] = None,
    kv_gib: Annotated[float | None, KV_GIB] = None,
    speculate: Annotated[int | None, SPECULATE] = None,
    draft_model: Annotated[str | None, DRAFT_MODEL] = None,
    kv_format: Annotated[KvFormat, KV_FORMAT] = "auto",
    threads: Annotated[int | None, THREADS] = None,
    theme: Annotated[
        str | None, typer.Option(metavar="T", help="One of prodtop's themes, or of your own.")
    ] = None,
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
    if users is not None and rate is not None:
        raise BadInputError("--users and --rate exclude each other: give one of them")
    check_positive("--rate", rate)
    check_positive("--burstiness", burstiness)
    check_positive("--kv-gib", kv_gib)
    check_not_negative("--think", think)
    check_not_negative("--zipf", zipf)
    check_not_negative("--temperature", temperature)
    load_overrides = _without_none(
        users=users,
        think_s=think,
        rate_per_s=rate,
        burstiness=burstiness,
        zipf_exponent=zipf,
        temperature=temperature,
        chat=chat,
        seed=seed,
        **_token_range("--output-tokens", "output_tokens", output_tokens),
        **_token_range("--prompt-tokens", "prompt_tokens", prompt_tokens),
    )
    if users is not None:
        # Users are a closed loop, whatever the config file says.
        load_overrides["rate_per_s"] = None
    overrides = _without_none(
        model=None if model is None else check_model(model),
        device=device,
        strategy=None if strategy is None else parse_strategy(strategy),
        precision=None if precision is None else parse_precision(precision),
    )
    # Textual reads keys from stdin and draws on stderr.
    if not all(stream.isatty() for stream in (sys.stdin, sys.stdout, sys.stderr)):
        raise BadInputError(
            "the live monitor needs a terminal: run it in one, or use 'prodtop bench --json'"
        )
    open_screen(
        lambda configured: msgspec.structs.replace(
            configured,
            **overrides,
            load=msgspec.structs.replace(configured.load, **load_overrides),
            load_format=load_format,
            max_seqs=max_seqs,
            context_tokens=context_tokens,
            kv_gib=kv_gib,
            kv_format=kv_format,
            threads=threads,
            speculation=speculation(speculate, draft_model),
        ),
        theme,
    )


def _without_none(**values: object) -> dict[str, object]:
    """The options that were given on the command line."""
    return {name: value for name, value in values.items() if value is not None}


def _token_range(option: str, field: str, text: str | None) -> dict[str, int]:
    """The two fields of a `LoadSpec` that a range sets, or none."""
    if text is None:
        return {}
    low, high = parse_range(option, text)
    return {f"{field}_min": low, f"{field}_max": high}


def open_screen(complete: Callable[[WorkerOptions], WorkerOptions], theme: str | None) -> None:
    """Run the monitor until the user leaves it.

    `complete` lays what the command line says over the options that the config file sets. Raises
    `WorkerFailedError` where the engine gave up, once the terminal is the user's again.
    """
    # Here and not above: bad input and the other commands need not wait for the config's modules.
    from ..settings.config import config_file, load_config, theme_folder

    config = load_config()
    keymap = config.keymap(f"config {config_file()}")
    configured = WorkerOptions(
        model=config.model,
        device=config.device,
        strategy=config.strategy,
        precision=config.precision,
        load=config.load.spec(),
    )
    engine = LocalEngine(complete(configured))
    engine.start()
    try:
        # Only now: importing the screen takes longest, and the worker loads meanwhile. What is
        # imported stays for good, so collecting garbage among it would only delay the first frame.
        gc.disable()
        from ..app import ProdtopApp
        from ..style.theme import load_themes
        from ..terminal import TerminalGuard

        gc.freeze()
        gc.enable()
        app = ProdtopApp(
            engine, config=config, keymap=keymap, theme=theme, themes=load_themes(theme_folder())
        )
        with TerminalGuard(app.leave) as guard:
            app.run()
    finally:
        engine.close()
    if guard.signal is not None:
        raise SignalledError(f"ended by {guard.signal.name}", 128 + guard.signal)
    if app.defect is not None:
        raise app.defect
    if app.fault is not None:
        raise WorkerFailedError(app.fault.message, app.fault.exit_code)
    if app.return_code:
        raise typer.Exit(app.return_code)
