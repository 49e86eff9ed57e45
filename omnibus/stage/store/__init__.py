"""Local copies of a task's state, for engines whose truth is elsewhere."""
