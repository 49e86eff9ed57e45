"""How the brokers are reached: encryption and login."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
from aiokafka.abc import AbstractTokenProvider
from aiokafka.errors import AuthenticationFailedError

from omnibus.errors import Misconfigured

Mechanism = Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"]


class Access(msgspec.Struct, frozen=True, kw_only=True):
    """TLS and SASL of a cluster; the default is neither. `token` is called for OAUTHBEARER, on a thread of its own."""

    tls: bool = False
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    mechanism: Mechanism | None = None
    username: str | None = None
    password: str | None = None
    token: Callable[[], str] | None = None

    def __repr__(self) -> str:
        return f"Access({self._protocol()}, {self.mechanism}, {self.username})"  # never the password

    def client_arguments(self) -> Mapping[str, Any]:
        """What the client library wants. Raises Misconfigured for a combination that cannot work."""
        arguments: dict[str, Any] = {"security_protocol": self._protocol()}
        if self.tls:
            arguments["ssl_context"] = self._context()
        if self.mechanism == "OAUTHBEARER":
            if self.token is None:
                raise Misconfigured("kafka.sasl.token_file", "OAUTHBEARER needs a token")
            arguments |= {"sasl_mechanism": self.mechanism, "sasl_oauth_token_provider": _Tokens(self.token)}
        elif self.mechanism is not None:
            if self.username is None or self.password is None:
                raise Misconfigured("kafka.sasl", f"{self.mechanism} needs a username and a password")
            arguments |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        return arguments

    def _protocol(self) -> str:
        if self.mechanism is None:
            return "SSL" if self.tls else "PLAINTEXT"
        return "SASL_SSL" if self.tls else "SASL_PLAINTEXT"

    def _context(self) -> ssl.SSLContext:
        try:
            context = ssl.create_default_context(cafile=None if self.ca_file is None else str(self.ca_file))
            if self.certificate_file is not None:
                context.load_cert_chain(self.certificate_file, self.key_file)
        except (OSError, ssl.SSLError) as error:
            raise Misconfigured("kafka.tls", f"the certificates cannot be loaded: {error}") from error
        return context


class _Tokens(AbstractTokenProvider):  # type: ignore[misc]  # the library ships no types
    def __init__(self, token: Callable[[], str]) -> None:
        self._token = token

    async def token(self) -> str:
        """Raises what the library takes for a refused login: it tries again then. Any other error, while a file is
        being changed perhaps, would end the task of its that keeps the cluster's metadata."""
        try:
            return await asyncio.to_thread(self._token)
        except Misconfigured as error:
            raise AuthenticationFailedError(str(error)) from error
