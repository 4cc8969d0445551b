#!/bin/sh
# Puts the operator and what it needs into a directory that PYTHONPATH can name: the same bytes for the same input.
#
# app.sh DIRECTORY [OPTION FOR PIP]...
# Environment: PYTHON (python3) for pip; COMPILE_WITH (PYTHON) for the byte code, which only its own version can read,
# and COMPILE_DIR (DIRECTORY), where that one finds the directory; SOURCE_DATE_EPOCH (0), the time that all files get.
set -eu

target=$1
shift
source=$(cd "$(dirname "$0")/../.." && pwd)
python=${PYTHON:-python3}
export PYTHONDONTWRITEBYTECODE=1

# Wheels alone, and only those that the lock file knows: nothing is built, and nothing else gets in.
"$python" -m pip install --quiet --no-cache-dir --disable-pip-version-check --root-user-action=ignore \
    --no-compile --no-deps --only-binary=:all: --require-hashes -r "$source/requirements.lock" \
    --target "$target" "$@"
# Commands of libraries, and the record of how each was installed, which names the directory of this build.
rm -rf "${target:?}/bin"
find "$target" '(' -name direct_url.json -o -name RECORD -o -name REQUESTED ')' -exec rm -f {} +

cp -R "$source/kairos_operator" "$source/webhooks" "$source/LICENSE" "$target/"
find "$target" -name __pycache__ -type d -prune -exec rm -rf {} +
find "$target" -type d -exec chmod 755 {} +
find "$target" -type f -exec chmod 644 {} +

# What this build leaves out is compiled anew in every start, since a container's root file system is read-only. The byte
# code of the standard library is a part of the base image or not, as its maker likes; compile.sh sees to both.
sh "$source/hack/image/compile.sh" "${COMPILE_WITH:-"$python"}" "${COMPILE_DIR:-$target}" /app
find "$target" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
