"""What `prodtop attach` is given: addresses, names of the config, discovery files, a Prometheus."""

from ...engine.attach.asking.addresses import server_url
from ...engine.attach.asking.settings import (
    AttachOptions,
    AttachTable,
    HowAsked,
    NamedServer,
    PrometheusSettings,
    TargetFile,
)
from ...engine.attach.file_sd.files import checked_pattern
from ...engine.attach.prometheus.queries import checked_selector
from ...engine.protocol.errors import BadInputError

PROMETHEUS = "prometheus+"
"""Before the address of a Prometheus."""
FILE_SD = "file_sd:"
"""Before the path of a discovery file."""


def given_places(urls: list[str], files: list[str]) -> list[str]:
    """Both as one list: a discovery file as `file_sd:PATH`."""
    return [*urls, *(f"{FILE_SD}{each}" for each in files)]


def attach_options(given: list[str], common: HowAsked, select: str | None) -> AttachOptions:
    """What the reader is started with. Raises `BadInputError` where it is not one kind of place."""
    collected = [text for text in given if text.startswith(PROMETHEUS)]
    if not collected:
        if select is not None:
            raise BadInputError(f"--select goes with {PROMETHEUS}http://HOST:9090")
        return _of_servers(given, common)
    if len(given) > 1:
        raise BadInputError("a Prometheus collects a whole fleet: give it alone")
    try:
        selector = checked_selector(select or "")
    except ValueError as error:
        raise BadInputError(f"--select: {error}") from None
    fields = {name: getattr(common, name) for name in HowAsked.__struct_fields__}
    own = {"url": server_url(collected[0].removeprefix(PROMETHEUS)), "selector": selector}
    del fields["interval_s"]
    return AttachOptions(servers=[], prometheus=PrometheusSettings(**{**fields, **own}))


def _of_servers(given: list[str], common: HowAsked) -> AttachOptions:
    """The servers and discovery files of the command line and of the config's tables.

    Raises `BadInputError` for what is none of them, and for what is named twice.
    """
    from ..settings.config import load_config

    tables = load_config().attach
    places = [_place(text, common, tables) for text in given]
    servers = [each for each in places if isinstance(each, NamedServer)]
    files = [each for each in places if isinstance(each, TargetFile)]
    names = [*(server.name for server in servers), *(file.path for file in files)]
    for name in names:
        if names.count(name) > 1:
            raise BadInputError(f"{name} is given twice")
    return AttachOptions(servers=servers, target_files=files)


def _place(text: str, common: HowAsked, tables: dict[str, AttachTable]) -> NamedServer | TargetFile:
    table = tables.get(text)
    fields = {
        field: value
        for field in HowAsked.__struct_fields__
        if (value := getattr(common, field)) is not None
    }
    if text.startswith(FILE_SD):
        return TargetFile(**fields, path=checked_pattern(text.removeprefix(FILE_SD)))
    if table is None:
        url = server_url(text)
        return NamedServer(**{**fields, "url": url}, name=url.partition("://")[2])
    own = {field: getattr(table, field) for field in HowAsked.__struct_fields__}
    given = {field: value for field, value in fields.items() if field != "interval_s"}
    settings = {**own, **given}
    if table.file_sd is not None and table.url is None:
        if table.proxy is not None or table.probe_s is not None:
            raise BadInputError(f"[attach.{text}]: proxy and probe_s go with url, not file_sd")
        return TargetFile(**settings, path=checked_pattern(table.file_sd))
    if table.url is None or table.file_sd is not None:
        raise BadInputError(f"[attach.{text}]: give either url or file_sd")
    return NamedServer(**settings, url=server_url(table.url), name=text)
