# shellcheck shell=sh
# Decides whether a node needs the upgrade at all: a node that is skipped is neither cordoned nor rebooted.
#
# Arguments: [--recovery]   the run includes the recovery system, which the release files say nothing about
# Environment: HOST_DIR (where the node's root is mounted, /host). Only tests set KAIROS_IMAGE_ROOT (the root
# of the image, empty for /) and TERMINATION_LOG (/dev/termination-log).
# Result: exit code 0 always; a termination message if, and only if, the node is to be skipped.
# Needs release.sh in front.
set -u

[ "${1:-}" != --recovery ] || exit 0

image=$(release_triple "${KAIROS_IMAGE_ROOT:-}")
host=$(release_triple "${HOST_DIR:-/host}")
if [ -n "$image" ] && [ "$image" = "$host" ]; then
    { printf '%s' "node is already at $host" >"${TERMINATION_LOG:-/dev/termination-log}"; } 2>/dev/null || :
fi
exit 0
