"""What each part of the screen shows, as pure functions from a moment to lines of inked text."""
