"""Ports that nobody listens on just now: for servers of tests, benchmarks and the demo."""

from __future__ import annotations

import socket


def free_port() -> int:
    """One of the loopback address."""
    (port,) = free_ports(1)
    return port


def free_ports(count: int) -> list[int]:
    """So many different ones of the loopback address."""
    sockets = [socket.socket() for _ in range(count)]
    try:
        for one in sockets:
            one.bind(("127.0.0.1", 0))
        return [one.getsockname()[1] for one in sockets]
    finally:
        for one in sockets:
            one.close()
