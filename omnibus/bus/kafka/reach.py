"""Why no broker can be used, in a sentence for the operator: the client library only says that it could not."""

from __future__ import annotations

import ssl
from collections.abc import Mapping, Sequence
from typing import Any

from aiokafka.conn import collect_hosts, create_conn
from aiokafka.errors import (
    AuthenticationFailedError,
    KafkaError,
    SaslAuthenticationFailed,
    UnsupportedSaslMechanismError,
)
from aiokafka.protocol.metadata import MetadataRequest

from omnibus.bus.kafka.access import Access
from omnibus.errors import Misconfigured

_EXPIRED, _NOT_YET = 10, 9
_UNKNOWN_AUTHORITY = frozenset({2, 18, 19, 20, 21, 27})
_OTHER_NAME = frozenset({62, 64})
"""Verification results of OpenSSL (https://docs.openssl.org/3.0/man3/X509_STORE_CTX_get_error/)."""


async def why(addresses: Sequence[str], access: Access, timeout_s: float) -> Misconfigured:
    """Try each address once more, alone; returns what is wrong with the one that came furthest."""
    arguments = access.client_arguments()
    nobody = Misconfigured("bus", f"no Kafka broker answers at {', '.join(addresses)}")
    found = nobody
    for host, port, _ in collect_hosts(list(addresses)):
        error = await _failure(host, port, arguments, timeout_s)
        if error is not None and not isinstance(error, ConnectionRefusedError):
            found = _sentence(f"{host}:{port}", access, error)
            if found.setting != "bus":
                return found
    return found


async def _failure(host: str, port: int, arguments: Mapping[str, Any], timeout_s: float) -> Exception | None:
    try:
        connection = await create_conn(
            host, port, client_id="omnibus-why", request_timeout_ms=int(timeout_s * 1000), **arguments
        )
    except (OSError, KafkaError, TimeoutError, ValueError) as error:
        return error
    try:
        answer = await connection.send(MetadataRequest([]))
    except (KafkaError, TimeoutError) as error:
        return error
    finally:
        connection.close()
    return None if answer.brokers else KafkaError("it knows of no brokers")


def _sentence(broker: str, access: Access, error: Exception) -> Misconfigured:
    if isinstance(error, ssl.SSLCertVerificationError):
        return _certificate(broker, access, error)
    if isinstance(error, ssl.SSLError):
        if "alert" in str(error).lower():
            return Misconfigured("kafka.tls.certificate", f"{broker} does not accept our certificate: {error.reason}")
        return Misconfigured("kafka.tls", f"{broker} does not speak TLS, or breaks it off: {error.reason or error}")
    if isinstance(error, ConnectionResetError | ConnectionAbortedError) and access.tls:
        return Misconfigured("kafka.tls", f"{broker} does not speak TLS, or breaks it off")
    if isinstance(error, UnsupportedSaslMechanismError):
        return Misconfigured("kafka.sasl.mechanism", f"{broker} does not offer {access.mechanism}: {error}")
    if isinstance(error, SaslAuthenticationFailed | AuthenticationFailedError | ValueError):
        who = "" if access.username is None else f" as {access.username}"
        return Misconfigured("kafka.sasl", f"{broker} refuses the login{who} by {access.mechanism}: {_words(error)}")
    if isinstance(error, KafkaError):
        return _broken_off(broker, access)
    if isinstance(error, TimeoutError):
        return Misconfigured("bus", f"{broker} did not answer in time")
    return Misconfigured("bus", f"no Kafka broker answers at {broker}: {error}")


def _certificate(broker: str, access: Access, error: ssl.SSLCertVerificationError) -> Misconfigured:
    if error.verify_code == _EXPIRED:
        return Misconfigured("kafka.tls", f"the certificate of {broker} has expired: the broker needs a new one")
    if error.verify_code == _NOT_YET:
        return Misconfigured("kafka.tls", f"the certificate of {broker} is not valid yet: is the clock right?")
    if error.verify_code in _OTHER_NAME:
        return Misconfigured("kafka.tls", f"the certificate of {broker} is for another name: {error.verify_message}")
    if error.verify_code in _UNKNOWN_AUTHORITY:
        trusted = "the system trusts" if access.ca_file is None else f"{access.ca_file} holds"
        return Misconfigured("kafka.tls.ca_file", f"no authority that {trusted} has signed the certificate of {broker}")
    return Misconfigured("kafka.tls", f"the certificate of {broker} is not accepted: {error.verify_message}")


def _broken_off(broker: str, access: Access) -> Misconfigured:
    """The connection was there and then gone: the broker saw something it did not expect."""
    if access.mechanism == "OAUTHBEARER":
        # A broker answers a bad token with a successful frame (RFC 7628 section 3.2.2), and what follows with nothing.
        return Misconfigured(
            "kafka.sasl.token_file", f"{broker} refuses the token: expired, or of another issuer or audience?"
        )
    if access.certificate_file is None and access.tls and access.mechanism is None:
        return Misconfigured("kafka", f"{broker} broke the connection off: it may want a login, or a certificate")
    if not access.tls:
        return Misconfigured("kafka", f"{broker} broke the connection off: it may want TLS (kafka.tls), or a login")
    return Misconfigured("kafka", f"{broker} broke the connection off: is that login or certificate what it wants?")


def _words(error: Exception) -> str:
    """What the broker said; the library puts its own words around it."""
    return str(error.args[0]) if error.args and error.args[0] else type(error).__name__
