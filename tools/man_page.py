"""Writes the man page samovar(1): every command with its options, and the exit codes, in roff as man(7) has it."""

from __future__ import annotations

import inspect
import re
from collections.abc import Callable, Iterator

import click

from samovar import __version__
from samovar.cli.main import cli
from samovar.core.errors import ExitCode

Records = Callable[[click.Option, click.Context], tuple[str, str]]


def man_page(record: Records) -> str:
    """Return the page. `record` returns an option's names and what it is for."""
    lines = [
        f'.TH SAMOVAR 1 "" "samovar {__version__}" "User Commands"',
        ".SH NAME",
        "samovar \\- immutable machine images, deployed as self\\-healing instance groups",
        ".SH SYNOPSIS",
        ".B samovar",
        "[OPTIONS] COMMAND [ARGUMENTS]",
        ".SH DESCRIPTION",
        *_paragraphs(cli.help or ""),
        ".SH OPTIONS",
        *_options(click.Context(cli, info_name="samovar"), record),
        ".SH COMMANDS",
        *_commands(click.Context(cli, info_name="samovar"), record),
        ".SH EXIT STATUS",
        *(line for code in ExitCode for line in (".TP", str(int(code)), _text(code.meaning))),
        ".SH ENVIRONMENT",
        "Each option can be given by a variable: SAMOVAR_, the command where there is one, and the option's name.",
    ]
    return "\n".join([*lines, ""])


def _commands(context: click.Context, record: Records) -> Iterator[str]:
    group = context.command
    for name, command in group.commands.items() if isinstance(group, click.Group) else ():
        inner = click.Context(command, info_name=name, parent=context)
        yield f".SS {_text(inner.command_path)} {_text(' '.join(command.collect_usage_pieces(inner)))}"
        yield from _paragraphs(command.help or "")
        yield from _options(inner, record)
        yield from _commands(inner, record)


def _options(context: click.Context, record: Records) -> Iterator[str]:
    for option in context.command.params:
        if isinstance(option, click.Option):
            names, text = record(option, context)
            yield from (".TP", f"\\fB{_text(names)}\\fR", _text(text))


def _paragraphs(help_text: str) -> Iterator[str]:
    for paragraph in inspect.cleandoc(help_text).split("\n\n"):
        yield from (".PP", _text(" ".join(paragraph.split())))


def _text(text: str) -> str:
    """Return text as roff: hyphens stay hyphens, words in backquotes are bold, and no line is taken for a request."""
    escaped = text.replace("\\", "\\e").replace("-", "\\-")
    bold = re.sub(r"`([^`]*)`", r"\\fB\1\\fR", escaped)
    return f"\\&{bold}" if bold.startswith((".", "'")) else bold
