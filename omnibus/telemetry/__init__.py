"""What operators see: log lines, counters, health and traces; never a secret, never the text of a message."""
