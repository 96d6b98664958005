"""Settings of a machine on a tree made for the test: what is set, what is refused, and that it goes back."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_nfv.errors import CapabilityMissing, DeploymentError
from pytest_nfv.hosts.tuning.knob import FileKnob
from pytest_nfv.hosts.tuning.protocol import Scope
from pytest_nfv.hosts.tuning.table import SETTINGS, put_back, standing, tune
from pytest_nfv.model.machine import CHANGES
from tests.unit.cpu_tree import CPU, clip, make_tree, read, write


@pytest.fixture
def tree(tmp_path: Path) -> Path:
    return make_tree(tmp_path / "root")


@pytest.fixture
def run(tmp_path: Path) -> Path:
    """The run's own directory."""
    directory = tmp_path / "run"
    directory.mkdir()
    return directory


def test_every_word_of_may_change_has_a_setting() -> None:
    assert {*SETTINGS} | {"huge-pages"} == {*CHANGES}


def test_an_unknown_setting_lists_the_known(run: Path) -> None:
    with pytest.raises(DeploymentError, match="setting 'colour': accepted: cpu-frequency, governor"):
        tune(run, "colour", "red", Scope())


@pytest.mark.parametrize(
    ("name", "value", "cores", "changed"),
    [
        (
            "cpu-frequency",
            "1.6GHz",
            [1],
            {
                "cpu1/cpufreq/scaling_min_freq": "1600000",
                "cpu1/cpufreq/scaling_max_freq": "1600000",
            },
        ),
        ("cpu-frequency", "2.4GHz", [0], {"cpu0/cpufreq/scaling_min_freq": "2400000"}),
        ("cpu-frequency", "1200MHz", [0], {"cpu0/cpufreq/scaling_max_freq": "1200000"}),
        ("governor", "performance", [0, 3], {f"cpu{n}/cpufreq/scaling_governor": "performance" for n in (0, 3)}),
        ("turbo", "off", [0], {"intel_pstate/no_turbo": "1"}),
        ("turbo", "on", [0], {}),
        ("c-states", "2", [2], {"cpu2/cpuidle/state2/disable": "1"}),
        ("c-states", "0", [2], {f"cpu2/cpuidle/state{n}/disable": "1" for n in (1, 2)}),
        ("smt", "off", [0, 2], {"cpu1/online": "0", "cpu3/online": "0"}),
    ],
)
def test_a_setting_changes_what_it_names_and_nothing_else(
    tree: Path, run: Path, name: str, value: str, cores: list[int], changed: dict[str, str]
) -> None:
    before = read(tree)
    assert tune(run, name, value, Scope(cores, root=tree)) == []
    assert read(tree) == before | {f"{CPU}/{path}": text for path, text in changed.items()}
    assert len(standing(run)) == len(changed)
    assert tune(run, name, None, Scope()) == []
    assert read(tree) == before
    assert standing(run) == []


def test_interrupts_go_to_the_other_cores(tree: Path, run: Path) -> None:
    before = read(tree)
    assert tune(run, "irq-affinity", "away", Scope([0, 1], root=tree)) == []
    now = {
        number: (tree / f"proc/irq/{number}/smp_affinity_list").read_text().strip() for number in (24, 25, 26, 30)
    }
    assert now == {24: "2-3", 25: "2-3", 26: "2-3", 30: "2-3"}
    put_back(run)
    assert read(tree) == before


