"""That these tests themselves cannot be green because nothing ran: what is required and missing is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]


@pytest.mark.parametrize("required", [True, False])
def test_a_contract_without_its_peer_fails_where_the_peer_is_required(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: bool
) -> None:
    monkeypatch.setenv("PATH", str(pytester.path))  # there is nothing
    monkeypatch.setenv("PYTEST_NFV_REQUIRE", "two-cores,testpmd" if required else "two-cores")
    options = ("-rsE", "-p", "no:cacheprovider", "-c", str(ROOT / "pyproject.toml"), "-k", "whole_and_in_order")
    result = pytester.runpytest_subprocess(*options, str(ROOT / "tests" / "contract" / "test_vhost_user.py"))
    outcomes = result.parseoutcomes()
    outcomes.pop("deselected")
    assert outcomes == {"errors" if required else "skipped": 2}
    said = "required, and missing: testpmd: " if required else "testpmd: "
    assert f"{said}dpdk-testpmd is not to be found" in " ".join(result.stdout.str().split())
