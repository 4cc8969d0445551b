"""The demo: the real operator process upgrades the simulated fleet of a local cluster, and one watches it.

    ./task demo                          # or: python -m tests.sandbox.demo
    ./task demo -- --fail worker-2       # a node whose new system does not boot
    ./task demo -- --keep                # stays up for kubectl
    ./task demo -- --real                # on a real kube-apiserver

Three programs: the local cluster (`cluster`), the operator (`kairos-operator run`), and what watches both through the
API, as any user would. Nothing is shown or judged that the API does not tell.
"""
