"""The messages that cross process boundaries.

The screen knows these types and nothing else of the engine. Each is a msgspec struct, tagged by
its name, sent as length-prefixed msgpack. `None` means "this engine cannot say": a reader
shows `--` for it and never zero.

Two clocks: `*_at_s` fields are on the sender's monotonic clock; `wall_s` is Unix time.
Rates are per second over the sender's last `RATE_SPAN_S`, unless a field says otherwise.

`frame` is where to begin reading: all that the screen shows hangs on it. `wire` says who may send
what. Everyone else imports from here and not from the files: what they define is exported.
"""
# ruff: noqa: F403

from .attached import *
from .bench import *
from .commands import *
from .effect import *
from .events import *
from .frame import *
from .guard_samples import *
from .load import *
from .message import *
from .model_info import *
from .own_setting import *
from .probe import *
from .quality import *
from .requests import *
from .server_events import *
from .settings import *
from .slo import *
from .targets import *
from .usage import *
from .verdict import *
from .wire import *
