"""Asks the operator to confirm a change, and ends a command that was not confirmed."""

from __future__ import annotations

import sys

import rich_click as click

from samovar.core.errors import ExitCode, SamovarError


class Declined(SamovarError):
    """The operator answered no."""

    code = ExitCode.DECLINED


class Unconfirmed(SamovarError):
    """A change that cannot be undone was not confirmed."""

    code = ExitCode.REFUSED


def agree(question: str, *, yes: bool, irreversible: bool = False) -> None:
    """Ask for confirmation on a terminal unless `yes`. Raises Declined where the answer is no.

    Off a terminal there is no question: an `irreversible` change raises Unconfirmed, and any other goes on.
    """
    if yes:
        return
    if not at_terminal():
        if irreversible:
            raise Unconfirmed(
                f"{question} Off a terminal this needs a confirmation: nothing was changed", remedy="give --yes"
            )
        return
    if not click.confirm(question, err=True):
        raise Declined("nothing was changed")


def agree_by_name(question: str, name: str, confirmed: str | None, *, yes: bool) -> None:
    """Ask for `name` on a terminal, unless it was `confirmed`. `yes` alone is Unconfirmed, for it names nothing."""
    if confirmed is None and (yes or not at_terminal()):
        raise Unconfirmed(f"{question} This needs its name: nothing was changed", remedy=f"give --confirm {name}")
    answer = click.prompt(f"{question} Type its name", err=True) if confirmed is None else confirmed
    if answer != name:
        raise Declined(f"{answer} is not {name}: nothing was changed")


def at_terminal() -> bool:
    """Return whether the operator can be asked."""
    return sys.stdin.isatty() and sys.stderr.isatty()
