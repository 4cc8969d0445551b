#!/bin/sh
# Compiles a directory of Python, or the standard library, into byte code that is always the same.
#
# compile.sh PYTHON [DIRECTORY NAME]: NAME is what tracebacks call the directory. PYTHON may be a command with arguments.
# The byte code is checked against its source by nothing: not even the time, which building images changes.
set -eu

python=$1
directory=${2:-$($python -c 'import sysconfig; print(sysconfig.get_path("stdlib"))')}
name=${3:-$directory}
# Left out: what no program runs, and what another call compiles.
$python -m compileall -q -f -j 1 -s "$directory" -p "$name" --invalidation-mode unchecked-hash \
    -x '/(test|tests|idlelib|lib2to3|turtledemo|ensurepip|site-packages|dist-packages)/' "$directory"
