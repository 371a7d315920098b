"""What the panel of the device says: of the engine's GPU, of others, and where there is none."""

import msgspec
import pytest
from frames import GIB, frame, gpu, host
from live_moments import ROOM, at, text_of
from of_our_own import known
from prodtop.tui.style.glyphs import UNICODE
from prodtop.tui.views.gpu import device_view
from prodtop.tui.views.panel import PanelView, Room


def test_a_machine_without_gpu_says_so_and_shows_its_cpu() -> None:
    text = text_of(device_view(at(host=host(gpus=0)), ROOM))
    assert "no GPU" in text
    assert "no NVIDIA driver on this machine" in text
    assert "of 96 cores" in text


def test_the_gpu_that_holds_the_engine_is_shown_in_full() -> None:
    sample = host(gpus=3)
    gpus = [
        msgspec.structs.replace(one, process_bytes=GIB if one.index == 2 else None)
        for one in sample.gpus
    ]
    view = device_view(at(host=msgspec.structs.replace(sample, gpus=gpus)), ROOM)
    assert view.title.plain.startswith("GPU 2")
    assert "GPU 0" in text_of(view)
    assert "GPU 1" in text_of(view)


@pytest.mark.parametrize(
    ("device", "uuid", "titled", "parts"),
    [
        ("cuda:0", "GPU-00000002", "GPU 2", True),
        ("cuda:1", None, "GPU 1", True),
        ("cuda:0", "GPU-elsewhere", "GPU 0", False),
        ("cpu", None, "GPU 0", False),
    ],
)
def test_the_engines_memory_and_energy_are_shown_on_its_own_gpu_alone(
    device: str, uuid: str | None, titled: str, parts: bool
) -> None:
    """As in a container, where NVML lists no process on any card."""
    sample = host(gpus=3)
    gpus = [msgspec.structs.replace(one, process_bytes=None) for one in sample.gpus]
    shown = msgspec.structs.replace(frame(), device=device, gpu_uuid=uuid)
    moment = at(shown, host=msgspec.structs.replace(sample, gpus=gpus), joules_per_token=1.25)
    view = device_view(moment, ROOM)
    assert view.title.plain.startswith(titled)
    assert ("weights" in text_of(view)) == parts
    assert ("1.25 J/token" in text_of(view)) == parts


@pytest.mark.parametrize("height", [5, 8, 24])
def test_sixteen_gpus_leave_the_engines_own_in_sight(height: int) -> None:
    shown = msgspec.structs.replace(frame(), gpu_uuid=gpu(index=11).uuid)
    sample = msgspec.structs.replace(host(), gpus=[gpu(index=index) for index in range(16)])
    view = device_view(at(shown, host=sample), Room(76, height, UNICODE))
    assert view.title.plain.startswith("GPU 11")
    assert len(view.lines) <= height
    for wanted in ("mem", "busy", "power"):
        assert wanted in text_of(view)


def test_a_gpu_without_a_name_is_titled_by_its_number() -> None:
    nameless = msgspec.structs.replace(gpu(), name="")
    sample = msgspec.structs.replace(host(), gpus=[nameless])
    assert device_view(at(host=sample), ROOM).title.plain == "GPU 0 1m"


@pytest.mark.parametrize("width", [36, 76, 120])
def test_the_master_copy_is_a_part_of_the_engines_memory(width: int) -> None:
    room = Room(width, 12, UNICODE)

    def shown(master_bytes: int | None) -> PanelView:
        taken = frame()
        memory = msgspec.structs.replace(known(taken.memory), master_bytes=master_bytes)
        return device_view(at(msgspec.structs.replace(taken, memory=memory)), room)

    assert "master 2.5" in text_of(shown(int(2.5 * GIB)))
    assert all(row.width <= width for row in shown(int(2.5 * GIB)).lines)
    for shares_all in (None, 0):
        assert "master" not in text_of(shown(shares_all))


def test_where_rows_are_scarce_the_most_needed_stay() -> None:
    few = [row.plain for row in device_view(at(), Room(36, 3, UNICODE)).lines]
    assert [row.split()[0] for row in few] == ["mem", "busy", "limit"]


def test_a_held_down_clock_is_pointed_out() -> None:
    hot = msgspec.structs.replace(gpu(), throttle="power cap", temperature_c=90.0)
    view = device_view(at(host=msgspec.structs.replace(host(), gpus=[hot])), ROOM)
    assert "held back: power cap" in text_of(view)
