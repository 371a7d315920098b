"""The file of what was measured, which several processes fill at once."""

import subprocess
import sys
from pathlib import Path

import msgspec
from prodtop.engine.device.device_file import DeviceFile

DECODER = msgspec.json.Decoder(dict[str, dict[str, float]])
FILLER = """
import sys
from pathlib import Path
import msgspec
from prodtop.engine.device.device_file import DeviceFile
file = DeviceFile(Path(sys.argv[1]), msgspec.json.Decoder(dict[str, dict[str, float]]))
sys.stdin.readline()
for number in range(20):
    file.write(f"{sys.argv[2]} {number}", {"copy": float(number)})
"""


def test_processes_that_fill_it_at_once_lose_nothing(tmp_path: Path) -> None:
    path = tmp_path / "data" / "measured.json"
    fillers = [
        subprocess.Popen(
            [sys.executable, "-c", FILLER, str(path), name], stdin=subprocess.PIPE, text=True
        )
        for name in "abc"
    ]
    for filler in fillers:
        assert filler.stdin is not None
        filler.stdin.write("\n")
        filler.stdin.close()
    assert [filler.wait() for filler in fillers] == [0, 0, 0]
    file = DeviceFile(path, DECODER)
    for name in "abc":
        for number in range(20):
            assert file.read(f"{name} {number}") == {"copy": float(number)}
    assert [each.name for each in path.parent.iterdir()] == ["measured.json"]


def test_where_it_cannot_be_written_nothing_happens(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    file = DeviceFile(tmp_path / "file" / "measured.json", DECODER)
    file.write("owner", {"copy": 1.0})
    assert file.read("owner") == {}
