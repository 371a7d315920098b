"""What the shell is left with when the screen is closed: the session in a few lines of plain text.

Without colour: it stands among the user's other lines, and may go into a file.
"""

from collections.abc import Sequence
from pathlib import Path

from ...engine.protocol import Frame, describe_load, describe_speculation
from ...engine.protocol.wording import counted
from ...engine.records.tried import Steadiness, Tried
from ..drawing.line import in_glyphs
from ..state.moment import Moment
from ..style.formatting import MISSING, duration, exact, rate, short_path
from ..style.glyphs import Glyphs
from .tried import percentile_text

_LABEL_CELLS = 10


def exit_summary(
    moment: Moment, tried: Sequence[Tried], saved: Sequence[Path], glyphs: Glyphs
) -> list[str]:
    """The lines; none where the engine never served. `moment` is the newest one, and `saved` the
    snapshots of this session."""
    frame = moment.frame
    if frame is None:
        return []
    requests = frame.accounting
    lines = [
        _headline(frame, moment.frame_age_s or 0.0),
        _labelled(
            "requests",
            MISSING
            if requests is None
            else f"{exact(requests.finished)} finished, {exact(requests.failed)} failed,"
            f" {exact(requests.rejected)} rejected",
        ),
        _labelled("tokens", f"{exact(frame.generated_tokens_total)} generated"),
        _labelled("best", _best(tried, glyphs)),
    ]
    if frame.recording is not None:
        # Those that end while the engine does are written as well.
        stopped = f" (stopped: {frame.recording.stopped})" if frame.recording.stopped else ""
        lines.append(_labelled("recorded", f"{frame.recording.path}{stopped}"))
    if saved:
        count = counted(len(saved), "snapshot")
        lines.append(_labelled("saved", f"{count} (figures, and a picture as .svg beside each):"))
        lines += [_labelled("", short_path(path)) for path in saved]
    return lines


def _headline(frame: Frame, since_s: float) -> str:
    """How long, what and on what. `since_s` is the age of the last frame."""
    where = frame.device_name or frame.device
    return f"prodtop  {duration(frame.uptime_s + since_s)}  {frame.model.name} on {where}"


def _labelled(label: str, text: str) -> str:
    return f"  {label.ljust(_LABEL_CELLS)}{text}"


def _best(tried: Sequence[Tried], glyphs: Glyphs) -> str:
    """Of the settings that were steady, those with the most tokens a second."""
    steady = [
        (record.figures.decode_tok_s, record.settings, record.figures)
        for record in tried
        if record.figures is not None and record.steadiness is Steadiness.STEADY
    ]
    if not steady:
        return f"{MISSING} (no settings were steady for long enough)"
    tok_s, settings, figures = max(steady, key=lambda each: each[0])
    drafts = describe_speculation(settings.speculation) if settings.speculation else ""
    served = " ".join(filter(None, (settings.strategy, settings.precision, drafts)))
    ttft = percentile_text(figures.ttft_p95, glyphs)
    text = f"{rate(tok_s, 'tok')}, TTFT p95 {ttft}: {served}, {describe_load(settings.load)}"
    return in_glyphs(text, glyphs)
