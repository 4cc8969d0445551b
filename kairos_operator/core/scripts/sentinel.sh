# shellcheck shell=sh
# Tells the reboot pod that the work of a Job has succeeded: creates the file that is named after the Job.
#
# Arguments: JOB
# Environment: only tests set SENTINEL_DIR (/sentinel).
# The file appears at once with its content, and is on disk before this Job can be seen as complete.
set -eu

sentinel=${SENTINEL_DIR:-/sentinel}/$1
new=$sentinel.new
printf '%s\n' "$1" >"$new"
sync "$new" 2>/dev/null || sync || :
mv -f "$new" "$sentinel"
sync "$sentinel" 2>/dev/null || sync || :
