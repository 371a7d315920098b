"""The Planner tab's panels as inked text: pure functions of a plan's answer and the room."""
