"""What goes wrong with records: unreadable, of another version, or impossible to save."""

from __future__ import annotations

from pytest_nfv.errors import ConfigurationError


class RecordError(ConfigurationError):
    """A record cannot be read, compared or saved.

    The message names the file and the key or the cause, and says what is accepted or what helps.
    """
