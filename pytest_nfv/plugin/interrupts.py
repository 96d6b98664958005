"""Ctrl-C, for certain.

Python raises KeyboardInterrupt wherever the main thread is just then. In a callback of the import system or of a
finaliser that is nowhere: it is printed and dropped, and a measurement of minutes would go on. So Ctrl-C is also
noted, and raised again at the next look.
"""

from __future__ import annotations

import signal
from types import FrameType


class Interrupts:
    """Listens from `listen` to `pytest_unconfigure`, before the handler that is there, which does what it did."""

    def __init__(self) -> None:
        self._noted = False
        self._before: signal._HANDLER = None

    def listen(self) -> None:
        """Begin; only where Ctrl-C raises KeyboardInterrupt, in the main thread."""
        if signal.getsignal(signal.SIGINT) is not signal.default_int_handler:
            return
        try:
            self._before = signal.signal(signal.SIGINT, self._heard)
        except ValueError:
            return  # not the main thread: not ours to handle

    def _heard(self, number: int, frame: FrameType | None) -> None:
        self._noted = True
        signal.default_int_handler(number, frame)

    def check(self) -> None:
        """Raise what was noted, once.

        Raises:
            KeyboardInterrupt: Ctrl-C came since `listen`.
        """
        if self._noted:
            self._noted = False
            raise KeyboardInterrupt

    def pytest_unconfigure(self) -> None:
        """Put the handler back."""
        if self._before is not None:
            signal.signal(signal.SIGINT, self._before)
            self._before = None
