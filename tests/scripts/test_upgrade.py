"""The upgrade script calls the agent with exactly what was asked, and says what went wrong."""

from __future__ import annotations

import pytest

from tests.scripts.harness import TRIPLE, Bench, release

ALWAYS = ["--source", "dir:/", "--exclude-path", "/etc/hostname", "--exclude-path", "/etc/hosts"]


@pytest.fixture
def mounts(bench: Bench) -> list[list[str]]:
    """The two mounts that come before the agent."""
    return [["mount", "--rbind", f"{bench.host}/{name}", f"{bench.image}/{name}"] for name in ("dev", "run")]


def _agent(*arguments: str) -> list[str]:
    return ["kairos-agent", *arguments]


ACTIVE = _agent("upgrade", *ALWAYS)
RECOVERY = _agent("upgrade", "--recovery", *ALWAYS)


@pytest.mark.parametrize(
    ("flags", "agents"),
    [
        ([], [ACTIVE]),
        (["--active"], [ACTIVE]),
        (["--recovery"], [RECOVERY]),
        (["--active", "--recovery"], [RECOVERY, ACTIVE]),
        (["--debug"], [_agent("--debug", "upgrade", *ALWAYS)]),
        (["--debug", "--recovery"], [_agent("--debug", "upgrade", "--recovery", *ALWAYS)]),
    ],
)
def test_the_systems_that_were_asked_for(
    bench: Bench, mounts: list[list[str]], flags: list[str], agents: list[list[str]]
) -> None:
    result = bench.run("upgrade", *flags)
    assert (result.code, result.err, result.message) == (0, "", "")
    assert bench.calls() == mounts + agents


def _both_at(bench: Bench, host: str) -> None:
    (bench.image / "etc" / "kairos-release").write_text(release())
    (bench.host / "etc" / "kairos-release").write_text(host)


def test_a_node_at_the_version_is_not_touched(bench: Bench) -> None:
    _both_at(bench, release())
    result = bench.run("upgrade", "--active", "--debug", "--exclude-path", "/x")
    assert (result.code, result.out, result.message) == (
        0,
        f"The node is already at {TRIPLE}, nothing to do.\n",
        "",
    )
    assert bench.calls() == []


@pytest.mark.parametrize("flags", [["--force"], ["--recovery"], ["--recovery", "--active"]])
def test_force_and_recovery_are_never_skipped(bench: Bench, flags: list[str]) -> None:
    _both_at(bench, release())
    assert bench.run("upgrade", *flags).code == 0
    assert len(bench.calls()) > 2


@pytest.mark.parametrize(
    "host", [release("v1"), "", release("$(echo pwned >pwned)"), "KAIROS_VERSION=v3.4.2\n"]
)
def test_another_or_an_unknown_version_is_upgraded(bench: Bench, host: str) -> None:
    _both_at(bench, host)
    assert bench.run("upgrade").code == 0
    assert bench.calls()[-1] == ACTIVE
    assert not (bench.directory / "pwned").exists()


ODD_PATHS = [
    "/with space",
    "/with  two spaces and trailing ",
    "/it's",
    '/say "hi"',
    "/$HOME/$(echo pwned >pwned)/`echo pwned >pwned`",
    "/*/?/[a-z]/{a,b}",
    "/a;b&c|d>e<f",
    "/new\nline\n",
    "/tab\t",
    "/back\\slash\\n",
    "/ünïcode/☃",
    "--force",
    "--exclude-path",
    "-n",
    "",
    "~",
    "%s",
    "!x",
    "#x",
]


def test_an_odd_path_arrives_as_one_argument(bench: Bench, mounts: list[list[str]]) -> None:
    flags = [word for path in ODD_PATHS for word in ("--exclude-path", path)]
    assert bench.run("upgrade", "--recovery", *flags, "--active", "--debug").code == 0
    assert bench.calls() == [
        *mounts,
        _agent("--debug", "upgrade", "--recovery", *ALWAYS, *flags),
        _agent("--debug", "upgrade", *ALWAYS, *flags),
    ]
    assert not (bench.directory / "pwned").exists()


def test_a_failing_mount_stops_before_the_agent(bench: Bench, mounts: list[list[str]]) -> None:
    for failing, name in enumerate(("dev", "run"), start=1):
        (bench.directory / "calls").unlink(missing_ok=True)
        text = f'case "$2" in */{name}) exit 32 ;; esac\n'
        result = bench.run("upgrade", **bench.on("mount", text))
        reason = f"Mounting the host's /{name} over the container's failed with exit code 32."
        assert (result.code, result.err, result.message) == (1, reason + "\n", reason)
        assert bench.calls() == mounts[:failing]


def test_a_failing_recovery_upgrade_leaves_the_active_system_alone(bench: Bench) -> None:
    result = bench.run("upgrade", "--active", "--recovery", **bench.on("agent", "exit 7\n"))
    assert result.code == 1
    assert result.message == "kairos-agent failed to upgrade the recovery system (exit code 7)."
    assert result.err == result.message + "\n"
    assert bench.calls()[2:] == [RECOVERY]


@pytest.mark.parametrize("flags", [["--active"], ["--active", "--recovery"], ["--debug"]])
def test_a_failing_active_upgrade_fails(bench: Bench, flags: list[str]) -> None:
    text = 'case "$*" in *--recovery*) ;; *) exit 1 ;; esac\n'
    result = bench.run("upgrade", *flags, **bench.on("agent", text))
    assert result.code == 1
    assert result.message == "kairos-agent failed to upgrade the active system (exit code 1)."


def test_an_image_without_the_agent_fails(bench: Bench) -> None:
    (bench.bin / "kairos-agent").unlink()
    result = bench.run("upgrade")
    assert result.code == 1
    assert result.message == "kairos-agent failed to upgrade the active system (exit code 127)."


def test_the_reason_reaches_the_log_of_the_container_after_dev_is_mounted_over(bench: Bench) -> None:
    kept = bench.directory / "kept-by-the-kubelet"
    hide = f'/bin/mv "{bench.log}" "{kept}" 2>/dev/null || :\n'
    result = bench.run("upgrade", **bench.on("mount", hide), **bench.on("agent", "exit 3\n"))
    assert result.code == 1
    assert kept.read_text() == "kairos-agent failed to upgrade the active system (exit code 3)."
    assert not bench.log.exists()


def test_the_agent_cannot_write_the_termination_message(bench: Bench) -> None:
    result = bench.run("upgrade", **bench.on("agent", "{ echo intruder >&3; } 2>/dev/null || :\n"))
    assert (result.code, result.message) == (0, "")


def test_without_a_termination_log_it_still_upgrades(bench: Bench) -> None:
    result = bench.run("upgrade", TERMINATION_LOG="/nowhere/log")
    assert (result.code, result.err) == (0, "")
    assert bench.calls()[-1] == ACTIVE


@pytest.mark.parametrize("flags", [["--bogus"], ["stray"], ["--exclude-path"], ["--active", ""]])
def test_wrong_arguments_change_nothing(bench: Bench, flags: list[str]) -> None:
    result = bench.run("upgrade", *flags)
    assert result.code == 2
    assert result.message
    assert result.err == result.message + "\n"
    assert bench.calls() == []


def test_the_termination_message_is_bounded(bench: Bench) -> None:
    assert len(bench.run("upgrade", "x" * 100_000).message) == 1024
