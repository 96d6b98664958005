"""What OVS 3.1.0's tools and ss of iproute2 6.1 print, as captured from running switches."""

from __future__ import annotations

from pytest_nfv.vswitches.ovs_counters import (
    learned_addresses,
    poll_cycles,
    port_stats,
    rule_packets,
    socket_drops,
)
from pytest_nfv.vswitches.protocol import PollCycles

DUMP_PORTS = """\
OFPST_PORT reply (OF1.5) (xid=0x2): 3 ports
  port LOCAL: rx pkts=0, bytes=0, drop=0, errs=0, frame=0, over=0, crc=0
           tx pkts=0, bytes=0, drop=12, errs=0, coll=0
           duration=5.036s
  port  1: rx pkts=131871, bytes=7912260, drop=7, errs=?, frame=?, over=?, crc=?
           tx pkts=131868, bytes=7912260, drop=41, errs=?, coll=?
           duration=5.084s
           rx rfc2819 1_to_64_packets=131871, 65_to_127_packets=0, broadcast_packets=6,
           tx rfc2819 1_to_64_packets=131868, multicast_packets=0, broadcast_packets=6,
           CUSTOM Statistics
                      ovs_tx_retries=3, ovs_tx_failure_drops=40, ovs_tx_mtu_exceeded_drops=0,
                      ovs_tx_qos_drops=0, ovs_rx_qos_drops=7, ovs_tx_invalid_hwol_drops=0,
                      rx_q0_good_packets=131871, tx_q0_inflight_completed=0,
  port  2: rx pkts=?, bytes=?, drop=?, errs=?, frame=?, over=?, crc=?
           tx pkts=?, bytes=?, drop=?, errs=?, coll=?
           duration=20.824s
           CUSTOM Statistics
                      ovs_tx_retries=0, ovs_tx_failure_drops=0, ovs_tx_mtu_exceeded_drops=0,
"""

PMD_STATS = """\
pmd thread numa_id 0 core_id 0:
  packets received: 269344
  avg. packets per output batch: 3.09
  idle cycles: 12909574247 (97.58%)
  processing cycles: 319887609 (2.42%)
  avg cycles per packet: 49117.34 (13229461856/269344)
  avg processing cycles per packet: 1187.65 (319887609/269344)
pmd thread numa_id 0 core_id 12:
  packets received: 0
main thread:
  packets received: 440811
  avg. packets per output batch: 20.22
"""

FLOWS = """\
 cookie=0x0, duration=3.881s, n_packets=225, n_bytes=13500, idle_age=0, priority=1,in_port=1 actions=output:2
 cookie=0x0, duration=3.881s, table=0, n_packets=5, n_bytes=300, priority=10,udp,in_port=1 actions=output:2
 cookie=0x0, duration=3.875s, table=0, n_packets=7, n_bytes=420, idle_age=0, priority=1,in_port=2 actions=output:1
"""

FDB = """\
 port  VLAN  MAC                Age
    1     0  02:6e:00:00:00:00    0
LOCAL     0  02:6e:00:00:00:01  114
"""

SOCKETS = """\
p_raw UNCONN 0      0        *:s0-lleu137 * skmem:(r0,rb212992,t0,tb212992,f0,w0,o176,bl0,d5548)
p_raw UNCONN 0      0        *:s1-lleu137 * skmem:(r0,rb212992,t0,tb212992,f0,w0,o176,bl0,d5615)
p_raw UNCONN 0      0      [0]:*          * skmem:(r0,rb212992,t0,tb212992,f0,w0,o0,bl0,d0)
"""


def test_ports_have_frames_and_drops_in_ovs_own_words() -> None:
    ports = port_stats(DUMP_PORTS)
    assert set(ports) == {"LOCAL", "1", "2"}
    one = ports["1"]
    assert (one.connected, one.rx, one.tx) == (True, 131_871, 131_868)
    assert one.drops("rx") == {"ovs_rx_qos_drops": 7, "rx_dropped": 0}
    assert one.drops("tx") == {
        "ovs_tx_failure_drops": 40,
        "ovs_tx_mtu_exceeded_drops": 0,
        "ovs_tx_qos_drops": 0,
        "ovs_tx_invalid_hwol_drops": 0,
        "tx_dropped": 1,
    }
    assert ports["LOCAL"].drops("tx") == {"tx_dropped": 12}


def test_a_port_that_nobody_is_at_has_no_counters() -> None:
    assert not port_stats(DUMP_PORTS)["2"].connected
    assert port_stats("") == {}


def test_polling_threads_have_cycles_and_the_main_thread_none() -> None:
    busy, idle = 319_887_609, 12_909_574_247
    assert poll_cycles(PMD_STATS) == {0: PollCycles(busy, busy + idle)}


def test_learned_addresses_and_where() -> None:
    assert learned_addresses(FDB) == {"02:6e:00:00:00:00": "1", "02:6e:00:00:00:01": "LOCAL"}


def test_frames_that_no_socket_buffer_had_room_for() -> None:
    assert socket_drops(SOCKETS) == {"s0-lleu137": 5548, "s1-lleu137": 5615}
    assert socket_drops("") == {}


def test_rules_tell_what_came_in_at_each_port() -> None:
    assert rule_packets(FLOWS) == {"1": 230, "2": 7}
