"""What a benchmark measures, one figure a run, and its rows: medians, spread, what disturbed them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

WAITED_MAX = 0.02
"""Share of a run that a process may wait for its core; above it the run is told as disturbed."""


@dataclass(frozen=True, slots=True)
class Sample:
    """One run of one side.

    Attributes:
        figure: in the row's unit.
        waited: largest share of the run in which a process of it was ready and had no core (schedstat's delay).
        limit: who kept the figure from being better, and how that was seen.
        share: share of the frames for which it was seen, where that says something.
        more: further figures of this run, by name with unit.
    """

    figure: float
    waited: float
    limit: str = ""
    share: float = 0.0
    more: Mapping[str, float] = field(default_factory=dict)

    @property
    def disturbed(self) -> bool:
        """Whether a process of this run waited for its core for longer than is let pass."""
        return self.waited > WAITED_MAX


@dataclass(frozen=True, slots=True)
class Row:
    """One line of a benchmark.

    Attributes:
        against: what the peer is; goal: what the ratio is to reach, as text.
        ours, peer: runs in the order in which they were taken, by turns.
    """

    name: str
    unit: str
    against: str
    goal: str
    ours: tuple[Sample, ...]
    peer: tuple[Sample, ...]

    def to_json(self) -> dict[str, Any]:
        """Return the row; figures are medians of all runs, `undisturbed` those of runs that had their cores."""
        quiet = [[one for one in side if not one.disturbed] for side in (self.ours, self.peer)]
        return {
            "name": self.name,
            "ours": _median(self.ours),
            "peer": _median(self.peer),
            "ratio": _ratio(self.ours, self.peer),
            "unit": self.unit,
            "spread": {"ours": _spread(self.ours), "peer": _spread(self.peer)},
            "against": self.against,
            "goal": self.goal,
            "runs": len(self.ours),
            "limit": {"ours": _limits(self.ours), "peer": _limits(self.peer)},
            "more": _more(self.ours),
            "disturbed": {
                "ours": [one.disturbed for one in self.ours],
                "peer": [one.disturbed for one in self.peer],
            },
            "undisturbed": {
                "ours": _median(quiet[0]),
                "peer": _median(quiet[1]),
                "ratio": _ratio(quiet[0], quiet[1]),
            },
        }


def _median(samples: Sequence[Sample]) -> float | None:
    return round(statistics.median(one.figure for one in samples), 3) if samples else None


def _ratio(ours: Sequence[Sample], peer: Sequence[Sample]) -> float | None:
    one, other = _median(ours), _median(peer)
    return round(one / other, 3) if one is not None and other else None


def _spread(samples: Sequence[Sample]) -> list[float]:
    figures = [one.figure for one in samples]
    return [round(min(figures), 3), round(max(figures), 3)]


def _limits(samples: Sequence[Sample]) -> str:
    """Return the limit that most runs had, for which share of the frames, and in how many runs."""
    told = [one.limit for one in samples]
    most = statistics.mode(told)
    share = statistics.median(one.share for one in samples if one.limit == most)
    text = f"{most} ({share:.0%} of the frames)" if share else most
    return text if told.count(most) == len(told) else f"{text} in {told.count(most)} of {len(told)} runs"


def _more(samples: Sequence[Sample]) -> dict[str, float]:
    names = dict.fromkeys(name for one in samples for name in one.more)
    return {name: round(statistics.median(one.more.get(name, 0.0) for one in samples), 3) for name in names}


def in_turns(
    runs: int, ours: Callable[[], Sample], peer: Callable[[], Sample]
) -> tuple[list[Sample], list[Sample]]:
    """Take `runs` samples of each, ours and the peer's by turns."""
    both: tuple[list[Sample], list[Sample]] = ([], [])
    for _ in range(runs):
        both[0].append(ours())
        both[1].append(peer())
    return both


HEADINGS = ("benchmark", "ours", "peer", "ratio", "to reach", "limit of ours; of the peer", "disturbed runs")


def markdown_head() -> list[str]:
    """Return the two lines above the rows."""
    return ["| " + " | ".join(HEADINGS) + " |", "|---|---|---|---:|---|---|---|"]


def markdown_row(row: Row) -> str:
    """Return the row as one line of a Markdown table."""
    told = row.to_json()
    more = "".join(f"; {name} {value:g}" for name, value in told["more"].items())
    disturbed = [sum(told["disturbed"][side]) for side in ("ours", "peer")]
    quiet = told["undisturbed"]["ratio"]
    apart = f"; the others' ratio {quiet:.2f}" if any(disturbed) and quiet is not None else ""
    cells = [
        row.name,
        f"{_told(told, 'ours')} {row.unit}{more}",
        f"{_told(told, 'peer')} {row.unit} ({row.against})",
        f"{told['ratio']:.2f}" if told["ratio"] is not None else "-",
        row.goal,
        f"{told['limit']['ours']}; {told['limit']['peer']}",
        f"{disturbed[0]} and {disturbed[1]} of {told['runs']}{apart}",
    ]
    return "| " + " | ".join(cells) + " |"


def _told(told: Mapping[str, Any], side: str) -> str:
    low, high = told["spread"][side]
    return f"{told[side]:.2f} ({low:.2f} to {high:.2f})"


def plain_row(row: Row) -> str:
    """Return the row as lines for a terminal."""
    told = row.to_json()
    lines = [f"{row.name}: ratio {told['ratio']} (to reach: {row.goal})"]
    for side, label, samples in (("ours", "ours", row.ours), ("peer", row.against, row.peer)):
        marks = sum(one.disturbed for one in samples)
        noise = f"; {marks} of {len(samples)} runs disturbed" if marks else ""
        lines.append(f"  {label}: {_told(told, side)} {row.unit}; limit: {told['limit'][side]}{noise}")
    lines += [f"  ours, {name}: {value:g}" for name, value in told["more"].items()]
    if any(one.disturbed for one in (*row.ours, *row.peer)):
        quiet = told["undisturbed"]
        lines.append(f"  undisturbed runs: ours {quiet['ours']}, peer {quiet['peer']}, ratio {quiet['ratio']}")
    return "\n".join(lines)


def json_row(row: Row) -> str:
    """Return the row as one JSON line."""
    return json.dumps(row.to_json())
