#!/bin/sh
# A regression check across runs: record, keep, compare. The exit status is 1 when something got slower, 2 when runs can't be compared.
#
#   regression.sh FOLDER TRACE COMMAND...      the first time it keeps the baseline in FOLDER, later it compares with it
set -eu
folder=$1 trace=$2
shift 2
mkdir -p "$folder"
REFUNC_REPORT=none refunc run --trace "$trace" --set "refunc.output=$folder/new.%p.rfn" -- "$@" >"$folder/output.txt" 2>"$folder/errors.txt"
refunc report --format json "$folder"/new.*.rfn >"$folder/new.json"
rm -f "$folder"/new.*.rfn
if [ ! -e "$folder/baseline.json" ]; then
  mv "$folder/new.json" "$folder/baseline.json"
  echo "the baseline is in $folder/baseline.json"
  exit 0
fi
refunc compare --tolerance 25% "$folder/baseline.json" "$folder/new.json"
