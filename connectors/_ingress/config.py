"""The front door's bounds, proxies and certificate, read from the configuration."""

from __future__ import annotations

import ssl

from connectors._ingress.limits import IngressLimits
from connectors._ingress.request import Proxies
from omnibus.config.model import HttpSettings
from omnibus.errors import Misconfigured


def limits_of(http: HttpSettings) -> IngressLimits:
    """The bounds an operator set; the rest are defaults."""
    return IngressLimits(
        max_body=http.max_body,
        max_in_flight_bytes=http.max_in_flight_bytes,
        max_in_flight=http.max_in_flight,
        read_timeout=http.read_timeout,
    )


def proxies_of(http: HttpSettings) -> Proxies:
    """The proxies whose word on the client's address is taken."""
    return Proxies(http.trusted_proxies)


def tls_of(http: HttpSettings) -> ssl.SSLContext | None:
    """The server's TLS context, None for plain HTTP. Raises Misconfigured when the files cannot be used."""
    if http.tls is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    try:
        context.load_cert_chain(http.tls.certificate, http.tls.key)
    except (OSError, ssl.SSLError) as error:
        raise Misconfigured("http.tls", f"cannot load the certificate: {error}") from error
    return context
