"""A process that records the scripted engine in real time, until it is killed or told to stop.

`python recording_child.py FILE POLLS INTERVAL_S` prints the number of each poll once the screen has
it, and every fault; `-` for FILE: the usual folder. A line on stdin before it begins is waited for.
"""

import itertools
import sys
import time
from pathlib import Path

import msgspec
from frame_requests import finished, in_system
from frames import ScriptedClient, frame, host
from prodtop.engine.client.recorded_engine import RecordedEngine
from prodtop.engine.protocol import Fault, StrategyName
from prodtop.engine.protocol.errors import ProdtopError


def main() -> None:
    file, polls, interval_s = sys.argv[1], int(sys.argv[2]), float(sys.argv[3])
    sys.stdin.readline()
    client = ScriptedClient()
    engine = RecordedEngine(client, facts=lambda: {"prodtop": "0.1.0"})
    try:
        print(engine.start_recording(None if file == "-" else Path(file)), flush=True)
    except ProdtopError as error:
        sys.exit(str(error))
    for number in itertools.count(1):
        if number > polls:
            break
        second = number / 4
        # A text that does not compress: a small disk is to be full soon.
        noise = "".join(
            chr(0x4E00 + (number * 7919 + place * 104729) % 20_000) for place in range(400)
        )
        stream = frame(second).stream
        assert stream is not None
        shown = msgspec.structs.replace(
            frame(second, strategy=StrategyName.HYBRID),
            sequence=number,
            stream=msgspec.structs.replace(stream, prompt=noise),
        )
        client.queue(host(second), shown, in_system(second, StrategyName.HYBRID),
                     finished(second, StrategyName.HYBRID))  # fmt: skip
        for report in engine.poll():
            if isinstance(report, Fault):
                print(f"fault {report.message}", flush=True)
        print(number, flush=True)
        time.sleep(interval_s)
    engine.close()
    print("closed", flush=True)


if __name__ == "__main__":
    main()
