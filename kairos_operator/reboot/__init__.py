"""The program of the reboot pod: waits for its Job's success, then reboots the node, exactly once.

Rules of the package: the standard library only (and the names of the API), so that it starts fast and has
little that can break on a node; every step can be repeated, so that it may be killed after any of them.
"""
