"""testpmd's counters, out of what DPDK 22.11 printed after a trial of 30,000 frames."""

from __future__ import annotations

import pytest

from pytest_nfv.dpdk.stats import PortStats, addresses, busy_cycles, port_stats, worker_cycles
from pytest_nfv.errors import DeploymentError

GREETING = """
Interactive-mode selected
testpmd: create a new mbuf pool <mb_pool_0>: n=16384, size=2176, socket=0
Configuring Port 0 (socket 0)
VHOST_CONFIG: (/run/v0) binding succeeded
Port 0: 56:48:4F:53:54:00
Configuring Port 1 (socket 0)
Port 1: 56:48:4F:53:54:01
Done
"""
NIC = """
  ######################## NIC statistics for port 0  ########################
  RX-packets: 60009      RX-missed: 3          RX-bytes:  3600540
  RX-errors: 4
  RX-nombuf:  5         
  TX-packets: 9          TX-errors: 0          TX-bytes:  540

  Throughput (since last show)
  Rx-pps:            0          Rx-bps:            0
  Tx-pps:            0          Tx-bps:            0
  ############################################################################

  ######################## NIC statistics for port 1  ########################
  RX-packets: 9          RX-missed: 0          RX-bytes:  540
  RX-errors: 0
  RX-nombuf:  0         
  TX-packets: 60000      TX-errors: 9          TX-bytes:  3600000

  Throughput (since last show)
  Rx-pps:            0          Rx-bps:            0
  Tx-pps:            0          Tx-bps:            0
  ############################################################################
"""  # noqa: W291 - as it was printed
FORWARD = """
  ---------------------- Forward statistics for port 0  ----------------------
  RX-packets: 60009          RX-dropped: 0             RX-total: 60009
  TX-packets: 9              TX-dropped: 0             TX-total: 9
  ----------------------------------------------------------------------------

  ---------------------- Forward statistics for port 1  ----------------------
  RX-packets: 9              RX-dropped: 0             RX-total: 9
  TX-packets: 60000          TX-dropped: 9             TX-total: 60009
  ----------------------------------------------------------------------------

  +++++++++++++++ Accumulated forward statistics for all ports+++++++++++++++
  RX-packets: 60018          RX-dropped: 0             RX-total: 60018
  TX-packets: 60009          TX-dropped: 9             TX-total: 60018
  ++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++++

  CPU cycles/packet=304.79 (total cycles=18293027 / total io packets=60018) at 2600 MHz Clock
"""


def test_counters_of_every_port() -> None:
    assert port_stats(NIC, FORWARD, 2) == (
        PortStats(received=60009, missed=3, errors=4, no_buffer=5, sent=9, dropped=0),
        PortStats(received=9, missed=0, errors=0, no_buffer=0, sent=60000, dropped=9),
    )


def test_a_port_that_is_not_told_of_is_an_error_with_what_was_said() -> None:
    with pytest.raises(DeploymentError, match=r"tell no 2:(.|\n)*NIC statistics"):
        port_stats(NIC, FORWARD, 3)
    with pytest.raises(DeploymentError, match="tell no 'RX-nombuf'"):
        port_stats(NIC.replace("RX-nombuf", "RX-none"), FORWARD, 2)


@pytest.mark.parametrize("mode", ["io", "mac", "macswap"])
def test_busy_cycles_and_the_clocks_rate(mode: str) -> None:
    assert busy_cycles(FORWARD.replace(" io ", f" {mode} ")) == (18293027, 2.6e9)


def test_no_cycles_before_the_first_frame() -> None:
    assert busy_cycles(FORWARD.partition("  CPU cycles")[0]) is None


def test_cycles_of_the_forwarding_thread() -> None:
    threads = {5: "dpdk-testpmd", 6: "eal-intr-thread", 7: "rte-worker-1"}
    assert worker_cycles(FORWARD, threads, 2.0) == {7: (18293027, 5_200_000_000)}
    assert worker_cycles(FORWARD.replace("total cycles", "busy cycles"), {8: "dpdk-worker1"}, 1.0).keys() == {8}
    assert worker_cycles(FORWARD.partition("  CPU cycles")[0], threads, 2.0) == {}
    assert worker_cycles(FORWARD, threads | {8: "rte-worker-2"}, 2.0) == {}


def test_addresses_of_the_ports() -> None:
    assert addresses(GREETING) == {0: "56:48:4f:53:54:00", 1: "56:48:4f:53:54:01"}
