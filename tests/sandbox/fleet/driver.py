"""Carries between the models and the API server: what was seen, what is to be written, what is to be run.

Rules: the models decide, this module only carries. Pods of all nodes come over one watch; writes go through one
`Writer`, real programs through one `Runner`; a model is stepped by the `Clockwork` when it is due or saw something.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from datetime import datetime
from functools import partial
from typing import Any, cast

from kairos_operator.api.resources import JOBS, PODS
from tests.sandbox.fleet.api import Answer, Api
from tests.sandbox.fleet.clockwork import Clockwork, Model
from tests.sandbox.fleet.effects import DeletePod, Effect, JobEffect, NodeEffect, RunProgram, StopProgram
from tests.sandbox.fleet.jobs import JobController
from tests.sandbox.fleet.kubelet import Kubelet
from tests.sandbox.fleet.runner import Runner
from tests.sandbox.fleet.steps import Exit
from tests.sandbox.fleet.writer import Writer


class Driver:
    """Plays kubelets, and the Job controller where there is one, on real time."""

    def __init__(
        self, api: Api, runner: Runner | None, jobs: JobController | None, clock: Callable[[], datetime]
    ) -> None:
        self.kubelets: dict[str, Kubelet] = {}
        self.clock = clock
        self._api = api
        self._runner = runner
        self._jobs = jobs
        self._writer = Writer(api)
        self._clockwork = Clockwork(clock, self._step)
        self.left: set[str] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._failure: BaseException | None = None

    async def start(self) -> None:
        """Begins to play, and returns once it has seen what there is."""
        pods, jobs = asyncio.Event(), asyncio.Event()
        self.spawn(self._clockwork.run())
        self.spawn(self._api.follow(PODS, self._see_pod, self._pod_gone, pods))
        if self._jobs is not None:
            self.spawn(self._api.follow(JOBS, self._see_job, self._job_gone, jobs))
            await jobs.wait()
        await pods.wait()

    async def stop(self) -> None:
        """Ends all tasks and programs. Raises what a task died of, if one did."""
        if self._runner is not None:
            self._runner.kill_all()
        tasks, self._tasks = list(self._tasks), set()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._writer.stop()
        if self._failure is not None:
            raise self._failure

    def poke(self, kubelet: Kubelet) -> None:
        """Something about that node has changed."""
        self._clockwork.poke(kubelet)

    async def collect(self, node: str) -> None:
        """Removes the pods of a node that has left, those of now and those that are still bound to it later."""
        self.left.add(node)
        found = await self._api.call("GET", PODS.path(), query={"fieldSelector": f"spec.nodeName={node}"})
        for pod in found["items"]:
            self._see_pod(pod)

    def _step(self, model: Model, now: datetime) -> None:
        if isinstance(model, Kubelet):
            for effect in model.step(now):
                self._do(model, effect)
        elif isinstance(model, JobController):
            for job_effect in model.step(now):
                self._writer.submit(job_effect, partial(self._job_answered, model))

    def _do(self, kubelet: Kubelet, effect: NodeEffect) -> None:
        match effect:
            case RunProgram():
                self.spawn(self._run(kubelet, effect))
            case StopProgram(run, grace):
                assert self._runner is not None
                self.spawn(self._runner.stop(run, grace))
            case _:
                self._writer.submit(effect, partial(self._node_answered, kubelet))

    async def _run(self, kubelet: Kubelet, effect: RunProgram) -> None:
        assert self._runner is not None
        try:
            result = await self._runner.run(effect, kubelet)
        except Answer as refused:
            result = Exit(128, f"the pod's token could not be had: {refused}")
        kubelet.ended(effect.run, result, self.clock())
        self._clockwork.poke(kubelet)

    def _node_answered(self, kubelet: Kubelet, effect: Effect, ok: bool) -> None:
        kubelet.answer(cast(NodeEffect, effect), ok)
        self._clockwork.poke(kubelet)

    def _job_answered(self, jobs: JobController, effect: Effect, ok: bool) -> None:
        jobs.answer(cast(JobEffect, effect), ok)
        self._clockwork.poke(jobs)

    def _see_pod(self, pod: dict[str, Any]) -> None:
        node, meta = pod["spec"].get("nodeName", ""), pod["metadata"]
        kubelet = self.kubelets.get(node)
        if kubelet is not None:
            kubelet.see(pod, self.clock())
            self._clockwork.poke(kubelet)
        elif node in self.left:
            self._writer.submit(DeletePod(meta["namespace"], meta["name"], meta["uid"]), _answered_to_nobody)
        if self._jobs is not None:
            self._jobs.see_pod(pod)
            self._clockwork.poke(self._jobs)

    def _pod_gone(self, pod: dict[str, Any]) -> None:
        kubelet = self.kubelets.get(pod["spec"].get("nodeName", ""))
        if kubelet is not None:
            kubelet.gone(pod["metadata"]["uid"])
            self._clockwork.poke(kubelet)
        if self._jobs is not None:
            self._jobs.pod_gone(pod)
            self._clockwork.poke(self._jobs)

    def _see_job(self, job: dict[str, Any]) -> None:
        assert self._jobs is not None
        self._jobs.see_job(job)
        self._clockwork.poke(self._jobs)

    def _job_gone(self, job: dict[str, Any]) -> None:
        assert self._jobs is not None
        self._jobs.job_gone(job["metadata"]["uid"])
        self._clockwork.poke(self._jobs)

    def spawn(self, work: Coroutine[Any, Any, None]) -> None:
        """Runs a task that ends with the driver."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._over)

    def _over(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and task.exception() is not None:
            self._failure = self._failure or task.exception()


def _answered_to_nobody(effect: Effect, ok: bool) -> None:
    """The node that would plan it anew has left; the next change of the pod asks again."""
