# shellcheck shell=sh
# Upgrades the node to the system of the image that this script runs in.
#
# Arguments: [--force] [--active] [--recovery] [--debug] [--exclude-path PATH]...
#   --force         upgrade even where the node is already at the image's version
#   --active        upgrade the active system; also meant where neither system is named
#   --recovery      upgrade the recovery system, before the active one
#   --debug         let kairos-agent say more
#   --exclude-path  PATH of the image stays out of the new system; may be repeated
# They come as arguments and not inside the text, so that no character of them has a meaning to the shell.
# Environment: HOST_DIR (where the node's root is mounted, /host). Only tests set KAIROS_IMAGE_ROOT (the root
# of the image, empty for /) and TERMINATION_LOG (/dev/termination-log).
# Result: exit code 0 if the node is or became what was asked, else 1 (2 for wrong arguments), with the reason
# on standard error and as the termination message.
# Needs release.sh in front.
set -u

image_root=${KAIROS_IMAGE_ROOT:-}
host_root=${HOST_DIR:-/host}
termination_log=${TERMINATION_LOG:-/dev/termination-log}

# The log is opened before the host's /dev is mounted over the container's, where it would be out of reach.
if (: >>"$termination_log") 2>/dev/null; then
    exec 3>"$termination_log"
else
    exec 3>/dev/null
fi

# fail CODE SENTENCE
fail() {
    printf '%s\n' "$2" >&2
    printf '%.1024s' "$2" >&3
    exit "$1"
}

# mount_from_host DIRECTORY: the agent needs the node's devices and its runtime state, not the container's.
mount_from_host() {
    mount --rbind "$host_root/$1" "$image_root/$1" 3>&- ||
        fail 1 "Mounting the host's /$1 over the container's failed with exit code $?."
}

# agent SYSTEM ARGUMENT...: runs kairos-agent for the system of that name.
agent() {
    system=$1
    shift
    echo "Upgrading the $system system."
    if [ "$debug" = true ]; then
        kairos-agent --debug upgrade "$@" 3>&-
    else
        kairos-agent upgrade "$@" 3>&-
    fi || fail 1 "kairos-agent failed to upgrade the $system system (exit code $?)."
}

force=false active=false recovery=false debug=false
left=$#
while [ "$left" -gt 0 ]; do
    case $1 in
        --force) force=true ;;
        --active) active=true ;;
        --recovery) recovery=true ;;
        --debug) debug=true ;;
        --exclude-path)
            [ "$left" -gt 1 ] || fail 2 "--exclude-path needs a path."
            # To the end of the list, which in the end holds the excluded paths only.
            set -- "$@" "$1" "$2"
            shift
            left=$((left - 1))
            ;;
        *) fail 2 "Unknown argument of the upgrade script: $1" ;;
    esac
    shift
    left=$((left - 1))
done
[ "$recovery" = true ] || active=true

# The release files tell the active system only, so a run that includes the recovery system always goes on.
if [ "$force" = false ] && [ "$recovery" = false ]; then
    image=$(release_triple "$image_root")
    if [ -n "$image" ] && [ "$image" = "$(release_triple "$host_root")" ]; then
        echo "The node is already at $image, nothing to do."
        exit 0
    fi
fi

mount_from_host dev
mount_from_host run

set -- --source dir:/ --exclude-path /etc/hostname --exclude-path /etc/hosts "$@"
[ "$recovery" = false ] || agent recovery --recovery "$@"
[ "$active" = false ] || agent active "$@"
