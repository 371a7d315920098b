"""What keys do: actions with their default keys as data, remapped by the config's `[keys]`."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from textual.binding import Binding

from ...engine.protocol import StrategyName
from ...engine.protocol.errors import BadInputError
from .key_names import is_key, textual_key


class KeymapError(BadInputError):
    """A `[keys]` table that cannot be used: names the file, the action and the key."""


EVERYWHERE, LIVE, COMPARE, QUALITY, PLANNER = "", "live", "compare", "quality", "planner"
PRODUCTION, SESSIONS, FLEET = "production", "sessions", "fleet"
REQUESTS = "requests"
"""Where a key works: in all tabs, in the tab of that name, or in the panel of requests while it has
the focus. There a key goes before the same key of a tab; where the panel has no use for it now, it
is the tab's."""
PANEL_TABS = {REQUESTS: LIVE}
"""The tab of each panel that has keys of its own."""
TAB_TITLES = {LIVE: "Live", COMPARE: "Compare", QUALITY: "Quality", PLANNER: "Planner"}
TAB_TITLES |= {PRODUCTION: "Production", SESSIONS: "Sessions"}
FLEET_TITLE = {FLEET: "Fleet"}
"""Of the tab that is there where several servers are watched."""


@dataclass(frozen=True, slots=True)
class Action:
    """Something a key does. `call` is the Textual action: the app's, or the screen's of its tab.

    `keys` are as a user would type them (`[`, `space`, `shift+left`); the first is the one shown.
    """

    name: str
    call: str
    keys: tuple[str, ...]
    description: str
    group: str
    tab: str = EVERYWHERE
    """The tab or panel that the key works in."""

    @property
    def target(self) -> str:
        """The Textual action for whoever calls it from elsewhere than the app."""
        return self.call if self.call.startswith(("app.", "screen.")) else f"app.{self.call}"


SERVING = "Strategy and precision"
LOAD = "Load"
HISTORY = "History"
DISPLAY = "Display"
GENERAL = "General"
REQUESTS_GROUP = "Requests"
TABS = "Tabs"
PLANNING = "Planner"
MEASURING = "Quality"
COMPARING = "Compare"
OPERATING = "Production"
KEPT = "Sessions"
WATCHING = "Fleet"

STRATEGY_ACTIONS: tuple[Action, ...] = tuple(
    Action(
        f"strategy_{name.value}",
        f"app.strategy('{name.value}')",
        (str(number),),
        f"Serve with the {name.value} strategy",
        SERVING,
        LIVE,
    )
    for number, name in enumerate(StrategyName, start=1)
)

QUALITY_ACTIONS: tuple[Action, ...] = tuple(
    Action(f"quality_{name}", call, keys, words, MEASURING, QUALITY)
    for name, call, keys, words in (
        ("begin", "screen.begin", ("b",), "Measure every precision; again: cancel"),
        ("cancel", "screen.cancel", ("x",), "Cancel measuring"),
        ("previous", "screen.level(-1)", ("[",), "Show the level before"),
        ("next", "screen.level(1)", ("]",), "Show the next level"),
        ("serve", "screen.serve", ("p",), "Serve at the level shown, which measures its speed"),
        ("snapshot", "app.snapshot", ("s",), "Save a snapshot, with all that was measured"),
        ("overview", "screen.view('overview')", ("o",), "Levels and what follows from them"),
        ("charts", "screen.view('charts')", ("c",), "Memory against quality; bars; efficiency"),
        ("layers", "screen.view('layers')", ("l",), "Errors of the weights, layer by layer"),
        ("texts", "screen.view('texts')", ("g",), "Greedy texts side by side"),
    )
)

COMPARE_ACTIONS: tuple[Action, ...] = tuple(
    Action(f"compare_{name}", call, (key,), words, COMPARING, COMPARE)
    for name, call, key, words in (
        ("begin", "screen.begin", "b", "Measure all cells, or go on with those that are left"),
        ("cancel", "screen.cancel", "x", "Stop measuring cells, and keep what was measured"),
        ("next", "screen.metric(1)", "n", "Next metric"),
        ("previous", "screen.metric(-1)", "N", "Previous metric"),
        ("baseline", "screen.baseline", "=", "Compare with the cell under the cursor, or no more"),
        ("snapshot", "app.snapshot", "s", "Save a snapshot, with all cells that were measured"),
        ("matrix", "screen.view('matrix')", "o", "Matrix of all cells"),
        ("bars", "screen.view('bars')", "c", "Bars of latency, throughput and efficiency"),
        ("findings", "screen.view('findings')", "i", "What it shows, and which cell to take"),
    )
)

