"""Does the switch forward at line rate? Papers: S16 S1 without a VNF, T20 T2."""

from __future__ import annotations

import pytest

from pytest_nfv import P2P, Deploy, Link, VSwitch, line_rate

FRAME_SIZES = [64, 128, 256, 512, 1024, 1518]


@pytest.mark.line_rate
@pytest.mark.parametrize("frame_size", FRAME_SIZES)
def test_switch_forwards_at_line_rate(deploy: Deploy, vswitch: VSwitch, link: Link, frame_size: int) -> None:
    """One direction at line rate.

    Steps:
        Put the switch between two generator ports; offer line rate of the testbed's link one way.

    Verify:
        The load is sustained: no more frames are lost than the goal allows (none, unless told otherwise).
    """
    traffic = deploy(P2P(vswitch))
    assert traffic.sustains(line_rate(link, frame_size), frame_size=frame_size)


@pytest.mark.line_rate
@pytest.mark.parametrize("frame_size", FRAME_SIZES)
def test_switch_forwards_at_line_rate_both_ways(
    deploy: Deploy, vswitch: VSwitch, link: Link, frame_size: int
) -> None:
    """Both directions at line rate at once.

    Steps:
        As above, with every port sending and receiving (RFC 2544 section 14).

    Verify:
        Each direction is sustained; the worse one decides.
    """
    traffic = deploy(P2P(vswitch, bidirectional=True))
    assert traffic.sustains(line_rate(link, frame_size), frame_size=frame_size)


@pytest.mark.throughput
def test_throughput_is_no_less_than_line_rate(
    deploy: Deploy, vswitch: VSwitch, link: Link, frame_size: int
) -> None:
    """The highest load without loss, for the record and for regressions.

    Steps:
        Search the throughput (RFC 2544 section 26.1 with ETSI TST009's loss verification).

    Verify:
        It is not below line rate of the testbed's link; `--benchmark-compare-fail` catches smaller losses.
    """
    traffic = deploy(P2P(vswitch))
    assert traffic.throughput(frame_size=frame_size) >= line_rate(link, frame_size)
