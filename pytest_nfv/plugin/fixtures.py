"""The fixtures. Their bodies import what they need when a test asks."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_nfv.deployment.bench import Bench
    from pytest_nfv.deployment.traffic import Deploy
    from pytest_nfv.hosts.protocol import Host
    from pytest_nfv.model.mix import Mix
    from pytest_nfv.model.testbed import Testbed
    from pytest_nfv.model.topology import VSwitch
    from pytest_nfv.units import Frequency, Link

FIXTURES = frozenset(
    {"testbed", "nfv_bench", "hosts", "deploy", "vswitch", "vnf_host", "cpu_freq", "frame_size", "link"}
)


@pytest.fixture(scope="session")
def testbed(request: pytest.FixtureRequest) -> Testbed:
    """The testbed that this test runs on: one of `--nfv-host`, and parametrised over them."""
    chosen: Testbed = request.param
    return chosen


@pytest.fixture(scope="session")
def nfv_bench(request: pytest.FixtureRequest, testbed: Testbed) -> Iterator[Bench]:
    """The testbed while this run uses it; everything on it is put back when pytest is done with it."""
    from pytest_nfv.plugin.session import active

    yield from active(request.config).bench(testbed)


@pytest.fixture(scope="session")
def hosts(nfv_bench: Bench) -> Mapping[str, Host]:
    """The testbed's hosts by role; on `local`, `device` and `generator` are both this machine."""
    return nfv_bench.hosts()


@pytest.fixture(scope="session")
def link(testbed: Testbed) -> Link:
    """The link whose line rate is meant: `--nfv-link`, or the testbed's."""
    return testbed.link


@pytest.fixture(scope="session")
def vswitch(request: pytest.FixtureRequest, testbed: Testbed) -> VSwitch:
    """A switch to put under test, parametrised over what `--nfv-vswitch` asks and the testbed lists."""
    from pytest_nfv.errors import CapabilityMissing
    from pytest_nfv.model.topology import VSwitch

    name: str = request.param
    if name not in testbed.vswitches and testbed.source != "built in":
        raise CapabilityMissing(
            name,
            f"testbed {testbed.name} lists {', '.join(testbed.vswitches)}",
            f"add {name} to vswitches in {testbed.source}",
        )
    return VSwitch(name)


@pytest.fixture(scope="session")
def vnf_host(request: pytest.FixtureRequest) -> str:
    """Where a test's VNFs run, parametrised over what `--nfv-vnf-host` asks: `namespace`, `lxc` or `vm`."""
    name: str = request.param
    return name


@pytest.fixture
def cpu_freq(request: pytest.FixtureRequest, nfv_bench: Bench) -> Iterator[Frequency | None]:
    """The clock of the device's cores, of `--nfv-cpu-freq`: held for this test, then put back; None as it is."""
    from pytest_nfv.plugin.session import active

    with active(request.config).clocked(nfv_bench, request.param):
        yield request.param


@pytest.fixture
def frame_size(request: pytest.FixtureRequest) -> int | Mix:
    """Octets with FCS, or a mix, from `--nfv-frame-size`, for tests that do not parametrise it."""
    size: int | Mix = request.param
    return size


@pytest.fixture
def deploy(request: pytest.FixtureRequest, nfv_bench: Bench) -> Deploy:
    """Deploy a topology on the testbed and return its `Traffic`; equal topologies share one deployment."""
    from pytest_nfv.plugin.session import active

    return active(request.config).deployer(request, nfv_bench)
