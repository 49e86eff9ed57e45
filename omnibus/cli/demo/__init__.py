"""``omnibus demo``: invented people write through the real front doors, and everything is counted out again."""
