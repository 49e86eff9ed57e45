"""The engine: finds the sinks, gives each configured one its own runner, and reports what came of every event."""
