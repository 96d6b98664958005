"""A network function's namespace on a bench: real frames in, all that comes out, and what the oracle says."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence

from pytest_nfv.hosts.lab import Lab, VethEnd
from pytest_nfv.hosts.lines import JsonLines
from pytest_nfv.model.nf import ADDRESSES, NEIGHBOURS, Function
from pytest_nfv.model.nf_oracle import Sent, process
from tests.functional.vnf_frames import ICMP, packet

MTU = 1500
DEADLINE_S = 20.0
NICS = ("nic0", "nic1")

# Sends each frame of a request into one of two interfaces, and after it a mark for each way that frames may
# leave; answers with all that came out before the marks. An end behind an XDP program takes frames only with
# NAPI: GRO.
STATION = """
import json, select, socket, sys
names = sys.argv[1:]
ends = [socket.socket(socket.AF_PACKET, socket.SOCK_RAW, socket.htons(3)) for _ in names]
for end, name in zip(ends, names):
    end.bind((name, 0))
print(json.dumps({"ready": 1}), flush=True)
for line in sys.stdin:
    request = json.loads(line)
    came = []
    for nic, frame in request["frames"]:
        ends[nic].send(bytes.fromhex(frame))
        for mark, expected, out in request["marks"][nic]:
            ends[nic].send(bytes.fromhex(mark))
            while True:
                if not select.select([ends[out]], [], [], 10)[0]:
                    sys.exit(f"no mark came out of {names[out]} for one into {names[nic]}")
                seen, address = ends[out].recvfrom(4096)
                if address[2] == 4:
                    continue
                if seen.hex() == expected:
                    break
                came.append([out, seen.hex()])
        came.append(None)
    print(json.dumps({"came": came}), flush=True)
"""


class Bench:
    """A VNF's namespace, the station at its far ends, and what comes of frames."""

    def __init__(self, lab: Lab) -> None:
        self.lab = lab
        self.gen, self.vnf = lab.namespace("gen"), lab.namespace("vnf")
        for nic, name in enumerate(NICS):
            lab.veth(
                VethEnd(self.gen, f"g{nic}", NEIGHBOURS[nic], {"tso": False, "gso": False, "gro": True}),
                VethEnd(self.vnf, name, ADDRESSES[nic]),
                MTU,
            )
        argv = [sys.executable, "-I", "-S", "-c", STATION, "g0", "g1"]
        self._station = self.gen.start(argv, cores=[max(os.sched_getaffinity(0))])
        self._lines = JsonLines(self._station)
        self._lines.answer(DEADLINE_S)

    def close(self) -> None:
        """End the station."""
        self._station.stop()

    def exchange(self, function: Function, frames: Sequence[tuple[int, bytes]]) -> list[list[tuple[int, bytes]]]:
        """Return what came out for each frame, and of which vNIC."""
        marks = [self._marks(function, nic) for nic in range(2)]
        self._lines.tell({"frames": [(nic, frame.hex()) for nic, frame in frames], "marks": marks})
        came = self._lines.answer(DEADLINE_S)["came"]
        answers: list[list[tuple[int, bytes]]] = [[]]
        for one in came:
            if one is None:
                answers.append([])
            else:
                answers[-1].append((one[0], bytes.fromhex(one[1])))
        return answers[:-1]

    def _marks(self, function: Function, nic: int) -> list[tuple[str, str, int]]:
        """Return frames that pass: octets in, octets out, and where."""
        found = []
        for number, destination in enumerate(("198.18.255.254", "198.19.255.254")):
            content = b"this is the mark" + bytes([number])
            mark = packet(nic, "198.18.255.253", destination, content, proto=ICMP)
            sent = process(function, nic, mark)
            assert isinstance(sent, Sent)
            found.append((mark.hex(), sent.frame.hex(), sent.nic))
        return found


def agrees(bench: Bench, function: Function, frames: list[tuple[int, bytes]], *, padding: bool = True) -> None:
    """Compare all that comes out with the oracle; `padding`: with the octets behind the packet."""
    for (nic, frame), came in zip(frames, bench.exchange(function, frames), strict=True):
        wanted = _expected(function, nic, frame)
        if not padding:
            wanted, came = list(map(_without_padding, wanted)), list(map(_without_padding, came))
        assert came == wanted, (str(function), nic, frame.hex())


def _expected(function: Function, nic: int, frame: bytes) -> list[tuple[int, bytes]]:
    answer = process(function, nic, frame)
    return [(answer.nic, answer.frame)] if isinstance(answer, Sent) else []


def _without_padding(out: tuple[int, bytes]) -> tuple[int, bytes]:
    return out[0], out[1][: 14 + int.from_bytes(out[1][16:18])]
