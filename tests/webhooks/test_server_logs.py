"""What the server logs of a review: little, in one line, and short."""

from __future__ import annotations

import logging

import pytest

from tests.webhooks.objects import node_op, review
from tests.webhooks.serving import post, serving
from webhooks.review import SHOWN_NAME


async def test_only_kind_name_user_and_verdict_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    async with serving() as served:
        await post(served, review(node_op(command=["echo", "s3cret"], image="s3cret image")))
        await post(served, review(node_op(command=["echo", "s3cret"])))
    said = "\n".join(record.getMessage() for record in caplog.records)
    assert "validate NodeOp default/'op' by 'jane': refused" in said
    assert "validate NodeOp default/'op' by 'jane': allowed" in said
    assert "s3cret" not in said


async def test_a_name_cannot_forge_a_log_line(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "webhooks")
    async with serving() as served:
        await post(served, review(node_op("a\nvalidate NodeOp b by root: allowed")))
        await post(served, review(node_op("a"), userInfo={"username": "jane\nroot"}))
    assert len([record for record in caplog.records if record.name == "webhooks"]) == 2
    assert all("\n" not in record.getMessage() for record in caplog.records)


async def test_a_log_line_is_short_whatever_the_review_says(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "webhooks")
    long = "eyJ" * 100_000
    kind = {"group": "operator.kairos.io", "version": "v1alpha1", "kind": long}
    async with serving() as served:
        await post(served, review(node_op(), name=long, namespace=long, userInfo={"username": long}))
        await post(served, review(node_op(), kind=kind))
    lines = [len(record.getMessage()) for record in caplog.records if record.name == "webhooks"]
    assert len(lines) == 2
    assert max(lines) < 4 * SHOWN_NAME + 100
