# shellcheck shell=sh
# Proves, after the reboot, that the node runs what it was upgraded to: Kairos boots its old system again
# where the new one fails to start.
#
# Arguments: none
# Environment: HOST_DIR (where the node's root is mounted, /host). Only tests set KAIROS_IMAGE_ROOT (the root
# of the image, empty for /), KAIROS_CMDLINE (the file /proc/cmdline) and TERMINATION_LOG
# (/dev/termination-log).
# Result: exit code 1 with both versions as the termination message if the node runs its passive or recovery
# system or another version than the image's; else 0, with a message only where a version is not known.
# Needs release.sh in front.
set -u

host_root=${HOST_DIR:-/host}

# boot_state ROOT: prints `active`, `passive`, `recovery` or `unknown`.
# The kernel command line names the system by its label. That of a trusted boot (rd.immucore.uki) is the same
# for all systems; there, and wherever else it tells nothing, the file counts that Kairos leaves in /run/cos
# early in each boot.
boot_state() (
    cmdline=$(dd if="${KAIROS_CMDLINE:-/proc/cmdline}" bs=65536 count=1 2>/dev/null | tr '\000' ' ')
    case $cmdline in
        *rd.immucore.uki*) ;;
        *COS_ACTIVE*) echo active && return 0 ;;
        *COS_PASSIVE*) echo passive && return 0 ;;
        *COS_RECOVERY* | *COS_SYSTEM* | *recovery-mode*) echo recovery && return 0 ;;
    esac
    for state in passive recovery active; do
        if [ -e "$1/run/cos/${state}_mode" ]; then
            echo "$state" && return 0
        fi
    done
    # The reset entry boots the recovery system.
    if [ -e "$1/run/cos/autoreset_mode" ]; then
        echo recovery && return 0
    fi
    echo unknown
)

# tell SENTENCE: says it in the container's log and as the termination message.
tell() {
    printf '%s\n' "$1"
    { printf '%s' "$1" >"${TERMINATION_LOG:-/dev/termination-log}"; } 2>/dev/null || :
}

image=$(release_triple "${KAIROS_IMAGE_ROOT:-}")
host=$(release_triple "$host_root")
state=$(boot_state "$host_root")

case $state in
    passive | recovery)
        tell "node booted its $state system (${host:-version unknown}), the image is ${image:-of unknown version}"
        exit 1
        ;;
esac
if [ -z "$host" ] || [ -z "$image" ]; then
    tell "versions not compared: the node is ${host:-of unknown version}, the image is ${image:-of unknown version}"
    exit 0
fi
if [ "$host" != "$image" ]; then
    tell "node came back with $host, the image is $image"
    exit 1
fi
echo "The node runs $host (boot state: $state)."
