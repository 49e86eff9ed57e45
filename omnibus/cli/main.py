"""``omnibus``: the one command. Modules are imported when their command runs, so that `--help` and `up` start fast."""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence

import click

import omnibus
from omnibus.config.errors import ConfigErrors
from omnibus.errors import OmnibusError

COMMANDS = {
    "up": ("omnibus.cli.up:up", "Start every stage in this process; without a configuration, something to try."),
    "run": ("omnibus.cli.up:run", "Start one stage: connectors, normalizer, router or sinks."),
    "init": ("omnibus.cli.init:init", "Write a commented configuration to start from."),
    "check": ("omnibus.cli.check:check", "Say what is wrong in the configuration, all of it, with lines."),
    "topics": ("omnibus.cli.topics:topics", "The topics there are, how full, and how far behind everybody is."),
    "bus": ("omnibus.cli.bus:bus", "Move an installation from the embedded bus to Kafka."),
    "tail": ("omnibus.cli.tail:tail", "Show a topic's records as they come."),
    "channel": ("omnibus.cli.channel:channel", "Channels: list, show, and for your own: new, test, replay."),
    "route": ("omnibus.cli.route:route", "Routing: explain a conversation's decisions, test the rules' examples."),
    "dead": ("omnibus.cli.dead:dead", "Dead letters: list, show, replay."),
    "replay": ("omnibus.cli.replay:replay", "Normalise stored raw events again."),
    "doctor": ("omnibus.cli.doctor:doctor", "Look at this machine and this installation for what may go wrong."),
    "demo": (
        "omnibus.cli.demo.command:demo",
        "Send some 300 conversations through the front doors and count them out again.",
    ),
}


WRONG = 2
"""Exit code of wrong usage, a wrong configuration, or an installation that cannot be reached; 1 means that the command
worked and what it looked at is not as it should be."""
INTERRUPTED = 130
"""As shells report a process ended by SIGINT."""


class Commands(click.Group):
    """Lists commands without importing them."""

    def list_commands(self, ctx: click.Context) -> list[str]:
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        if cmd_name not in COMMANDS:
            return None
        module, _, name = COMMANDS[cmd_name][0].partition(":")
        command: click.Command = getattr(importlib.import_module(module), name)
        return command

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in COMMANDS.items()])


@click.group(cls=Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(omnibus.__version__, prog_name="omnibus")
def cli() -> None:
    """Every channel in, one conversation model, routed queues, replies out."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Expected errors are sentences on stderr and exit code 2, never a traceback."""
    try:
        result = cli.main(args=arguments, prog_name="omnibus", standalone_mode=False)
    except (click.exceptions.Abort, KeyboardInterrupt):
        return INTERRUPTED
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except ConfigErrors as errors:
        _explain(errors)
        return WRONG
    except OmnibusError as error:
        _say(str(error))
        return WRONG
    except FileExistsError as error:
        _say(f"{error.filename}: a file is in the way of a folder")
        return WRONG
    except OSError as error:
        _say(f"{error.filename or 'this machine'}: {(error.strerror or str(error)).lower()}")
        return WRONG
    return result if isinstance(result, int) else 0


def _explain(errors: ConfigErrors) -> None:
    for wrong in errors.errors:
        print(wrong, file=sys.stderr)
    number = len(errors.errors)
    _say(f"{number} {'thing is' if number == 1 else 'things are'} wrong in the configuration; nothing was started")


def _say(sentence: str) -> None:
    print(f"omnibus: {sentence}", file=sys.stderr)


if __name__ == "__main__":
    raise SystemExit(main())
