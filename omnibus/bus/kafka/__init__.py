"""The distributed bus: Apache Kafka, exactly once from raw to queue."""

from omnibus.bus.kafka.access import Access
from omnibus.bus.kafka.bus import KafkaBus
from omnibus.bus.kafka.limits import Limits

__all__ = ["Access", "KafkaBus", "Limits"]
