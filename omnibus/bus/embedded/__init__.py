"""The embedded bus: one SQLite file, no server. Only this package imports sqlite3."""

from omnibus.bus.embedded.bus import EmbeddedBus
from omnibus.bus.embedded.limits import Limits

__all__ = ["EmbeddedBus", "Limits"]
