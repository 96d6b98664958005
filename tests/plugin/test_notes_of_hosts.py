"""What care of the hosts has to say reaches the end of the run, whatever its end is."""

from __future__ import annotations

import pytest

SUITE = """
    import pytest
    from pytest_nfv import P2P, Mpps

    @pytest.mark.parametrize("number", range(2))
    def test_rate(deploy, vswitch, number):
        assert deploy(P2P(vswitch)).sustains(1 * Mpps, frame_size=64)
"""
NOTE = "dut1: governor was changed meanwhile"
CONFTEST = f"""
    from pytest_nfv.deployment.bench import Bench
    from pytest_nfv.errors import DeploymentError

    def close(bench):
        bench.care.told.append({NOTE!r})
        raise DeploymentError("a namespace stays")

    Bench.close = close
"""


@pytest.mark.parametrize("options", [(), ("-n", "1")])
def test_notes_are_shown_though_the_testbed_could_not_be_put_back(
    pytester: pytest.Pytester, options: tuple[str, ...]
) -> None:
    pytester.makepyfile(SUITE)
    pytester.makeconftest(CONFTEST)
    result = pytester.runpytest_subprocess("--nfv-host=sim", "-p", "no:cacheprovider", *options)
    result.assert_outcomes(passed=2, errors=1)
    result.stdout.fnmatch_lines(["*DeploymentError: a namespace stays*", f"nfv: {NOTE}"])
