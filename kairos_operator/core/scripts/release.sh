# shellcheck shell=sh
# What both sides of an upgrade are: reads a Kairos release file as data.
#
# This text is put in front of preflight.sh, upgrade.sh and postflight.sh, which share it.
# A release file is never sourced and nothing in it is evaluated. Every function is a subshell, so that
# no variable of one side can be seen on the other.

# resolve_in_root ROOT PATH: prints the real file behind PATH, with every symbolic link followed the way a
# process whose root is ROOT would follow it, so that a link of the host never ends in the container.
# Prints nothing after 20 links, or where the file lies below /proc, /sys or /dev.
resolve_in_root() (
    root=$1 rest=$2 found='' links=0
    while [ -n "$rest" ]; do
        rest=${rest#/}
        part=${rest%%/*}
        case $rest in
            */*) rest=${rest#*/} ;;
            *) rest='' ;;
        esac
        case $part in
            '' | .) continue ;;
            ..) found=${found%/*} && continue ;;
        esac
        if [ -L "$root$found/$part" ]; then
            links=$((links + 1))
            [ "$links" -le 20 ] || return 0
            target=$(readlink "$root$found/$part") || return 0
            case $target in
                /*) found='' ;;
            esac
            rest=$target/$rest
        else
            found=$found/$part
        fi
    done
    case $found in
        /proc/* | /sys/* | /dev/*) ;;
        *) printf '%s\n' "$root$found" ;;
    esac
)

# plain_value TEXT: prints the value of an assignment without its quotes and a carriage return.
plain_value() (
    value=$1
    return_character=$(printf '\r')
    value=${value%"$return_character"}
    case $value in
        \"*\") value=${value#\"} value=${value%\"} ;;
        \'*\') value=${value#\'} value=${value%\'} ;;
    esac
    printf '%s\n' "$value"
)

# safe_value TEXT: succeeds if TEXT is what a version can look like; the empty text is.
safe_value() {
    [ "${#1}" -le 128 ] || return 1
    case $1 in
        *[!A-Za-z0-9._+~-]*) return 1 ;;
    esac
}

# triple_in_file ROOT PATH: prints the version triple that one file gives, or `?` if it gives a version
# that cannot be one, or nothing if it is missing, no plain file, or without a KAIROS_VERSION.
# The last assignment of a name counts, as it does where the file is sourced.
triple_in_file() (
    LC_ALL=C
    file=$(resolve_in_root "$1" "$2")
    [ -n "$file" ] && [ -f "$file" ] && [ -r "$file" ] || return 0
    # A byte more than the bound: a longer file is not cut (which could cut a version) but refused.
    size=$(dd if="$file" bs=65537 count=1 2>/dev/null | wc -c)
    [ "$size" -le 65536 ] || { echo '?' && return 0; }
    # NUL becomes a byte that no version may contain: shells differ in what they make of NUL itself.
    dd if="$file" bs=65536 count=1 2>/dev/null | tr '\000' '\001' | {
        version='' prefix='' software=''
        while read -r line || [ -n "$line" ]; do
            line=${line#export }
            case $line in
                KAIROS_VERSION=*) version=$(plain_value "${line#*=}") ;;
                KAIROS_SOFTWARE_VERSION_PREFIX=*) prefix=$(plain_value "${line#*=}") ;;
                KAIROS_SOFTWARE_VERSION=*) software=$(plain_value "${line#*=}") ;;
            esac
        done
        if [ -n "$version" ]; then
            if safe_value "$version" && safe_value "$prefix" && safe_value "$software"; then
                printf '%s\n' "$version-$prefix$software"
            else
                echo '?'
            fi
        fi
    }
)

# release_triple ROOT: prints the version triple of the system below ROOT, or nothing if it is unknown.
# /etc/os-release is asked only where /etc/kairos-release is missing or names no version.
release_triple() (
    triple=$(triple_in_file "$1" /etc/kairos-release)
    [ -n "$triple" ] || triple=$(triple_in_file "$1" /etc/os-release)
    [ "$triple" = '?' ] || printf '%s\n' "$triple"
)
