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

# The root file system of a container is read-only: byte code that is not there now is compiled in every start.
# It is checked against its source by nothing, not even the time.
compiled=${COMPILE_DIR:-$target}
# shellcheck disable=SC2086 # a command with its arguments
PYTHONHASHSEED=0 ${COMPILE_WITH:-"$python"} -m compileall -q -j 1 -s "$compiled" -p /app \
    --invalidation-mode unchecked-hash "$compiled"
find "$target" -exec touch -h -d "@${SOURCE_DATE_EPOCH:-0}" {} +
