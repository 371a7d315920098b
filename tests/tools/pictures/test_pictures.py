"""The pictures of README and docs: every tab has them, and none is older than its screen."""

import re
from pathlib import Path

import msgspec
import pytest
from frames import ScriptedClient, play
from planner_cases import QuickSearch
from prodtop.tui.app import ProdtopApp
from prodtop.tui.app_setup import AppSetup
from prodtop.tui.screens import planner as planner_screen
from prodtop.tui.settings import keymap
from prodtop.tui.settings.keymap import TAB_TITLES
from running_app import SLOW, Clock
from textual.pilot import Pilot

from tools.pictures.demo import DEMO, demo_pictures
from tools.pictures.outline import Outline, outline_of, picture, read_outline, title_words
from tools.pictures.scenes import SIZES, Scene, all_scenes
from tools.pictures.stage import shown

ROOT = Path(__file__).parents[3]
FOLDER = ROOT / "docs" / "pictures"
LARGEST_BYTES = 200_000
LIVE_FILES = {scene.file_name(*size): (scene, size) for scene in all_scenes() for size in SIZES}
FILES = LIVE_FILES | {DEMO.file_name(*size): (DEMO, size) for size in SIZES}
HINT = "run make pictures"


@pytest.fixture(autouse=True)
def quick_search(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(planner_screen, "SearchClient", QuickSearch)


def scripted(gpus: int) -> tuple[ProdtopApp, ScriptedClient]:
    client = ScriptedClient(play(30, gpus=gpus), obedient=True)
    return ProdtopApp(client, AppSetup(clock=Clock(), config=SLOW, theme="prodtop-dark")), client


async def outlines(size: tuple[int, int], gpus: int) -> dict[str, Outline]:
    """The outline of each scene in the app as it is now."""
    app, client = scripted(gpus)
    async with app.run_test(size=size) as pilot:
        while client.polls:
            app.tick()
        return {scene.name: outline async for scene, outline in shown(app, pilot, all_scenes())}


def test_every_tab_has_pictures_and_nothing_else_lies_there() -> None:
    assert {scene.tab for scene in all_scenes()} == set(TAB_TITLES)
    assert {path.name for path in FOLDER.iterdir()} == set(FILES), HINT


def test_a_tab_without_scenes_of_its_own_is_shown_as_it_opens(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setitem(keymap.TAB_TITLES, "newest", "Newest")
    assert all_scenes()[-1] == Scene(name="newest", tab="newest")


@pytest.mark.parametrize("size", SIZES, ids=lambda size: f"{size[0]}x{size[1]}")
async def test_no_picture_is_older_than_the_screen(size: tuple[int, int]) -> None:
    stored = {
        name: read_outline((FOLDER / name).read_text(encoding="utf-8"))
        for name, (_, its_size) in LIVE_FILES.items()
        if its_size == size
    }
    (gpus,) = {outline.gpus for outline in stored.values()}
    now = await outlines(size, gpus)
    for name, outline in stored.items():
        assert outline == now[FILES[name][0].name], f"{name} shows an older screen: {HINT}"


async def test_the_picture_of_the_demo_is_of_the_recording_that_ships() -> None:
    for name, svg in (await demo_pictures("prodtop-dark")).items():
        stored = (FOLDER / name).read_text(encoding="utf-8")
        assert read_outline(stored) == read_outline(svg), f"{name} shows an older screen: {HINT}"


@pytest.mark.parametrize("name", FILES)
def test_a_picture_is_small_and_fetches_nothing_but_the_fonts_of_textual(name: str) -> None:
    svg = (FOLDER / name).read_text(encoding="utf-8")
    assert len(svg.encode()) <= LARGEST_BYTES
    assert "base64" not in svg
    assert all("FiraCode" in url for url in re.findall(r'url\("([^"]+)"\)', svg))


async def test_the_outline_tells_another_screen_and_no_other_figures() -> None:
    app, client = scripted(gpus=1)

    async def settle(pilot: Pilot[None]) -> Outline:
        app.draw()
        await pilot.pause()
        return outline_of(app, "live")

    async with app.run_test(size=SIZES[0]) as pilot:
        client.polls.rotate(-1)
        app.tick()
        first = await settle(pilot)
        while client.polls:
            app.tick()
        assert await settle(pilot) == first
        assert read_outline(picture(app, first)) == first
        await pilot.press("m", "tab", "m")
        assert await settle(pilot) != first
        await pilot.press("m")
        app.screen.set_focus(None)
        assert await settle(pilot) == first
        app.screen.query_one("#queue").remove()
        assert await settle(pilot) != first


@pytest.mark.parametrize(
    ("title", "words"),
    [
        ("Throughput 1 min", "Throughput"),
        ("GPU 0 · NVIDIA H200 10 s", "GPU"),
        ("CPU · no GPU 1 min", "CPU"),
        ("Requests finished · 2301", "Requests finished"),
        ("Memory  an estimate", "Memory"),
        ("h100-sxm at bf16", ""),
        ("", ""),
    ],
)
def test_a_titles_words_end_before_figures_and_names(title: str, words: str) -> None:
    assert title_words(title) == words


def test_an_outline_that_is_missing_or_broken_is_told() -> None:
    with pytest.raises(ValueError, match="make pictures"):
        read_outline('<svg xmlns="http://www.w3.org/2000/svg"></svg>')
    with pytest.raises(msgspec.ValidationError):
        read_outline('<svg xmlns="http://www.w3.org/2000/svg"><desc>{}</desc></svg>')
