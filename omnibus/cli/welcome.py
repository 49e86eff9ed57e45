"""What `omnibus up` prints when everything runs: where things are, and commands to copy."""

from __future__ import annotations

import shlex
from collections.abc import Iterator

from rich.text import Text

from omnibus.cli.console import out
from omnibus.config.model import ChannelConfig, Config


def welcome(config: Config, seconds: float) -> None:
    """Print what runs and what to try."""
    base = f"http://{config.http.host}:{config.http.port}"
    out.print(Text.assemble(("Omnibus is up", "bold green"), f"  {seconds:.1f} s, bus {_bus(config)}, Ctrl-C stops it"))
    for line in _lines(config, base):
        out.print(line)


def welcome_stage(config: Config, stage: str, seconds: float) -> None:
    """Print that one stage runs, and where."""
    where = f", http://{config.http.host}:{config.http.port}" if stage == "connectors" else ""
    out.print(Text.assemble((f"{stage} is up", "bold green"), f"  {seconds:.1f} s, bus {_bus(config)}{where}"))


def _bus(config: Config) -> str:
    scheme, _, rest = config.bus.partition(":")
    return f"{scheme}:{rest.rpartition('@')[2]}"


def _lines(config: Config, base: str) -> Iterator[Text]:
    yield Text()
    for name, channel in config.channels.items():
        yield from _channel(name, channel, base)
    for name, sink in config.sinks.items():
        folder = getattr(sink.settings, "folder", None)
        yield _line(f"sink {name}", f"{', '.join(sink.sources)} -> {folder or sink.type}")
    yield _line("health", f"{base}/health/ready   metrics: {base}/metrics")
    if config.api.tokens:
        yield Text()
        yield Text("Answer a conversation (its id is in the queue's file; `omnibus tail omnibus.events` shows it too):")
        yield _command(
            f"curl -X POST {base}/api/conversations/ID/commands -H 'Authorization: Bearer {_token(config)}' "
            """-d '{"type":"reply","text":"Hello from support"}'"""
        )
    yield Text()
    yield Text("Everything at once, counted in and out again:")
    yield _command("omnibus demo")


def _token(config: Config) -> str:
    """The built-in configuration's token is made on this machine for trying things; one's own is never printed."""
    built_in = config.where("api.tokens").file == "built-in configuration"
    return config.api.tokens[0].reveal() if built_in else "$TOKEN"


def _channel(name: str, channel: ChannelConfig, base: str) -> Iterator[Text]:
    settings = channel.settings
    if channel.type == "webchat":
        yield _line(f"channel {name}", f"web chat: open {base}/ch/{name}/ in a browser")
    elif channel.type == "webhook":
        yield _line(f"channel {name}", f"webhook: POST {base}/in/{name}")
        body = """{"from":"ana@example.com","text":"My invoice is wrong"}"""
        yield _command(f"curl {base}/in/{name} -H 'Content-Type: application/json' -d {shlex.quote(body)}")
    elif channel.type == "email" and getattr(settings, "smtp", None) is not None:
        smtp = settings.smtp  # type: ignore[attr-defined]  # the e-mail channel's settings, seen from the kernel
        address = settings.addresses[0]  # type: ignore[attr-defined]  # likewise
        yield _line(f"channel {name}", f"mail: SMTP server {smtp.host} port {smtp.port}, to {address}")
        yield _command(
            f"printf 'From: ana@example.com\\nTo: {address}\\nSubject: Help\\n\\nHello' | "
            f"curl smtp://{smtp.host}:{smtp.port} --mail-from ana@example.com --mail-rcpt {address} -T -"
        )
    else:
        yield _line(f"channel {name}", channel.type)


def _line(what: str, where: str) -> Text:
    return Text.assemble((f"  {what:<16}", "bold"), where)


def _command(text: str) -> Text:
    return Text(f"      {text}", style="cyan")