PLANNER_ACTIONS: tuple[Action, ...] = tuple(
    Action(f"planner_{name}", call, (key,), words, PLANNING, PLANNER)
    for name, call, key, words in (
        ("overview", "screen.view('overview')", "o", "Figures, strategies and curves"),
        ("scaling", "screen.view('scaling')", "g", "Graphs against the number of GPUs"),
        ("layouts", "screen.view('layouts')", "l", "The best layouts, and why"),
        ("formulas", "screen.view('formulas')", "f", "Every figure's formula"),
        ("decision", "screen.view('decision')", "d", "The decision path and the guide"),
        ("serving", "screen.view('serving')", "a", "What each GPU gives when it serves"),
        ("export", "screen.view('export')", "x", "Configurations for training engines"),
        ("compare", "screen.view('compare')", "w", "Which strategy, on how many GPUs, which type"),
        ("save", "screen.save", "s", "Save the chosen configuration to a file"),
        ("use", "screen.use", "u", "Take over the chosen layout, or the best one"),
        ("growing", "screen.growing", "k", "Charts: keep the batch, or let it grow"),
        ("calibrate", "screen.calibrate", "c", "Measure this machine's GPUs, for the plans"),
        ("scenario_1b", "screen.scenario('1B')", "v", "Scenario: 1B on 32 GPUs"),
        ("scenario_7b", "screen.scenario('7B')", "b", "Scenario: 7B on 32 GPUs"),
        ("scenario_70b", "screen.scenario('70B')", "n", "Scenario: 70B on 32 GPUs"),
    )
)

PRODUCTION_ACTIONS: tuple[Action, ...] = tuple(
    Action(f"production_{name}", call, (key,), words, OPERATING, PRODUCTION)
    for name, call, key, words in (
        ("targets", "screen.view('targets')", "o", "Targets, alerts and guards"),
        ("cost", "screen.view('cost')", "c", "What serving costs, and would cost"),
        ("capacity", "screen.view('capacity')", "a", "Requests a GPU takes, GPUs for a load"),
        ("readiness", "screen.view('readiness')", "i", "Checklist for production, and its proofs"),
        ("next", "screen.prove", "n", "Prove the next open item, or say how"),
        ("begin", "screen.begin", "b", "Measure a load curve through the present load"),
        ("cancel", "screen.cancel", "x", "Stop measuring the load curve"),
        ("snapshot", "app.snapshot", "s", "Save a snapshot of what is shown"),
    )
)

SESSIONS_ACTIONS: tuple[Action, ...] = tuple(
    Action(f"sessions_{name}", call, keys, words, KEPT, SESSIONS)
    for name, call, keys, words in (
        ("mark", "screen.mark", ("space",), "Mark a row for a diff, or no longer"),
        ("diff", "screen.diff", ("d",), "Compare the two that are marked"),
        ("back", "screen.back", ("escape",), "Close the diff, or show all rows"),
        ("rename", "screen.rename", ("n",), "Give it a name"),
        ("delete", "screen.delete", ("x", "delete"), "Remove it"),
        ("undo", "screen.undo", ("u",), "Bring back what was removed last"),
        ("export", "screen.export", ("E",), "Write it, or the diff, to a file"),
        ("filter", "screen.filter", ("/",), "Show only rows with some words"),
        ("snapshot", "app.snapshot", ("s",), "Save a snapshot of what is shown"),
    )
)

FLEET_ACTIONS: tuple[Action, ...] = tuple(
    Action(f"fleet_{name}", f"screen.{name}", (key,), words, WATCHING, FLEET)
    for name, key, words in (
        ("order", "o", "Sort by the next column"),
        ("turn", "i", "Turn the order round"),
        ("group", "g", "Group by model, node or version"),
        ("filter", "/", "Show only rows with some words"),
        ("back", "escape", "Show all rows, or go back to Live"),
    )
)

REQUEST_ACTIONS: tuple[Action, ...] = (
    Action(
        "requests_table",
        "screen.requests_table",
        ("R",),
        "The whole table of requests, or back",
        REQUESTS_GROUP,
        LIVE,
    ),
    *(
        Action(f"requests_{name}", call, (key,), f"In its panel: {words}", REQUESTS_GROUP, REQUESTS)
        for name, call, key, words in (
            ("up", "screen.requests_move(-1)", "up", "choose the row above"),
            ("down", "screen.requests_move(1)", "down", "choose the row below"),
            ("page_up", "screen.requests_move(-10)", "pageup", "ten rows up"),
            ("page_down", "screen.requests_move(10)", "pagedown", "ten rows down"),
            ("open", "screen.requests_open", "enter", "open the chosen request's timeline"),
            ("close", "screen.requests_close", "escape", "close it, or choose none"),
            ("order", "screen.requests_order", "o", "sort by the next column"),
            ("turn", "screen.requests_turn", "i", "turn the order round"),
            ("filter", "screen.requests_filter", "f", "show all, or those in one state"),
        )
    ),
)

