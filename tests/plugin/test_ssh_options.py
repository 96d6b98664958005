"""The options of hosts by SSH, from outside."""

from __future__ import annotations

import pytest


def test_configuration_that_is_not_there_is_a_usage_error(pytester: pytest.Pytester) -> None:
    pytester.makepyfile("def test_any(deploy): pass")
    result = pytester.runpytest_subprocess("--nfv-ssh-config=absent", "--nfv-host=sim", "-p", "no:cacheprovider")
    assert result.ret == pytest.ExitCode.USAGE_ERROR
    result.stderr.fnmatch_lines(
        ["*--nfv-ssh-config=absent*No such file or directory; accepted: as ssh -F takes it*"]
    )
