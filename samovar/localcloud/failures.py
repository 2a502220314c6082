"""What went wrong with a piece of work, in words for whoever asked for it; and what the log has said of it already."""

from __future__ import annotations

from collections import OrderedDict

from samovar.core.errors import SamovarError

REMEMBERED = 100


def reason_of(error: Exception) -> str:
    """What an operator reads, in one line. An error that nobody foresaw says where there is more."""
    if isinstance(error, SamovarError):
        return f"{error.message}; remedy: {error.remedy}" if error.remedy else error.message
    if isinstance(error, OSError):
        return str(error)
    return f"{type(error).__name__}: {error} (nobody foresaw this; the daemon's log has more)"


class Repeats:
    """Knows the last failures, so that one that comes again and again is logged once."""

    def __init__(self) -> None:
        self._said: OrderedDict[str, None] = OrderedDict()

    def is_new(self, error: BaseException, what: object = "") -> bool:
        """Whether this error, of that piece of work, was not met lately."""
        text = f"{what} {type(error).__name__} {_words(error)}"
        new = text not in self._said
        self._said[text] = None
        self._said.move_to_end(text)
        if len(self._said) > REMEMBERED:
            self._said.popitem(last=False)
        return new


def _words(error: BaseException) -> str:
    parts = error.exceptions if isinstance(error, BaseExceptionGroup) else ()
    return "; ".join([str(error), *map(_words, parts)])
