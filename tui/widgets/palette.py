"""The command palette, whose list may be moved through before it was first drawn."""

from textual.command import CommandPalette


class Palette(CommandPalette):
    """Textual's palette. Its list knows where its commands lie only once it was drawn: keys that
    come earlier (a fast typist, a paste) move nothing, where Textual's own raises `KeyError`."""

    def _action_command_list(self, action: str) -> None:
        # The list's keys all come through here.
        try:
            super()._action_command_list(action)
        except (KeyError, IndexError):
            self.log(f"no line to move to yet: {action}")
