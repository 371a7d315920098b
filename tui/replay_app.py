"""The screen over a recording: the keys that walk through time play it, and nothing changes it."""

from ..engine.client.replay_engine import SPEEDS, ReplayEngine
from ..engine.protocol import Fault
from .app import ProdtopApp
from .app_setup import USUAL_SETUP, AppSetup
from .state.replay_monitor import ReplayMonitor
from .style.formatting import duration

LONGEST_CATCH_UP_S = 0.15
"""Of one tick of the screen: what has not been taken in by then comes later."""


class ReplayApp(ProdtopApp):
    """Plays a recording. Closing it is all that ends it."""

    def __init__(self, engine: ReplayEngine, setup: AppSetup = USUAL_SETUP) -> None:
        """As `ProdtopApp`; the recording is played by the clock of `setup`."""
        self._engine = engine
        self._replay = ReplayMonitor(engine, setup.config, user_clock=setup.clock)
        super().__init__(engine, setup, monitor=self._replay)

    @property
    def fault(self) -> Fault | None:
        """None: a fault that ended the engine then does not end the replay."""
        return None

    def take_in(self) -> bool:
        """Take in all ticks that are due, one by one, as far as there is time."""
        engine, began_s = self._engine, self._clock()
        changed = False
        while engine.due:
            changed |= self.monitor.poll()
            if self._clock() - began_s > LONGEST_CATCH_UP_S:
                engine.lag()
                break
        else:
            changed |= self.monitor.poll()
        if engine.at_end and engine.loop and not engine.paused:
            self._seek(engine.recording.first_tick)
        return changed or not engine.paused

    def _seek(self, number: int) -> None:
        self._replay.seek(number)
        self.take_in_one()
        self.draw()

    def take_in_one(self) -> None:
        """Take in the tick that the recording stands at."""
        if self._engine.due:
            self.monitor.poll()

    # Actions: what the keys do here

    def action_pause(self) -> None:
        engine = self._engine
        if engine.at_end and not engine.paused:
            self._replay.seek(engine.recording.first_tick)
        else:
            engine.set_paused(not engine.paused)
        self.draw()

    def action_live(self) -> None:
        self._engine.set_paused(False)
        self.draw()

    def action_play(self, what: str, direction: int) -> None:
        if what == "speed":
            self._change_speed(direction)
        elif direction > 0:
            self._engine.step()
            self.take_in_one()
        else:
            self._engine.set_paused(True)
            # The number is that of the tick after the one shown.
            self._seek(self._engine.number - 2)
        self.draw()

    def _change_speed(self, direction: int) -> None:
        speed = self._engine.speed
        faster = [each for each in SPEEDS if each > speed]
        slower = [each for each in SPEEDS if each < speed]
        chosen = (faster[:1] if direction > 0 else slower[-1:]) or [speed]
        self._engine.set_speed(chosen[0])
        self.monitor.say(f"plays at ×{chosen[0]:g}")

    def action_load(self, direction: int) -> None:
        """Nothing can be loaded here: the keys for more and less are those of the charts' span."""
        self.action_zoom(direction)

    def stand_at(self, wall_s: float) -> None:
        """Go to a moment, and on from there."""
        self._seek(self._replay.tick_at(wall_s))
        played_s, length_s = self._engine.played_s(), self._engine.length_s
        self.monitor.say(f"{duration(played_s)} of {duration(length_s)}")

    def action_stop(self, direction: int) -> None:
        # While it plays on, what was just gone to would be behind at once.
        self._engine.set_paused(True)
        super().action_stop(direction)

    def action_zoom(self, direction: int) -> None:
        super().action_zoom(direction)
        self._remember_more()

    def action_window(self) -> None:
        super().action_window()
        self._remember_more()

    def action_choose_window(self, name: str) -> None:
        super().action_choose_window(name)
        self._remember_more()

    def _remember_more(self) -> None:
        """Charts of a longer window begin before what has been played."""
        self._seek(max(self._engine.number - 1, self._engine.recording.first_tick))
