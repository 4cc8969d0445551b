"""The node labeler: says on each Kairos node what it runs, as labels and annotations under `kairos.io/`.

It is a program of its own (`python -m kairos_operator.labeler`), one on each node, on the standard library alone, since
small nodes pay for every megabyte.
"""