def test_an_interrupt_that_cannot_be_moved_is_a_note(
    tree: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = read(tree)
    refuse(monkeypatch, "proc/irq/25/", "[Errno 5] Input/output error")
    (note,) = tune(run, "irq-affinity", "away", Scope([0], root=tree))
    assert note.endswith("irq/25/smp_affinity_list cannot be set to 1-3: Input/output error")
    put_back(run)
    assert read(tree) == before


def refuse(monkeypatch: pytest.MonkeyPatch, part: str, error: str) -> None:
    """Let writes to files with `part` in their name fail."""
    really, number = FileKnob.write, int(error.split("]")[0].removeprefix("[Errno "))

    def write_or_refuse(self: FileKnob, value: str) -> None:
        if part in str(self.path):
            raise OSError(number, error.split("] ")[1])
        really(self, value)

    monkeypatch.setattr(FileKnob, "write", write_or_refuse)


def test_what_was_set_before_a_refusal_goes_back(tree: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    before = read(tree)
    refuse(monkeypatch, "cpu2/cpufreq", "[Errno 16] Device or resource busy")
    with pytest.raises(DeploymentError, match="cannot be set to 1600000: Device or resource busy"):
        tune(run, "cpu-frequency", "1.6GHz", Scope([0, 1, 2], root=tree))
    assert read(tree) == before
    assert standing(run) == []


def test_without_the_right_the_capability_is_missing(
    tree: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    refuse(monkeypatch, "scaling_governor", "[Errno 30] Read-only file system")
    with pytest.raises(CapabilityMissing, match=r"governor: .*Read-only file system; run as root"):
        tune(run, "governor", "performance", Scope([0], root=tree))


def test_an_unavailable_frequency_lists_the_available(tree: Path, run: Path) -> None:
    with pytest.raises(DeploymentError, match=r"1\.8 GHz: core 1 has 1\.2 GHz, 1\.6 GHz, 2\.4 GHz \(acpi"):
        tune(run, "cpu-frequency", "1.8GHz", Scope([1], root=tree))


def test_a_driver_without_a_list_takes_any_between_its_limits(tmp_path: Path, run: Path) -> None:
    tree = make_tree(tmp_path / "any", listed=False)
    tune(run, "cpu-frequency", "1.8GHz", Scope([1], root=tree))
    assert read(tree)[f"{CPU}/cpu1/cpufreq/scaling_max_freq"] == "1800000"
    with pytest.raises(DeploymentError, match=r"3 GHz: core 1 has 1\.2 GHz to 2\.4 GHz \(intel_pstate\)"):
        tune(run, "cpu-frequency", "3GHz", Scope([1], root=tree))


def test_limits_are_never_crossed_on_the_way(tree: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Older kernels refuse a lower limit above the upper one, so that the order is part of it, both ways."""
    really, folder = FileKnob.write, tree / f"{CPU}/cpu0/cpufreq"

    def strict(self: FileKnob, value: str) -> None:
        really(self, value)
        low, high = (int((folder / f"scaling_{end}_freq").read_text()) for end in ("min", "max"))
        assert low <= high

    monkeypatch.setattr(FileKnob, "write", strict)
    before = read(tree)
    for value in ("1.6GHz", "1.2GHz", "2.4GHz", "1.6GHz"):
        tune(run, "cpu-frequency", value, Scope([0], root=tree))
    put_back(run)
    assert read(tree) == before


def test_a_value_that_was_not_taken_is_an_error(tree: Path, run: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(FileKnob, "write", lambda self, value: None)
    with pytest.raises(DeploymentError, match="scaling_governor was set to performance, and reads schedutil"):
        tune(run, "governor", "performance", Scope([0], root=tree))


def test_cores_that_share_a_clock_are_set_once(tree: Path, run: Path) -> None:
    cpu = tree / CPU
    policy = cpu / "cpufreq" / "policy0"
    policy.parent.mkdir()
    (cpu / "cpu0/cpufreq").rename(policy)
    (cpu / "cpu0/cpufreq").symlink_to("../cpufreq/policy0")
    for entry in (cpu / "cpu1/cpufreq").iterdir():
        entry.unlink()
    (cpu / "cpu1/cpufreq").rmdir()
    (cpu / "cpu1/cpufreq").symlink_to("../cpufreq/policy0")
    tune(run, "cpu-frequency", "1.6GHz", Scope([0, 1], root=tree))
    assert len(standing(run)) == 2  # its two limits
    tune(run, "cpu-frequency", None, Scope())
    assert (policy / "scaling_max_freq").read_text() == "2400000\n"


@pytest.mark.parametrize(
    ("name", "value", "missing"),
    [
        (
            "cpu-frequency",
            "1.2GHz",
            "cpufreq: core 0 has no .*cpu0/cpufreq: no cpufreq driver, as in",
        ),
        ("governor", "performance", "cpufreq: core 0 has no"),
        ("turbo", "off", "turbo: neither .*no_turbo nor .*boost is there"),
        ("c-states", "2", "c-states: core 0 has no states in"),
    ],
)
def test_a_machine_without_it_says_what_is_missing(
    tmp_path: Path, run: Path, name: str, value: str, missing: str
) -> None:
    root = tmp_path / "bare"
    write(root, {f"{CPU}/online": "0-1", f"{CPU}/cpu0/topology/thread_siblings_list": "0"})
    with pytest.raises(CapabilityMissing, match=missing):
        tune(run, name, value, Scope([0], root=root))
    assert not (run / "settings.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "value", "cores", "why"),
    [
        ("governor", "fast", [0], "governor 'fast': core 0 has performance, powersave, schedutil"),
        ("turbo", "maybe", [0], "turbo 'maybe': accepted: on, off"),
        ("c-states", "deep", [0], "c-states 'deep': accepted: a whole number of microseconds"),
        ("smt", "on", [0], "smt 'on': accepted: off"),
        ("smt", "off", [0, 1], "cores 0 and 1 are SMT siblings, and both in use"),
        ("smt", "off", [1], "core 0, sibling of 1, cannot be taken off line"),
        ("irq-affinity", "here", [0], "irq-affinity 'here': accepted: away"),
        ("irq-affinity", "away", [0, 1, 2, 3], "there is no core that is not in use"),
    ],
)
def test_values_that_are_none(tree: Path, run: Path, name: str, value: str, cores: list[int], why: str) -> None:
    before = read(tree)
    with pytest.raises(DeploymentError, match=why):
        tune(run, name, value, Scope(cores, root=tree))
    assert read(tree) == before


@pytest.mark.parametrize("order", [("cpu-frequency", "turbo"), ("turbo", "cpu-frequency"), ("",)])
def test_a_clock_that_was_set_without_turbo_gets_its_upper_limit_back(
    tree: Path, run: Path, monkeypatch: pytest.MonkeyPatch, order: tuple[str, ...]
) -> None:
    """Its old value reads as the nominal clock then; "" is the way of agent and reaper."""
    clip(monkeypatch, tree)
    before = read(tree)
    tune(run, "turbo", "off", Scope([0], root=tree))
    tune(run, "cpu-frequency", "1.2GHz", Scope([0, 1], root=tree))
    for name in order:
        if name:
            assert tune(run, name, None, Scope()) == []
        else:
            put_back(run)
    assert read(tree) == before
    assert standing(run) == []


def test_a_limit_that_somebody_else_set_without_turbo_stays(
    tree: Path, run: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip(monkeypatch, tree)
    tune(run, "turbo", "off", Scope([0], root=tree))
    FileKnob(tree.resolve() / CPU / "cpu2/cpufreq/scaling_max_freq").write("1200000")
    (told,) = tune(run, "turbo", None, Scope())
    assert "cpu2/cpufreq/scaling_max_freq is left at 1200000, as somebody else set it" in told
    assert read(tree)[f"{CPU}/cpu3/cpufreq/scaling_max_freq"] == "2400000"
