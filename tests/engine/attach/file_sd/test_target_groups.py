"""Groups of targets as discovery files have them, in both formats; what is none; what is a trap."""

import contextlib
import json

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st
from prodtop.engine.attach.asking.settings import HowAsked
from prodtop.engine.attach.file_sd.groups import (
    MOST_TARGETS,
    Target,
    TargetFileError,
    read_targets,
)
from prodtop.engine.attach.file_sd.servers import named_apart, server_of
from prodtop.engine.protocol.errors import BadInputError

ADDRESSES = st.from_regex(r"[a-z][a-z0-9]{0,8}(:[1-9][0-9]{0,3})?", fullmatch=True)
LABELS = st.dictionaries(
    st.from_regex(r"[a-z][a-z_]{0,8}", fullmatch=True),
    st.text(st.characters(min_codepoint=32, max_codepoint=126), max_size=12),
    max_size=4,
)
GROUPS = st.lists(
    st.fixed_dictionaries({"targets": st.lists(ADDRESSES, max_size=4), "labels": LABELS}),
    max_size=5,
)


@given(groups=GROUPS)
def test_both_formats_say_the_same(groups: list[dict[str, object]]) -> None:
    as_json = list(read_targets(json.dumps(groups).encode(), "a.json"))
    as_yaml = list(read_targets(yaml.safe_dump(groups).encode(), "a.yml"))
    assert as_json == as_yaml
    assert [each.address for each in as_json] == [t for g in groups for t in g["targets"]]  # type: ignore[attr-defined]  # a list


def test_what_yaml_takes_for_numbers_and_dates_stays_text() -> None:
    body = b"- targets: [10.0.0.1:8000, 'b']\n  labels: {version: 1.10, day: 2026-01-02, on: yes}\n"
    first, second = read_targets(body, "a.yaml")
    assert (first.address, second.address) == ("10.0.0.1:8000", "b")
    assert first.labels == {"version": "1.10", "day": "2026-01-02", "on": "yes"}


BROKEN = [
    ("a.json", b"", "is no JSON"),
    ("a.json", b'[{"targets": ["a"', "is no JSON"),
    ("a.json", b"{}", "no list of groups"),
    ("a.json", b'[{"targets": "a"}]', "no list of texts"),
    ("a.json", b'[{"targets": [1]}]', "no list of texts"),
    ("a.json", b'[{"targets": ["a"], "labels": {"a": 1}}]', "no table of texts"),
    ("a.json", b'[{"targets": ["a"], "label": {}}]', "a group with 'label'"),
    ("a.json", b"[" * 100_000, "nested too deep"),
    ("a.json", b'[{"targets": ["' + b"a" * 600 + b'"]}]', "no list of texts"),
    ("a.yml", b"", "no list of groups"),
    ("a.yml", b"- a\n", "a group that is none"),
    ("a.yml", b"- targets: [a\n", "is no YAML"),
    ("a.yml", b"- <<: {targets: [a]}\n", "a group with '<<'"),
    ("a.yml", b"- !!python/object/apply:os.system [ls]\n", "a group that is none"),
    ("a.yml", b"&a [*a]\n", "is no YAML"),
    ("a.yml", b"- {[a]: b}\n", "is no YAML"),
    ("a.yml", b"- targets: [a]\n---\n- targets: [b]\n", "is no YAML"),
    ("a.yml", b"[" * 100_000, "is no YAML"),
    ("a.yml", b"\x00\xff", "is no YAML"),
]


@pytest.mark.parametrize(("name", "body", "said"), BROKEN)
def test_what_is_no_discovery_file_is_said_in_a_line(name: str, body: bytes, said: str) -> None:
    with pytest.raises(TargetFileError, match=said) as caught:
        read_targets(body, name)
    assert str(caught.value).isprintable()


def test_an_anchor_that_repeats_a_long_list_is_bounded() -> None:
    group = b"- &g\n  targets: [" + b",".join(b"a%d" % each for each in range(2000)) + b"]\n"
    with pytest.raises(TargetFileError, match="more than 200,000 targets"):
        read_targets(group + b"- *g\n" * (MOST_TARGETS // 1000), "a.yml")


@given(body=st.binary(max_size=200), name=st.sampled_from(["a.json", "a.yml", "a.yaml"]))
def test_any_bytes_are_targets_or_an_error(body: bytes, name: str) -> None:
    found: list[Target] = []
    with contextlib.suppress(TargetFileError):
        found = list(read_targets(body, name))
    assert all(isinstance(each, Target) for each in found)


TARGETS = [
    ({}, "a:8000", ("http://a:8000", "a:8000", None)),
    ({"__scheme__": "https"}, "a:8000", ("https://a:8000", "a:8000", None)),
    ({"__metrics_path__": "/m"}, "a:1", ("http://a:1", "a:1/m", "/m")),
    ({"__metrics_path__": "/metrics"}, "a:1", ("http://a:1", "a:1", None)),
    (
        {"__param_model": "x y"},
        "a:1",
        ("http://a:1", "a:1/metrics?model=x+y", "/metrics?model=x+y"),
    ),
    ({"instance": "first"}, "a:1", ("http://a:1", "first", None)),
    ({"__address__": "b:2"}, "a:1", ("http://b:2", "b:2", None)),
    ({}, "https://c", ("https://c", "c", None)),
]


@pytest.mark.parametrize(("labels", "address", "expected"), TARGETS)
def test_targets_are_read_as_prometheus_reads_them(
    labels: dict[str, str], address: str, expected: tuple[str, str, str | None]
) -> None:
    common = HowAsked(token_file="/t", ca_file="/c")
    server = server_of(Target(address, {"zone": "eu", **labels}), common)
    assert (server.url, server.name, server.metrics_path) == expected
    assert (server.token_file, server.ca_file) == ("/t", "/c")
    shown = {name: text for name, text in labels.items() if not name.startswith("__")}
    assert server.labels == {"zone": "eu", **shown}


@pytest.mark.parametrize(
    ("labels", "address"),
    [
        ({"__scheme__": "ftp"}, "a"),
        ({"__metrics_path__": "m"}, "a"),
        ({"__metrics_path__": "/a b"}, "a"),
        ({}, "http://user:word@a"),
        ({}, "a:99999"),
        ({}, ""),
    ],
)
def test_a_target_that_is_no_address_is_refused(labels: dict[str, str], address: str) -> None:
    with pytest.raises(BadInputError):
        server_of(Target(address, labels), HowAsked())


def test_two_that_are_called_alike_are_told_apart_and_the_same_one_is_watched_once() -> None:
    common = HowAsked()
    told = [("a:1", "x"), ("b:1", "x"), ("a:1", "x"), ("b:1", "x"), ("c:1", "y")]
    servers = [server_of(Target(address, {"instance": name}), common) for address, name in told]
    assert [(each.name, each.url) for each in named_apart(servers)] == [
        ("x", "http://a:1"),
        ("b:1", "http://b:1"),
        ("y", "http://c:1"),
    ]


def test_the_documented_form_is_read() -> None:
    """As Prometheus' own documentation has it."""
    body = b"""[
  {
    "targets": [ "localhost:8000", "10.0.0.2:8000" ],
    "labels": { "env": "prod", "model": "llama" }
  }
]"""
    assert [each.address for each in read_targets(body, "example.json")] == [
        "localhost:8000",
        "10.0.0.2:8000",
    ]
