"""`kubectl kairos`: what a person does with the operator, from a terminal or a script.

Rules: the caller's kubeconfig and rights, nothing else; it watches rather than polls; what it decides, it decides with
the operator's own core, so that a forecast and the deed cannot differ; an error is one sentence with its remedy.
"""
