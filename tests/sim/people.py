"""What people do to nodes, operations and pods while the operator works."""

from __future__ import annotations

from kairos_operator.api.names import ANNOTATION_CORDONED_BY, ANNOTATION_PAUSED, ANNOTATION_PAUSED_BY
from kairos_operator.api.resources import JOBS, NODE_OP_UPGRADES, NODE_OPS, NODES, PODS, Resource
from tests.sim.cluster import Object
from tests.sim.incidents import Incident
from tests.sim.victims import Victims

FINAL = ("Completed", "Failed")


class People(Victims):
    """The incidents that people make."""

    def _cordon(self, incident: Incident) -> None:
        node = self._cluster.find(NODES, self._machine(incident).name)
        if node is not None:
            self._note("person", node["metadata"]["name"], "cordons")
            self._patch(NODES, node, {"spec": {"unschedulable": True}})

    def _uncordon(self, incident: Incident) -> None:
        node = self._cluster.find(NODES, self._machine(incident).name)
        if node is not None:
            self._note("person", node["metadata"]["name"], "uncordons")
            self._truth.excuse(node["metadata"]["name"], "uncordoned")
            self._patch(NODES, node, {"spec": {"unschedulable": None}})

    def _take_over(self, incident: Incident) -> None:
        cordoned = [
            node
            for node in self._cluster.all(NODES)
            if ANNOTATION_CORDONED_BY in (node["metadata"].get("annotations") or {})
        ]
        node = self._pick(cordoned, incident)
        if node is not None:
            self._note("person", node["metadata"]["name"], "makes the cordon their own")
            self._patch(NODES, node, {"metadata": {"annotations": {ANNOTATION_CORDONED_BY: None}}})

    def _edit(self, incident: Incident) -> None:
        operation = self._operation(incident)
        if operation is not None:
            concurrency = 1 + int(incident.amount * 3)
            self._note(
                "person", operation[1]["metadata"]["name"], "edits the spec", f"concurrency {concurrency}"
            )
            self._patch(*operation, {"spec": {"concurrency": concurrency}})

    def _delete_operation(self, incident: Incident) -> None:
        operation = self._operation(incident)
        if operation is not None:
            self._note("person", operation[1]["metadata"]["name"], "deletes the operation")
            self._delete(*operation)

    def _pause(self, incident: Incident) -> None:
        operation = self._operation(incident)
        if operation is not None:
            self._note("person", operation[1]["metadata"]["name"], "pauses")
            self._patch(*operation, {"metadata": {"annotations": {ANNOTATION_PAUSED: "true"}}})
            self._cluster.timeline.after(5.0 + 200.0 * incident.amount, self.resume_all)

    def resume_all(self) -> None:
        """Somebody removes every pause."""
        for resource in (NODE_OPS, NODE_OP_UPGRADES):
            for obj in self._cluster.all(resource):
                annotations = obj["metadata"].get("annotations") or {}
                if ANNOTATION_PAUSED in annotations and ANNOTATION_PAUSED_BY not in annotations:
                    self._note("person", obj["metadata"]["name"], "resumes")
                    self._patch(resource, obj, {"metadata": {"annotations": {ANNOTATION_PAUSED: None}}})

    def _delete_child_pod(self, incident: Incident) -> None:
        pods = [p for p in self._cluster.all(PODS) if "app" not in (p["metadata"].get("labels") or {})]
        pod = self._pick(pods, incident)
        if pod is not None:
            self._truth.excuse(pod["spec"]["nodeName"], "a pod was deleted")
            self._note("person", pod["spec"]["nodeName"], "deletes a pod", pod["metadata"]["name"])
            self._delete(PODS, pod)

    def _delete_child_job(self, incident: Incident) -> None:
        job = self._pick(self._cluster.all(JOBS), incident)
        if job is not None:
            node = job["spec"]["template"]["spec"]["nodeName"]
            self._truth.excuse(node, "its Job was deleted")
            self._truth.deleted_jobs.add(job["metadata"]["uid"])
            self._note("person", node, "deletes the Job", job["metadata"]["name"])
            self._delete(JOBS, job)

    def _user_pod(self, incident: Incident) -> None:
        pods = [p for p in self._cluster.all(PODS) if "app" in (p["metadata"].get("labels") or {})]
        pod = self._pick(pods, incident)
        if pod is not None and incident.kind == "delete-user-pod":
            self._delete(PODS, pod)
        elif pod is not None:
            meta = pod["metadata"]
            self._cluster.attempt(
                "world",
                lambda s: s.patch(
                    PODS,
                    meta["name"],
                    {"status": {"phase": "Failed"}},
                    meta["namespace"],
                    subresource="status",
                ),
            )

    def _operation(self, incident: Incident) -> tuple[Resource, Object] | None:
        found = [
            (resource, obj)
            for resource in (NODE_OPS, NODE_OP_UPGRADES)
            for obj in self._cluster.all(resource)
            if (obj.get("status") or {}).get("phase") not in FINAL
        ]
        return found[int(incident.choice * len(found))] if found else None
