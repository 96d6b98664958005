"""That these tests themselves cannot be green because nothing ran: what is required and missing is a failure."""

from __future__ import annotations

from pathlib import Path

import pytest

SHARED = Path(__file__).parents[1] / "conftest.py"
CONTRACT = Path(__file__).parents[1] / "contract" / "conftest.py"
SUITE = """
    def test_contract(testpmd):
        raise AssertionError("there is no testpmd")
"""


@pytest.mark.parametrize(
    ("required", "outcome"), [("", "skipped"), ("netns", "skipped"), ("netns,testpmd", "errors")]
)
def test_a_contract_test_without_testpmd_fails_where_it_is_required(
    pytester: pytest.Pytester, monkeypatch: pytest.MonkeyPatch, required: str, outcome: str
) -> None:
    monkeypatch.setenv("PATH", str(pytester.path))
    monkeypatch.setenv("PYTEST_NFV_REQUIRE", required)
    pytester.makeconftest(SHARED.read_text())
    folder = pytester.mkdir("contract")
    (folder / "conftest.py").write_text(CONTRACT.read_text())
    pytester.makepyfile(**{"contract/test_contract": SUITE})
    result = pytester.runpytest_subprocess("-rsE", "-p", "no:cacheprovider", "contract")
    result.assert_outcomes(**{outcome: 1})
    said = "required, and missing: testpmd: " if outcome == "errors" else "testpmd: "
    assert f"{said}dpdk-testpmd is not to be found" in " ".join(result.stdout.str().split())
