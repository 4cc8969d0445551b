"""The status page: what the operations and their nodes are doing, live, for people without kubectl at hand."""
