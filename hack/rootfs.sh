#!/bin/sh
# Builds the operator's image without a container engine and without an image registry: the recipe of the Containerfile
# on a root file system by debootstrap. Needs root, debootstrap, tar and a Python with pip; builds for this machine's
# architecture.
#
# rootfs.sh ARCHIVE [NAME:TAG]
# The archive is an OCI one: `ctr -n k8s.io images import ARCHIVE`, `skopeo copy oci-archive:ARCHIVE docker://...`.
# Environment: SUITE (bookworm), MIRROR (debootstrap's own), PYTHON (python3), SOURCE_DATE_EPOCH (the last commit).
set -eu

[ $# -ge 1 ] || { sed -n '2,9s/^# \{0,1\}//p' "$0" && exit 2; }
archive=$1
name=${2:-kairos-operator:dev}
source=$(cd "$(dirname "$0")/.." && pwd)
SOURCE_DATE_EPOCH=${SOURCE_DATE_EPOCH:-$(git -C "$source" log -1 --format=%ct)}
export SOURCE_DATE_EPOCH

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root

# util-linux, with nsenter, is in every Debian.
debootstrap --variant=minbase --include=python3,ca-certificates "${SUITE:-bookworm}" "$root" ${MIRROR:+"$MIRROR"} >&2
version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
platform=$(chroot "$root" uname -m)

mkdir "$root/app"
COMPILE_WITH="chroot $root python3" COMPILE_DIR=/app sh "$source/hack/image/app.sh" "$root/app" \
    --python-version "$version" --implementation cp \
    --platform "manylinux_2_28_$platform" --platform "manylinux2014_$platform" --platform "manylinux_2_17_$platform"
test -x "$root/usr/bin/nsenter"

# What differs between two builds, and what no program of the image needs.
rm -rf "$root"/var/cache/* "$root"/var/lib/apt/lists/* "$root"/var/log/* "$root"/usr/share/doc/* \
    "$root"/usr/share/man/* "$root"/usr/share/locale/* "$root"/tmp/* "$root"/run/* "${root:?}"/dev/*
rm -f "$root/etc/machine-id" "$root/etc/resolv.conf" "$root/etc/hostname" "$root/var/lib/dbus/machine-id" \
    "$root"/etc/*- "$root"/var/lib/dpkg/*-old "$root"/var/lib/apt/extended_states
find "$root" -name __pycache__ -not -path "$root/app/*" -prune -exec rm -rf {} +
sh "$source/hack/image/compile.sh" "chroot $root python3"

tar --create --file "$work/layer.tar" --directory "$root" --sort=name --numeric-owner --format=gnu \
    --mtime="@$SOURCE_DATE_EPOCH" .
"${PYTHON:-python3}" "$source/hack/image/oci_archive.py" "$work/layer.tar" "$archive" --name "$name" --platform "$platform"
