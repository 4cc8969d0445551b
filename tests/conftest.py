"""Loads the fixtures that several kinds of tests share."""

pytest_plugins = ["tests.cluster.fixtures"]
