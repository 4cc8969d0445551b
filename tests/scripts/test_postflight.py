"""The postflight passes only a node that runs the image's version on its active system."""

from __future__ import annotations

import pytest

from tests.scripts.harness import TRIPLE, Bench, Result, release

GRUB = "BOOT_IMAGE=(loop0)/boot/vmlinuz console=tty1 console=ttyS0 {system} net.ifnames=1 panic=5 \
security=selinux selinux=0 rd.cos.oemtimeout=10 rd.cos.oemlabel=COS_OEM rd.immucore.oemlabel=COS_OEM \
rd.immucore.oemtimeout=5 rd.immucore.debug rd.neednet=0 vga=795 nomodeset rd.shell=0 systemd.crash_reboot=yes"
ACTIVE = GRUB.format(system="root=LABEL=COS_ACTIVE cos-img/filename=/cOS/active.img")
PASSIVE = GRUB.format(system="root=LABEL=COS_PASSIVE cos-img/filename=/cOS/passive.img")
RECOVERY = GRUB.format(system="root=LABEL=COS_SYSTEM cos-img/filename=/cOS/recovery.img")
RECOVERY_SQUASHED = GRUB.format(
    system="root=live:LABEL=COS_RECOVERY rd.live.dir=/ rd.live.squashimg=recovery.squashfs"
)
REMOTE_RECOVERY = GRUB.format(system="root=/dev/sda2 recovery-mode kairos.remote_recovery_mode")
RESET = GRUB.format(system="root=LABEL=COS_RECOVERY cos-img/filename=/cOS/recovery.img kairos.reset")
TRUSTED = "console=ttyS0 console=tty1 net.ifnames=1 rd.immucore.oemlabel=COS_OEM rd.immucore.oemtimeout=2 \
rd.immucore.uki selinux=0 panic=5 rd.shell=0 systemd.crash_reboot=yes"
FOREIGN = "BOOT_IMAGE=/vmlinuz root=/dev/sda1 ro quiet"


def _run(bench: Bench, cmdline: str, mode: str = "", image: str = release(), host: str = release()) -> Result:
    bench.cmdline.write_text(cmdline + "\n")
    (bench.image / "etc" / "kairos-release").write_text(image)
    (bench.host / "etc" / "kairos-release").write_text(host)
    sentinels = bench.host / "run" / "cos"
    sentinels.mkdir(parents=True, exist_ok=True)
    for name in filter(None, [mode, "uki_boot_mode" if cmdline == TRUSTED else ""]):
        (sentinels / name).write_text("1")
    return bench.run("postflight")


GOOD = [
    (ACTIVE, "active_mode", "active"),
    (ACTIVE, "", "active"),
    (TRUSTED, "active_mode", "active"),
    (TRUSTED, "", "unknown"),
    (FOREIGN, "unknown", "unknown"),
    (FOREIGN, "active_mode", "active"),
]
BAD = [
    (PASSIVE, "passive_mode", "passive"),
    (PASSIVE, "", "passive"),
    (RECOVERY, "recovery_mode", "recovery"),
    (RECOVERY, "", "recovery"),
    (RECOVERY_SQUASHED, "", "recovery"),
    (REMOTE_RECOVERY, "", "recovery"),
    (RESET, "autoreset_mode", "recovery"),
    (RESET, "", "recovery"),
    (TRUSTED, "passive_mode", "passive"),
    (TRUSTED, "recovery_mode", "recovery"),
    (TRUSTED, "autoreset_mode", "recovery"),
    (FOREIGN, "passive_mode", "passive"),
]


@pytest.mark.parametrize(("cmdline", "mode", "state"), GOOD)
def test_the_new_version_on_its_active_system_passes(
    bench: Bench, cmdline: str, mode: str, state: str
) -> None:
    out = f"The node runs {TRIPLE} (boot state: {state}).\n"
    assert _run(bench, cmdline, mode) == Result(code=0, out=out, err="", message="")


@pytest.mark.parametrize(("cmdline", "mode", "state"), BAD)
def test_a_fallen_back_node_fails_with_both_versions(
    bench: Bench, cmdline: str, mode: str, state: str
) -> None:
    result = _run(bench, cmdline, mode, host=release("v3.4.1"))
    message = f"node booted its {state} system (v3.4.1-k3sv1.30.11+k3s1), the image is {TRIPLE}"
    assert result == Result(code=1, out=message + "\n", err="", message=message)


@pytest.mark.parametrize(("cmdline", "mode", "state"), BAD)
def test_a_fallen_back_node_fails_also_at_the_same_or_an_unknown_version(
    bench: Bench, cmdline: str, mode: str, state: str
) -> None:
    assert _run(bench, cmdline, mode).code == 1
    result = _run(bench, cmdline, mode, image="", host="")
    assert (
        result.message == f"node booted its {state} system (version unknown), the image is of unknown version"
    )
    assert result.code == 1


@pytest.mark.parametrize("cmdline", [ACTIVE, TRUSTED, FOREIGN])
def test_another_version_fails_with_both(bench: Bench, cmdline: str) -> None:
    result = _run(bench, cmdline, "active_mode", host=release("v3.4.1"))
    message = f"node came back with v3.4.1-k3sv1.30.11+k3s1, the image is {TRIPLE}"
    assert (result.code, result.message) == (1, message)


@pytest.mark.parametrize(
    ("image", "host", "message"),
    [
        (release(), "", f"versions not compared: the node is of unknown version, the image is {TRIPLE}"),
        ("", release(), f"versions not compared: the node is {TRIPLE}, the image is of unknown version"),
        (
            release("$(echo pwned >pwned)"),
            release("`echo pwned >pwned`"),
            "versions not compared: the node is of unknown version, the image is of unknown version",
        ),
    ],
)
def test_an_unknown_version_passes_and_says_so(bench: Bench, image: str, host: str, message: str) -> None:
    assert _run(bench, ACTIVE, image=image, host=host) == Result(0, message + "\n", "", message)
    assert not (bench.directory / "pwned").exists()


def test_an_unreadable_command_line_says_nothing_about_the_boot(bench: Bench) -> None:
    _run(bench, ACTIVE)
    result = bench.run("postflight", KAIROS_CMDLINE="/nowhere/cmdline")
    assert (result.code, result.out) == (0, f"The node runs {TRIPLE} (boot state: unknown).\n")


def test_a_command_line_is_data_too(bench: Bench) -> None:
    assert _run(bench, "$(echo pwned >pwned) `echo pwned >pwned` * root=LABEL=COS_ACTIVE").code == 0
    assert not (bench.directory / "pwned").exists()
