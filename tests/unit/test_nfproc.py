"""The numpy engine against the oracle, over wires of memory: random frames, tables and rule sets."""

from __future__ import annotations

import time
from collections.abc import Sequence
from ipaddress import IPv4Address, IPv4Network

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_nfv.errors import ConfigurationError, GeneratorError
from pytest_nfv.model.nf import Drop, Firewall, Function, L2Fwd, L3Fwd, Own, Signature
from pytest_nfv.model.nf_oracle import Sent, process, signature
from pytest_nfv.model.routes import RouteTable
from pytest_nfv.model.rules import RuleSet
from pytest_nfv.nfproc.address_table import AddressTable, borders, ranges_of
from pytest_nfv.nfproc.batch import MALFORMED, POLICY, Batch, Ways
from pytest_nfv.nfproc.loop import Loop
from pytest_nfv.nfproc.work import work_of
from pytest_nfv.rings.loopback import LoopbackPort
from tests.unit.nf_frames import ADDRESSES, FRAMES, networks, route_tables, rule_sets

LONGEST = 200
Frames = Sequence[bytes]


class Bench:
    """A function between two wires, whose far ends are here."""

    def __init__(self, function: Function, slots: int = 4096, *, share: bool = False) -> None:
        pairs = [LoopbackPort.pair(slots) for _ in range(2)]
        self.ends, nics = [pair[0] for pair in pairs], [pair[1] for pair in pairs]
        for port in (*self.ends, *nics):
            port.expect(LONGEST)
            port.arrange(LONGEST)
        self.loop = Loop(nics, work_of(function), LONGEST, share=share)

    def put(self, nic: int, frames: Frames) -> None:
        rows = np.full((len(frames), LONGEST), 0xEE, np.uint8)
        for row, frame in zip(rows, frames, strict=True):
            row[: len(frame)] = np.frombuffer(frame, np.uint8)
        octets = np.array([len(frame) for frame in frames], np.int64)
        assert self.ends[nic].forward(rows, octets) == len(frames)

    def take(self, nic: int) -> list[bytes]:
        taken = []
        while (arrived := self.ends[nic].receive(1000)) is not None:
            rows = zip(arrived.frames, arrived.octets.tolist(), strict=True)
            taken += [row[:octets].tobytes() for row, octets in rows]
            self.ends[nic].release()
        return taken

    def counted(self, nic: int) -> dict[Drop, int]:
        return {reason: count for reason, count in self.loop.counts[nic].dropped.items() if count}


def check_agrees(function: Function, nic: int, frames: Frames) -> None:
    """The same frames come out of the same vNICs in the same order; the rest is dropped for the same reasons."""
    bench = Bench(function)
    bench.put(nic, frames)
    while bench.loop.turn():
        pass
    verdicts = [process(function, nic, frame) for frame in frames]
    for out in range(2):
        expected = [one.frame for one in verdicts if isinstance(one, Sent) and one.nic == out]
        assert bench.take(out) == expected
        assert bench.loop.counts[out].sent == len(expected)
    dropped = [one for one in verdicts if isinstance(one, Drop)]
    assert bench.counted(nic) == {reason: dropped.count(reason) for reason in dropped}
    assert bench.counted(1 - nic) == {}
    assert bench.loop.counts[nic].received == len(frames)


def test_where_it_shares_its_core_its_time_is_the_processors() -> None:
    """Neither its sleep nor what others had the core for is time that it had: `busy` is a part of what it used."""
    bench = Bench(L2Fwd(), share=True)
    ticks = iter((True, True, False))

    def tick() -> bool:
        bench.put(0, [bytes(64)])
        return next(ticks)

    used_ns = time.thread_time_ns()
    bench.loop.run(tick)
    used_ns = time.thread_time_ns() - used_ns
    told = bench.loop.told()
    assert len(bench.take(1)) == 2
    assert 0 < told["busy_ns"] < told["ran_ns"]
    assert told["ran_ns"] <= used_ns + 5_000_000  # it began as the bench was made


def test_with_a_core_to_itself_its_time_is_all_time() -> None:
    bench = Bench(L2Fwd())
    until = time.monotonic() + 0.1
    bench.loop.run(lambda: time.monotonic() < until)
    assert bench.loop.told()["ran_ns"] >= 100_000_000


BATCHES = st.lists(FRAMES, min_size=1, max_size=12)
NICS = st.integers(0, 1)
EXAMPLES = settings(max_examples=200, deadline=None)


@EXAMPLES
@given(NICS, BATCHES, st.sampled_from([L2Fwd(), Signature(), L3Fwd(), Firewall()]))
def test_any_frame_is_taken_as_the_oracle_takes_it(nic: int, frames: list[bytes], function: Function) -> None:
    check_agrees(function, nic, frames)


@EXAMPLES
@given(NICS, BATCHES, route_tables())
def test_any_route_table_is_followed(nic: int, frames: list[bytes], table: RouteTable) -> None:
    check_agrees(L3Fwd(table), nic, frames)


@EXAMPLES
@given(NICS, BATCHES, rule_sets())
def test_any_rule_set_is_followed(nic: int, frames: list[bytes], rules: RuleSet) -> None:
    check_agrees(Firewall(rules), nic, frames)


