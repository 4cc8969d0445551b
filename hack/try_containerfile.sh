#!/bin/sh
# Builds the Containerfile where there is no container engine and no image registry, and tries what came out: buildah's
# chroot isolation, on a base image by debootstrap that has what the build takes from python:*-slim. Needs root, buildah,
# debootstrap and a Python with pip. Leaves nothing behind but, if it is named, an archive of the image, in the form of
# `docker save`.
#
# try_containerfile.sh [ARCHIVE [NAME:TAG]]
# Environment: SUITE (trixie, for its Python 3.13), MIRROR (debootstrap's own), PYTHON (python3).
set -eu

archive=${1:-}
name=${2:-kairos-operator:dev}
python=${PYTHON:-python3}
source=$(cd "$(dirname "$0")/.." && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
trap 'exit 1' HUP INT TERM
root=$work/root
image=localhost/kairos-operator:tried

store() {
    program=$1
    shift
    buildah --root "$work/storage" --runroot "$work/run" --storage-driver vfs "$program" "$@"
}

debootstrap --variant=minbase --include=python3,ca-certificates "${SUITE:-trixie}" "$root" ${MIRROR:+"$MIRROR"} >&2
version=$(chroot "$root" python3 -c 'import sys; print("%d.%d" % sys.version_info[:2])')
# As in python:*-slim: a pip that pip itself may remove, and no distribution that forbids it.
rm -f "$root/usr/lib/python$version/EXTERNALLY-MANAGED"
"$python" -m pip install --quiet --disable-pip-version-check --root-user-action=ignore \
    --target "$root/usr/local/lib/python$version/dist-packages" pip
# The way to the package index is this machine's.
for file in /etc/pip.conf /etc/ssl/certs/ca-certificates.crt; do
    [ ! -e "$file" ] || cp "$file" "$root$file"
done

base=$(store from scratch)
tar --create --directory "$root" --one-file-system --exclude=./proc/* --exclude=./sys/* --file "$work/base.tar" .
store add --quiet "$base" "$work/base.tar" / >/dev/null
store commit --quiet "$base" localhost/python:base >/dev/null
store rm "$base" >/dev/null
rm -rf "$root" "$work/base.tar"

store bud --isolation chroot --network host --file "$source/Containerfile" --tag "$image" \
    --build-arg PYTHON_IMAGE=localhost/python:base --build-arg SOURCE_DATE_EPOCH=0 "$source" >&2

tried=$(store from "$image")
in_image() { store run --isolation chroot --user 65532:65532 "$tried" -- "$@"; }
in_image nsenter --version
in_image python3 -m kairos_operator --help >/dev/null
in_image python3 -c 'import kairos_operator.process, kairos_operator.labeler.__main__, kairos_operator.reboot.__main__'
! in_image python3 -m pip --version 2>/dev/null || { echo "pip is in the image" >&2 && exit 1; }
store inspect --type image "$image" | "$python" -c '
import json, sys
sys.path.insert(0, sys.argv[1])
from oci_archive import CONFIG
made = json.load(sys.stdin)["OCIv1"]["config"]
path = {each for each in CONFIG["Env"] if each.startswith("PATH=")}  # is up to the base image
wrong = [key for key, value in CONFIG.items() if key != "Env" and made.get(key) != value]
wrong += sorted(set(CONFIG["Env"]) - path - set(made["Env"]))
sys.exit(f"the configuration differs from that of the recipe: {wrong} in {made}" if wrong else 0)
' "$source/hack/image"
[ -z "$archive" ] || store push --quiet "$image" "docker-archive:$archive:$name" >&2
echo "built and tried with Python $version" >&2
