"""What a container on a simulated node does: the one place that decides it.

In this order: a rule of the scenario; one of the operator's own programs; success after a second. The operator's
programs run for real (`real_programs`) or as models of themselves (`modelled_programs`), for simulations by the
million. No other command is ever executed.

A script counts as the operator's only if its text is, letter by letter, one that the package
`kairos_operator.core.scripts` ships. The reboot program is recognised by the pod's label and the container's name;
what runs is always the module `kairos_operator.reboot`, never what the pod says.
"""

from __future__ import annotations

import re
from functools import cache
from importlib import resources

from kairos_operator.api.names import ANNOTATION_REBOOT_BOOT_ID, ANNOTATION_REBOOT_STATE, LABEL_REBOOT
from tests.sandbox.fleet.container import Container
from tests.sandbox.fleet.disk import ImageRelease
from tests.sandbox.fleet.effects import Program
from tests.sandbox.fleet.kubelet import Choose, Kubelet
from tests.sandbox.fleet.podrun import PodRun
from tests.sandbox.fleet.spec import Outcome, Release, Rule, release_of_image
from tests.sandbox.fleet.steps import Annotate, Exit, RebootNode, Sleep, Steps, play

_FILE_NAME = re.compile(r"[a-z0-9][a-z0-9.-]*")
REBOOT_DELAY = 5.0
POLL = 1.0


@cache
def _script_texts() -> dict[str, str]:
    """The operator's scripts by their text."""
    folder = resources.files("kairos_operator.core") / "scripts"

    def read(name: str) -> str:
        return (folder / f"{name}.sh").read_text(encoding="utf-8")

    head = read("release")
    found = {f"{head}\n{read(name)}": name for name in ("preflight", "upgrade", "postflight")}
    return found | {read("sentinel"): "sentinel"}


def recognise(run: PodRun, container: Container) -> Program | None:
    """The operator's program that the container runs, or None for any other command."""
    labels = run.pod["metadata"].get("labels") or {}
    if labels.get(LABEL_REBOOT) == "true" and container.name == "reboot":
        return Program("reboot")
    command = [*(container.spec.get("command") or ()), *(container.spec.get("args") or ())]
    if len(command) < 4 or command[:2] != ["/bin/sh", "-c"]:
        return None
    name = _script_texts().get(command[2])
    arguments = tuple(str(one) for one in command[4:])
    if name is None or (name == "sentinel" and not all(_FILE_NAME.fullmatch(one) for one in arguments)):
        return None
    return Program(name, command[2], arguments)


def real_programs() -> Choose:
    """The operator's programs run for real, the rest as the scenario says."""

    def choose(node: Kubelet, run: PodRun, container: Container) -> Program | Steps | str:
        container.program, container.real = "", False
        rule = _rule(node, run, container)
        if rule is not None:
            return rule.pull_error or play(rule)
        program = recognise(run, container)
        if program is None:
            return play(Outcome())
        container.program, container.real = program.name, True
        return program

    return choose


def modelled_programs(image_release: ImageRelease = release_of_image) -> Choose:
    """Models of the operator's programs, the rest as the scenario says. Nothing is executed."""

    def choose(node: Kubelet, run: PodRun, container: Container) -> Program | Steps | str:
        container.program, container.real = "", False
        rule = _rule(node, run, container)
        if rule is not None:
            return rule.pull_error or play(rule)
        program = recognise(run, container)
        if program is None:
            return play(Outcome())
        container.program = program.name
        return _model(node, run, program, image_release(container.image))

    return choose


def _rule(node: Kubelet, run: PodRun, container: Container) -> Outcome | None:
    for number, rule in enumerate(node.spec.rules):
        if rule.matches(container.name, container.image, run.key[1]) and _may_use(node, number, rule):
            return rule.outcome
    return None


def _may_use(node: Kubelet, number: int, rule: Rule) -> bool:
    used = node.rule_uses.get(number, 0)
    node.rule_uses[number] = used + 1
    return rule.times is None or used < rule.times


def _model(node: Kubelet, run: PodRun, program: Program, image: Release | None) -> Steps:
    match program.name:
        case "preflight":
            return play(Outcome(seconds=0.5, message=_skip_message(node, program, image)))
        case "upgrade":
            return _upgrade(node, program, image)
        case "sentinel":
            job = program.arguments[0]
            return play(Outcome(seconds=0.1), on_success=lambda: node.disk.add_sentinel(job))
        case "reboot":
            return _reboot(node, run)
        case _:
            return _postflight(node, image)


def _skip_message(node: Kubelet, program: Program, image: Release | None) -> str:
    same = image is not None and image.triple == node.disk.running.triple
    return f"node is already at {node.disk.running.triple}" if same and not program.arguments else ""


def _upgrade(node: Kubelet, program: Program, image: Release | None) -> Steps:
    agent, recovery = node.spec.agent, "--recovery" in program.arguments
    same = image is not None and image.triple == node.disk.running.triple
    if same and not recovery and "--force" not in program.arguments:
        return Exit(0)
    for system in ["recovery"] * recovery + ["active"] * ("--active" in program.arguments or not recovery):
        yield Sleep(agent.seconds)
        if agent.exit_code:
            text = f"kairos-agent failed to upgrade the {system} system (exit code {agent.exit_code})."
            return Exit(1, text, f"{agent.says}\n{text}\n")
        if image is not None:
            node.disk.install("recovery" if system == "recovery" else "active", image)
    return Exit(0)


def _reboot(node: Kubelet, run: PodRun) -> Steps:
    recorded = run.pod["metadata"].get("annotations") or {}
    job = _job_of(run)
    if recorded.get(ANNOTATION_REBOOT_STATE, "").startswith("failed"):
        return Exit(1, recorded[ANNOTATION_REBOOT_STATE].removeprefix("failed: "))
    if recorded.get(ANNOTATION_REBOOT_STATE) == "completed":
        if recorded.get(ANNOTATION_REBOOT_BOOT_ID) != node.disk.boot_id:
            return Exit(0)
    else:
        while not node.disk.has_sentinel(job):
            yield Sleep(POLL)
        node.disk.drop_sentinel(job)
        yield Annotate({ANNOTATION_REBOOT_STATE: "completed", ANNOTATION_REBOOT_BOOT_ID: node.disk.boot_id})
    yield Sleep(REBOOT_DELAY)
    if node.spec.reboot.refused:
        yield Annotate({ANNOTATION_REBOOT_STATE: f"failed: {node.spec.reboot.refused}"})
        return Exit(1, node.spec.reboot.refused)
    yield RebootNode()
    return Exit(1, "the node was still up after the reboot command")


def _job_of(run: PodRun) -> str:
    """The Job that the reboot pod waits for: the value of JOB_NAME."""
    for container in run.pod["spec"]["containers"]:
        for variable in container.get("env") or ():
            if variable["name"] == "JOB_NAME":
                return str(variable.get("value", ""))
    return ""


def _postflight(node: Kubelet, image: Release | None) -> Steps:
    running = node.disk.running.triple
    yield Sleep(0.5)
    if node.disk.booted != "active":
        wanted = image.triple if image else "of unknown version"
        return Exit(1, f"node booted its {node.disk.booted} system ({running}), the image is {wanted}")
    if image is not None and image.triple != running:
        return Exit(1, f"node came back with {running}, the image is {image.triple}")
    return Exit(
        0, "" if image else f"versions not compared: the node is {running}, the image is of unknown version"
    )