@EXAMPLES
@given(BATCHES)
def test_signatures_are_summed_up(frames: list[bytes]) -> None:
    bench = Bench(Signature())
    bench.put(0, frames)
    bench.loop.turn()
    whole = [signature(frame) for frame in frames if len(frame) >= 14]
    assert bench.loop.told()["function"] == {"signed": len(whole), "signature_sum": sum(whole)}


@EXAMPLES
@given(st.lists(networks(), max_size=20), st.lists(ADDRESSES, min_size=1))
def test_an_address_table_has_the_last_prefix_that_holds(prefixes: list[IPv4Network], numbers: list[int]) -> None:
    starts = borders(prefixes)
    values = np.zeros(len(starts), np.uint16)
    for value, prefix in enumerate(prefixes, 1):
        values[ranges_of(starts, prefix)] = value
    ends = [int(end) + step for one in prefixes for end in (one[0], one[-1]) for step in (-1, 0, 1)]
    asked = [number for number in numbers + ends if 0 <= number < 1 << 32]
    table = AddressTable(starts, values)
    holding = [[n for n, one in enumerate(prefixes, 1) if IPv4Address(number) in one] for number in asked]
    assert table.look_up(np.array(asked, np.uint32)).tolist() == [max(some, default=0) for some in holding]


def test_large_tables_and_batches_agree_too() -> None:
    function = L3Fwd(2000, seed=5)
    nets = [route.prefix for route in function.routes.routes]
    header = bytes.fromhex("450000140000000040110000c6120001")
    frames = []
    for number in range(250):
        first = header + int(nets[number * 8][-1]).to_bytes(4)
        words = sum(int.from_bytes(first[at : at + 2]) for at in range(0, 20, 2))
        check = 0xFFFF - ((words - 1) % 0xFFFF + 1)
        frames.append(bytes(12) + b"\x08\x00" + first[:10] + check.to_bytes(2) + first[12:] + bytes(26))
    check_agrees(function, 0, frames)


def test_what_finds_no_room_is_counted_where_it_should_have_left() -> None:
    bench = Bench(L2Fwd(), slots=64)
    bench.put(0, [bytes(60)] * 40)
    while bench.loop.turn():
        pass
    bench.put(0, [bytes(60)] * 40)
    while bench.loop.turn():
        pass
    assert (bench.loop.counts[0].received, bench.loop.counts[1].sent) == (80, 64)
    assert (bench.counted(0), bench.counted(1)) == ({}, {Drop.TX_FULL: 16})


def test_longer_frames_than_the_mtu_allows_are_malformed() -> None:
    bench = Bench(L2Fwd())
    bench.loop = Loop(bench.loop._ports, work_of(L2Fwd()), 100)
    bench.put(1, [bytes(100), bytes(101)])
    bench.loop.turn()
    assert (bench.take(0), bench.counted(1)) == ([bytes(100)], {Drop.MALFORMED: 1})


def every_second(batch: Batch) -> Ways:
    batch.frames[:, 0] = 7
    ways = np.full(len(batch.frames), 1 - batch.nic, np.int64)
    ways[1::2] = POLICY
    ways[0] = MALFORMED
    return ways  # type: ignore[return-value]  # any integer array is taken


class Counting:
    def __init__(self) -> None:
        self.batches = 0

    def __call__(self, batch: Batch) -> Ways:
        self.batches += 1
        return batch.nic


def raising(batch: Batch) -> Ways:
    raise ValueError("no such thing")


def wrong_way(batch: Batch) -> Ways:
    return 2


def wrong_shape(batch: Batch) -> Ways:
    return np.zeros(len(batch.frames) + 1, np.int8)


def nothing(batch: Batch) -> None: ...


HERE = __name__


def test_a_function_of_a_users_own_runs() -> None:
    bench = Bench(Own(f"{HERE}:every_second"))
    bench.put(0, [bytes([number]) * 60 for number in range(6)])
    bench.loop.turn()
    assert bench.take(1) == [b"\x07" + bytes([number]) * 59 for number in (2, 4)]
    assert bench.counted(0) == {Drop.POLICY: 3, Drop.MALFORMED: 1}
    back = Bench(Own(f"{HERE}:Counting"))
    back.put(1, [bytes(60)])
    back.loop.turn()
    assert back.take(1) == [bytes(60)]


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("raising", "ValueError: no such thing"),
        ("wrong_way", "returned 2: accepted: vNIC 0 or 1, or -4 to -1"),
        ("wrong_shape", r"int8 of shape \(2,\): accepted"),
        ("nothing", "NoneType: accepted"),
    ],
)
def test_what_a_users_function_does_wrong_is_named(name: str, says: str) -> None:
    bench = Bench(Own(f"{HERE}:{name}"))
    bench.put(0, [bytes(60)])
    with pytest.raises(GeneratorError, match=f"{name}: .*{says}"):
        bench.loop.turn()


@pytest.mark.parametrize("function", [f"{HERE}:absent", f"{HERE}.absent:x", f"{HERE}:HERE"])
def test_a_users_function_that_is_not_there_is_named(function: str) -> None:
    with pytest.raises(ConfigurationError, match=function.replace(".", r"\.")):
        work_of(Own(function))