ACTIONS: tuple[Action, ...] = (
    *STRATEGY_ACTIONS,
    Action("precision_previous", "app.precision(-1)", ("[",), "Previous precision", SERVING, LIVE),
    Action("precision_next", "app.precision(1)", ("]",), "Next precision", SERVING, LIVE),
    Action("drafts", "app.drafts", ("d",), "Speculative decoding on or off", SERVING, LIVE),
    Action(
        "start_again", "app.start_again", ("A",), "Start an engine again that was given up", SERVING
    ),
    Action("load_less", "app.load(-1)", ("-",), "Less load", LOAD, LIVE),
    Action("load_more", "app.load(1)", ("=", "+"), "More load", LOAD, LIVE),
    Action(
        "pause", "app.pause", ("space",), "Freeze the display; collection goes on", HISTORY, LIVE
    ),
    *(
        Action(name, call, (key,), f"While frozen: {words}", HISTORY, LIVE)
        for name, call, key, words in (
            ("scrub_back", "app.scrub(-1)", "left", "one step back"),
            ("scrub_forward", "app.scrub(1)", "right", "one step forward"),
            ("scrub_back_far", "app.scrub(-10)", "shift+left", "ten steps back"),
            ("scrub_forward_far", "app.scrub(10)", "shift+right", "ten steps forward"),
            ("scrub_back_page", "app.scrub_page(-1)", "pageup", "a whole chart back"),
            ("scrub_forward_page", "app.scrub_page(1)", "pagedown", "a whole chart forward"),
            ("scrub_start", "app.scrub_to('start')", "home", "to the oldest moment"),
            ("scrub_end", "app.scrub_to('end')", "end", "to the newest moment"),
        )
    ),
    Action("live", "app.live", ("escape",), "Back to the present", HISTORY, LIVE),
    *(
        Action(name, call, (key,), words, HISTORY, LIVE)
        for name, call, key, words in (
            ("go_to", "app.go_to", "g", "Go to a time: 14:03, -5m, +30s, 00:12:31"),
            ("next_stop", "app.stop(1)", "n", "To the next event or spike"),
            ("previous_stop", "app.stop(-1)", "N", "To the event or spike before"),
            ("search_events", "app.events(True)", "/", "Search events, and go to one"),
            ("zoom_in", "app.zoom(-1)", "z", "Charts span less time"),
            ("zoom_out", "app.zoom(1)", "Z", "Charts span more time, up to all of it"),
        )
    ),
    Action("note", "app.note", ("j",), "Jot down a note: it is an event", HISTORY),
    Action("record", "app.record", ("r",), "Record the session; again: finish that", HISTORY),
    *(
        Action(name, call, (key,), f"Of a recording: {words}", HISTORY, LIVE)
        for name, call, key, words in (
            ("frame_back", "app.play('frame', -1)", ",", "one frame back"),
            ("frame_forward", "app.play('frame', 1)", ".", "one frame forward"),
            ("slower", "app.play('speed', -1)", "{", "play it slower"),
            ("faster", "app.play('speed', 1)", "}", "play it faster"),
        )
    ),
    Action("events", "app.events(False)", ("e",), "Event log; enter goes there", DISPLAY),
    Action("tried", "app.tried", ("c",), "What was tried: a table to compare", DISPLAY, LIVE),
    Action("window", "app.window", ("w",), "Next window for percentiles and charts", DISPLAY, LIVE),
    Action(
        "latency_shape",
        "screen.latency_shape",
        ("h",),
        "Latency as curves, heatmap or histograms",
        DISPLAY,
        LIVE,
    ),
    *REQUEST_ACTIONS,
    Action(
        "snapshot", "app.snapshot", ("s",), "Save a snapshot: figures and picture", GENERAL, LIVE
    ),
    Action(
        "maximize",
        "maximize_panel",
        ("m", "enter"),
        "Maximise the focused panel, or put it back",
        DISPLAY,
    ),
    Action("copy", "copy", ("y",), "Copy the focused panel's text, or every headline", DISPLAY),
    Action("theme", "next_theme", ("t",), "Next theme", DISPLAY),
    Action("tab_live", "tab('live')", ("L",), "Live: the engine at work", TABS),
    Action("tab_compare", "tab('compare')", ("C",), "Compare: strategies and precisions", TABS),
    Action("tab_quality", "tab('quality')", ("Q",), "Quality: what precisions cost", TABS),
    Action("tab_planner", "tab('planner')", ("P",), "Planner: training clusters", TABS),
    Action("tab_production", "tab('production')", ("O",), "Production: targets, alerts", TABS),
    Action("tab_sessions", "tab('sessions')", ("S",), "Sessions: what was kept", TABS),
    *COMPARE_ACTIONS,
    *QUALITY_ACTIONS,
    *PLANNER_ACTIONS,
    *PRODUCTION_ACTIONS,
    Action("tab_fleet", "tab('fleet')", ("F",), "Fleet: every server that is watched", TABS),
    *SESSIONS_ACTIONS,
    *FLEET_ACTIONS,
    Action("help", "help", ("?",), "Keys and what they do", GENERAL),
    Action("set", "set", (":",), "Set anything: users 64, prompt 500:2000, model …", GENERAL),
    Action("palette", "command_palette", ("ctrl+p",), "Command palette", GENERAL),
    Action("suspend", "suspend_process", ("ctrl+z",), "Stop; fg in the shell continues", GENERAL),
    Action("quit", "quit", ("q", "ctrl+c"), "Quit", GENERAL),
)


