"""Ctrl-C is tested, too: a run that was started in the background ignores it, and its children inherit that."""

from __future__ import annotations

import signal

if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)
