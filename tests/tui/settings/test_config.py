"""The config file: defaults, every field, and one clear line for whatever is wrong."""

import re
from pathlib import Path

import pytest
from prodtop.engine.protocol import (
    SLO_NAMES,
    BurstSpec,
    LoadSpec,
    PrecisionName,
    RampSpec,
    SloSpec,
    SpeculationSpec,
    StrategyName,
    TraceSpec,
    Window,
)
from prodtop.engine.protocol.errors import BadInputError
from prodtop.tui.settings.config import (
    Config,
    ConfigError,
    LoadTable,
    SloTable,
    config_file,
    load_config,
    parse_config,
)
from prodtop.tui.settings.keymap import ACTIONS
from prodtop.tui.style.theme import parse_theme

WHOLE = """
theme = "ember"
window = "5m"
refresh_hz = 2
model = "some/folder"
device = "cuda"
strategy = "hybrid"
precision = "int8"

[load]
users = 32
think_s = 0.5
burstiness = 0.7
zipf_exponent = 1.3
output_tokens_min = 8
output_tokens_max = 64
temperature = 0.8
top_p = 0.9
seed = 7
max_waiting = 99
max_waiting_mib = 1.5

[speculation]
drafts = 7
draft_model = "smaller"

[slo]
ttft_ms = 200
tpot_ms = 40.5

[keys]
quit = ["X", "ctrl+q"]
theme = "Y"
"""


def test_an_empty_file_means_the_defaults() -> None:
    assert parse_config("", "config.toml") == Config()


def test_the_default_load_is_the_engines() -> None:
    assert Config().load.spec() == LoadSpec()


def test_a_price_has_a_day_and_a_source() -> None:
    text = """[prices.h200]
    usd_per_hour = 3
    date = 2026-11-01
    """
    price = parse_config(text, "config.toml").prices["h200"].price()
    assert (price.usd_per_hour, price.date.year, price.source) == (3, 2026, "config.toml")


@pytest.mark.parametrize("price", ["inf", "nan", "0", "-1", "1e7"])
def test_a_price_that_nothing_can_be_added_up_with_is_refused(price: str) -> None:
    text = f"[prices.h200]\nusd_per_hour = {price}\ndate = 2026-11-01\n"
    with pytest.raises(ConfigError, match=r"config\.toml: prices.*usd_per_hour"):
        parse_config(text, "config.toml")


def test_limits_are_the_engines_own_but_for_those_that_are_set() -> None:
    assert Config().slo.spec() == SloSpec()
    set_here = parse_config("[slo]\nttft_ms = 80\nitl_ms = 'off'\nqueue_ms = 9\n", "").slo.spec()
    assert set_here == SloSpec(ttft_ms=80.0, itl_ms=None, queue_ms=9.0)


@pytest.mark.parametrize("name", SLO_NAMES)
def test_every_limit_reaches_the_engine(name: str) -> None:
    config = parse_config(f"[slo]\n{name}_ms = 1234.5\n", "config.toml")
    assert config.slo.spec().limit_ms(name) == 1234.5


def test_every_field_is_read() -> None:
    config = parse_config(WHOLE, "config.toml")
    assert (config.theme, config.window, config.refresh_hz) == ("ember", Window.M5, 2.0)
    assert (config.model, config.device) == ("some/folder", "cuda")
    assert (config.strategy, config.precision) == (StrategyName.HYBRID, PrecisionName.INT8)
    assert config.load.spec() == LoadSpec(
        users=32,
        think_s=0.5,
        burstiness=0.7,
        zipf_exponent=1.3,
        output_tokens_min=8,
        output_tokens_max=64,
        temperature=0.8,
        top_p=0.9,
        seed=7,
        max_waiting=99,
        max_waiting_mib=1.5,
    )
    assert config.speculation is not None
    assert config.speculation.spec() == SpeculationSpec(drafts=7, draft_model="smaller")
    assert (config.slo.ttft_ms, config.slo.tpot_ms, config.slo.e2e_ms) == (200.0, 40.5, None)
    assert config.keymap("config.toml").keys["quit"] == ("X", "ctrl+q")


