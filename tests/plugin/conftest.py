"""What tests of the plugin share: the pytest that each of them starts does without Hypothesis."""

from __future__ import annotations

import pytest


@pytest.fixture(autouse=True)
def _without_hypothesis(pytester: pytest.Pytester) -> None:
    """Leave out Hypothesis's plugin: at the end of a run it imports all of Hypothesis, in half a second."""
    pytester.plugins.append("no:hypothesispytest")