@dataclass(frozen=True)
class Keymap:
    """The keys of every action, as the user mapped them."""

    keys: Mapping[str, tuple[str, ...]]
    """By action name, as a user would type them."""

    def first_key(self, name: str) -> str:
        """The key to show for an action: the first one, as on the keyboard."""
        keys = self.keys[name]
        return keys[0] if keys else ""

    def bindings(self, tab: str = EVERYWHERE) -> list[Binding]:
        """Textual bindings with the keys of this map, in the order of the help: those that work
        everywhere, or with `tab` those of one tab."""
        return [
            Binding(
                textual_key(key),
                action.call,
                action.description,
                show=False,
                id=action.name,
                # Characters are typed into forms; what goes with ctrl means the same everywhere.
                # `set` is the app's own to run, so that the keys after it reach the line that it
                # opens; it declines where characters are typed.
                priority=(action.name in {"quit", "palette"} and len(key) > 1)
                or action.name == "set",
            )
            for action in ACTIONS
            if action.tab == tab
            for key in self.keys[action.name]
        ]

    def groups(self, tab: str) -> dict[str, list[tuple[str, str]]]:
        """What the help shows of the keys of one tab and its panels, or of those that work
        everywhere: by group, (keys, description) of each action."""
        groups: dict[str, list[tuple[str, str]]] = {}
        for action in ACTIONS:
            if PANEL_TABS.get(action.tab, action.tab) != tab:
                continue
            keys = " ".join(self.keys[action.name]) or "none"
            groups.setdefault(action.group, []).append((keys, action.description))
        return groups


DEFAULT_KEYMAP = Keymap({action.name: action.keys for action in ACTIONS})


def remap(overrides: Mapping[str, str | Sequence[str]], source: str) -> Keymap:
    """The default keys with those of `overrides` (action name to key or keys) in their place.

    An empty list takes an action its keys. `source` names the file in errors. Raises
    `KeymapError` on an unknown action or key, and on a key that two actions claim.
    """
    keys = {action.name: action.keys for action in ACTIONS}
    for name, override in overrides.items():
        if name not in keys:
            raise KeymapError(f"{source}: keys.{name}: no such action; there are {', '.join(keys)}")
        keys[name] = (override,) if isinstance(override, str) else tuple(override)
        for key in keys[name]:
            if not is_key(key):
                raise KeymapError(f"{source}: keys.{name}: {key!r} is no key")
    _refuse_conflicts(keys, overrides, source)
    return Keymap(keys)


def _refuse_conflicts(
    keys: Mapping[str, tuple[str, ...]], overrides: Mapping[str, object], source: str
) -> None:
    """Two actions may share a key where they never work in the same place: a panel's keys are its
    own while it has the focus."""
    tabs = {action.name: action.tab for action in ACTIONS}
    owners: dict[str, list[str]] = {}
    for name in sorted(keys, key=lambda name: name in overrides):
        for key in keys[name]:
            sharing = owners.setdefault(textual_key(key), [])
            for owner in sharing:
                if owner != name and _meet(tabs[owner], tabs[name]):
                    raise KeymapError(
                        f"{source}: keys.{name}: {key!r} already belongs to {owner}; "
                        f"give keys.{owner} another key as well"
                    )
            sharing.append(name)


def _meet(place: str, other: str) -> bool:
    """Whether keys of two places can be meant at the same time."""
    if place == other:
        return True
    return EVERYWHERE in (place, other) and not PANEL_TABS.keys() & {place, other}