def test_ramps_bursts_and_traces_are_tables_of_the_load(monkeypatch: pytest.MonkeyPatch) -> None:
    text = "[load]\nrate_per_s = 4\nramp = { start = 1, seconds = 60 }\n"
    wanted = LoadSpec(rate_per_s=4, ramp=RampSpec(start=1, seconds=60))
    assert parse_config(text, "config.toml").load.spec() == wanted
    text = "[load]\nrate_per_s = 0\nburst = { rate_per_s = 9, seconds = 2, every_s = 5 }\n"
    wanted = LoadSpec(rate_per_s=0, burst=BurstSpec(rate_per_s=9, seconds=2, every_s=5))
    assert parse_config(text, "config.toml").load.spec() == wanted
    monkeypatch.setenv("HOME", "/home/somebody")
    text = "[load.trace]\npath = '~/conv.csv'\nspeed = 2\nloop = true\n"
    wanted = LoadSpec(trace=TraceSpec(path="/home/somebody/conv.csv", speed=2, loop=True))
    assert parse_config(text, "config.toml").load.spec() == wanted


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[load]\nrate_per_s = 0", ("load.rate_per_s", "above 0")),
        ("[load.ramp]\nstart = 1", ("load.ramp", "seconds")),
        ("[load.ramp]\nstart = 1\nseconds = 5\nminutes = 1", ("load.ramp", "minutes")),
        ("[load.trace]\nspeed = 1", ("load.trace", "path")),
        ("[load.trace]\npath = 'a'\nspeeed = 1", ("load.trace", "speeed")),
        ("[load.trace]\npath = 'a'\nspeed = 0", ("load.trace.speed", "0.001")),
        ("theme = ", ("line 1",)),
        ("window = '1m'\ntheme = [", ("line 2",)),
        ("theme = 3", ("theme", "int")),
        ("colour = 'red'", ("colour",)),
        ("window = '2m'", ("window", "2m")),
        ("refresh_hz = 60", ("refresh_hz", "10")),
        ("strategy = 'fast'", ("strategy", "fast")),
        ("[slo]\nttft_ms = 0", ("slo.ttft_ms",)),
        ("[slo]\nttft = 200", ("slo: ", "`ttft`")),
        ("[load]\nusers = -1", ("load.users",)),
        ("[load]\nmax_waiting = 0", ("load.max_waiting",)),
        ("[load]\nmax_waiting_mib = -1", ("load.max_waiting_mib",)),
        ("[speculation]\ndrafts = 0", ("speculation.drafts",)),
        ("[speculation]\ndrafts = 17", ("speculation.drafts",)),
        ("[load]\noutput_tokens_min = 99\noutput_tokens_max = 9", ("load.output_tokens_min",)),
        ("[keys]\nquit = 3", ("keys",)),
        ("[keys]\nquit = 's'", ("keys.quit", "snapshot")),
    ],
)
def test_a_malformed_file_gives_one_line_that_names_the_place(
    text: str, expected: tuple[str, ...]
) -> None:
    with pytest.raises(BadInputError) as caught:
        parse_config(text, "here/config.toml")
    message = str(caught.value)
    assert "\n" not in message
    assert all(part in message for part in ("here/config.toml", *expected)), message


def test_the_manual_shows_every_setting_and_key_and_its_example_is_valid() -> None:
    manual = (Path(__file__).parents[3] / "docs" / "configuration.md").read_text(encoding="utf-8")
    example, theme = re.findall(r"```toml\n(.*?)```", manual, flags=re.DOTALL)
    parse_config(example, "docs/configuration.md")
    parse_theme(theme.encode(), "docs/configuration.md")
    for table in (Config, LoadTable, SloTable):
        for field in table.__struct_fields__:
            assert re.search(rf"^(# )?\[?{field}\b", example, flags=re.MULTILINE), field
    for action in ACTIONS:
        keys = " ".join(f"`{key}`" for key in action.keys)
        assert f"| `{action.name}` | {keys} | {action.description} |" in manual


def test_a_missing_file_means_the_defaults_unless_it_was_asked_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert load_config() == Config()
    with pytest.raises(ConfigError, match="no such file"):
        load_config(tmp_path / "other.toml")


def test_the_file_lies_in_the_config_home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path))
    assert config_file() == tmp_path / "prodtop" / "config.toml"
    config_file().parent.mkdir()
    config_file().write_text("theme = 'ember'", encoding="utf-8")
    assert load_config().theme == "ember"


def test_a_file_that_is_no_text_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "config.toml"
    file.write_bytes(b"theme = '\xff'")
    with pytest.raises(ConfigError, match="UTF-8"):
        load_config(file)


def test_a_folder_in_the_place_of_the_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is a folder"):
        load_config(tmp_path)


@pytest.mark.parametrize("field", SloTable.__struct_fields__)
@pytest.mark.parametrize("value", ["inf", "nan", "1e308"])
def test_a_limit_that_no_chart_can_show_is_refused(field: str, value: str) -> None:
    with pytest.raises(ConfigError, match=field):
        parse_config(f"[slo]\n{field} = {value}\n", "config.toml")
