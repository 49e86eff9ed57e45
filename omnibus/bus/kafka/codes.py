"""Error codes of the Kafka protocol (https://kafka.apache.org/protocol#protocol_error_codes), by what follows."""

from __future__ import annotations

from omnibus.errors import Fenced, OmnibusError

OFFSET_OUT_OF_RANGE = 1
UNKNOWN_TOPIC = 3
COORDINATOR_LOADING = 14
COORDINATOR_UNAVAILABLE = 15
NOT_COORDINATOR = 16
ILLEGAL_GENERATION = 22
UNKNOWN_MEMBER = 25
REBALANCING = 27
TOPIC_EXISTS = 36
DUPLICATE_SEQUENCE = 46
CONCURRENT_TRANSACTIONS = 51
MEMBER_ID_REQUIRED = 79

FENCED = frozenset({47, 90})  # INVALID_PRODUCER_EPOCH, PRODUCER_FENCED
COORDINATOR_MOVED = frozenset({COORDINATOR_LOADING, COORDINATOR_UNAVAILABLE, NOT_COORDINATOR})
PASSING = frozenset({3, 5, 6, 7, 9, 13, 56, 74, 75, 76, 78})
"""Of reads: another broker leads now, or soon will (a topic just made has no leader for a moment)."""
REFUSED = frozenset({2, 10, 17, 18, 29, 31, 32, 43, 87})
"""Nothing was stored and trying again changes nothing: corrupt, too large, not allowed, invalid."""

_NAMES = {
    -1: "UNKNOWN_SERVER_ERROR", 1: "OFFSET_OUT_OF_RANGE", 2: "CORRUPT_MESSAGE", 3: "UNKNOWN_TOPIC_OR_PARTITION",
    5: "LEADER_NOT_AVAILABLE", 6: "NOT_LEADER_OR_FOLLOWER", 7: "REQUEST_TIMED_OUT", 10: "MESSAGE_TOO_LARGE",
    9: "REPLICA_NOT_AVAILABLE", 14: "COORDINATOR_LOAD_IN_PROGRESS", 15: "COORDINATOR_NOT_AVAILABLE",
    16: "NOT_COORDINATOR", 56: "KAFKA_STORAGE_ERROR",
    17: "INVALID_TOPIC_EXCEPTION", 19: "NOT_ENOUGH_REPLICAS", 20: "NOT_ENOUGH_REPLICAS_AFTER_APPEND",
    22: "ILLEGAL_GENERATION", 25: "UNKNOWN_MEMBER_ID", 27: "REBALANCE_IN_PROGRESS",
    29: "TOPIC_AUTHORIZATION_FAILED", 30: "GROUP_AUTHORIZATION_FAILED", 36: "TOPIC_ALREADY_EXISTS",
    34: "ILLEGAL_SASL_STATE", 58: "SASL_AUTHENTICATION_FAILED",
    37: "INVALID_PARTITIONS", 38: "INVALID_REPLICATION_FACTOR", 40: "INVALID_CONFIG",
    45: "OUT_OF_ORDER_SEQUENCE_NUMBER", 46: "DUPLICATE_SEQUENCE_NUMBER", 47: "INVALID_PRODUCER_EPOCH",
    48: "INVALID_TXN_STATE", 49: "INVALID_PRODUCER_ID_MAPPING", 51: "CONCURRENT_TRANSACTIONS",
    53: "TRANSACTIONAL_ID_AUTHORIZATION_FAILED", 59: "UNKNOWN_PRODUCER_ID", 87: "INVALID_RECORD",
    90: "PRODUCER_FENCED", 120: "TRANSACTION_ABORTABLE",
}  # fmt: skip


class BrokerRefused(OmnibusError):
    """A broker answered with an error code: the task or call at hand fails with it."""

    def __init__(self, what: str, code: int) -> None:
        super().__init__(f"{what}: {_NAMES.get(code, f'error {code}')}")
        self.code = code


class Unanswered(OmnibusError):
    """No answer came (time-out, broken connection): whether the broker did it is not known."""


def check(what: str, code: int) -> None:
    """Raise Fenced or BrokerRefused unless the code is 0."""
    if code in FENCED:
        raise Fenced(f"{what}: {_NAMES[code]}")
    if code:
        raise BrokerRefused(what, code)
