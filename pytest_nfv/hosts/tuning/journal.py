"""What a run changed on a machine, written down before it is changed, and how all of it is put back.

One JSON line a fact, in the run's own directory: `{"n": 0, "setting": .., "knob": .., "before": .., "after": ..}`
before a change, `{"n": 0, "reads": ..}` after it, `{"n": 0, "back": true}` once it is put back. What the machine
alters by itself with a change has its line before that of the change, and so is put back behind it. A kill leaves
at most a torn last line, which says nothing: what it would have announced was not done yet.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from errno import ENODEV, ENOENT, ENOSPC
from pathlib import Path
from typing import Any

from pytest_nfv.hosts.away import runs_with
from pytest_nfv.hosts.tuning.knob import Knob, knob_of

NAME = "settings.jsonl"
HOME_DEADLINE_S = 8.0
_GONE = (ENOENT, ENODEV)


@dataclass(frozen=True, slots=True)
class Change:
    """One value that was changed.

    Attributes:
        setting: which of `model.machine.CHANGES` it belongs to.
        reads: what the machine made of `after`; None where a kill came between the change and this.
        back: whether it is put back already.
    """

    number: int
    setting: str
    knob: str
    before: str
    after: str
    reads: str | None = None
    back: bool = False


@dataclass(slots=True)
class PutBack:
    """What came of putting back.

    Attributes:
        done: knobs that have their old value again.
        left: sentences on those that somebody else has changed since, or that are gone.
        trouble: sentences on those that could not be put back; worth another attempt.
    """

    done: list[str] = field(default_factory=list)
    left: list[str] = field(default_factory=list)
    trouble: list[str] = field(default_factory=list)


class Journal:
    """The journal of a run that lives, or of one that died."""

    def __init__(self, directory: Path) -> None:
        """Take up what is in the run's directory; nothing is written before the first change."""
        self.path = directory / NAME
        self._changes = _read(self.path)

    @property
    def standing(self) -> list[Change]:
        """What is changed now, in the order in which it was."""
        return [change for change in self._changes.values() if not change.back]

    def change(self, setting: str, knob: Knob, value: str, alters: Sequence[Knob] = ()) -> str:
        """Set a knob, the journal first; return what it reads then. One that has the value already is left alone.

        Args:
            setting: for which it is.
            knob: what is set.
            value: to what.
            alters: what else the machine changes by itself then; put back after the knob.

        Raises:
            OSError: it refused, or the journal cannot be written; then nothing was changed.
        """
        before = knob.read()
        if before == value:
            return before
        altered = [(self._noted(setting, other, was := other.read(), was), other) for other in alters]
        change = self._noted(setting, knob, before, value, sync=True)
        try:
            knob.write(value)
        except OSError:
            for one in (change, *(one for one, _ in altered)):
                self._is_back(one)
            raise
        reads = self._reads(change, knob)
        for one, other in altered:
            if self._reads(one, other) == one.before:
                self._is_back(one)
        return reads

    def _noted(self, setting: str, knob: Knob, before: str, after: str, *, sync: bool = False) -> Change:
        return self._note(Change(len(self._changes), setting, knob.key, before, after), sync=sync)

    def _note(self, change: Change, *, sync: bool = False) -> Change:
        told = {"setting": change.setting, "knob": change.knob, "before": change.before, "after": change.after}
        self._append({"n": change.number, **told}, sync=sync)
        self._changes[change.number] = change
        return change

    def _reads(self, change: Change, knob: Knob) -> str:
        reads = knob.read()
        self._append({"n": change.number, "reads": reads})
        self._changes[change.number] = replace(change, reads=reads)
        return reads

    def put_back(self, setting: str = "") -> PutBack:
        """Put back what stands changed, the last change first: of one setting, or all. Safe to repeat.

        A card that is not there may be on its way home from the network namespace of another part of the run: it
        is waited for.
        """
        result, until = PutBack(), time.monotonic() + HOME_DEADLINE_S
        for change in reversed(self.standing):
            if setting in ("", change.setting):
                self._one_back(change, result, until)
        if not self.standing and self.path.exists():
            self.path.unlink()
            self._changes.clear()
        return result

    def _one_back(self, change: Change, result: PutBack, until: float) -> None:
        try:
            if self._handed_on(change):
                return
            knob = knob_of(change.knob)
            now = _read_at_home(knob, until)
            ours = change.reads is None or now == change.reads
            if now != change.before and ours:
                knob.write(change.before)
        except OSError as error:
            told = f"{change.knob} has to be {change.before} again: {error.strerror}"
            if having := self._having(change, error):
                result.trouble.append(f"{told}; it is with run {', '.join(having)}")
            elif error.errno in _GONE:
                result.left.append(f"{told}; it is gone")
                self._is_back(change)
            else:
                result.trouble.append(told)
            return
        if now == change.before or ours:
            result.done.append(change.knob)
        else:
            result.left.append(
                f"{change.knob} is left at {now}, as somebody else set it: this run had set it from "
                f"{change.before} to {change.reads}"
            )
        self._is_back(change)

    def _having(self, change: Change, error: OSError) -> list[str]:
        """Return the runs that have the card whose setting is not there, of this host's."""
        if error.errno != ENODEV:
            return []
        interface = change.knob.partition(":")[2].partition("@")[0]
        return runs_with(interface, self.path.parent.parent)

    def _handed_on(self, change: Change) -> bool:
        """Whether another setting has the knob now, whose end then brings back what was before this one."""
        later = [one for one in self.standing if one.knob == change.knob and one.number > change.number]
        if not later or later[0].setting == change.setting:
            return False
        reads = later[0].reads
        heir = self._note(replace(later[0], before=change.before, reads=None), sync=True)
        if reads is not None:
            self._append({"n": heir.number, "reads": reads})
            self._changes[heir.number] = replace(heir, reads=reads)
        self._is_back(change)
        return True

    def _is_back(self, change: Change) -> None:
        with suppress(OSError):  # a full disk must keep nothing from being put back; once more does no harm
            self._append({"n": change.number, "back": True})
        self._changes[change.number] = replace(change, back=True)

    def _append(self, fact: Mapping[str, Any], *, sync: bool = False) -> None:
        line = (json.dumps(fact) + "\n").encode()
        descriptor = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if size and os.pread(descriptor, 1, size - 1) != b"\n":
                line = b"\n" + line  # ends the torn line of somebody who was killed
            if os.write(descriptor, line) != len(line):
                raise OSError(ENOSPC, os.strerror(ENOSPC), str(self.path))
            if sync:
                os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _read_at_home(knob: Knob, until: float) -> str:
    while True:
        try:
            return knob.read()
        except OSError as error:
            if error.errno != ENODEV or time.monotonic() >= until:
                raise
        time.sleep(0.05)


def _read(path: Path) -> dict[int, Change]:
    try:
        lines = path.read_bytes().split(b"\n")
    except FileNotFoundError:
        return {}
    changes: dict[int, Change] = {}
    for line in lines:
        try:
            _replay(changes, json.loads(line))
        except (ValueError, KeyError, TypeError):
            continue  # torn
    return changes


def _replay(changes: dict[int, Change], fact: Mapping[str, Any]) -> None:
    number = int(fact["n"])
    if "knob" in fact:
        setting, knob, before, after = (str(fact[name]) for name in ("setting", "knob", "before", "after"))
        changes[number] = Change(number, setting, knob, before, after)
    elif "reads" in fact:
        changes[number] = replace(changes[number], reads=str(fact["reads"]))
    elif fact["back"]:
        changes[number] = replace(changes[number], back=True)
