"""Stages: pure steps over records, with keyed state and timers; sinks: effectful delivery."""
