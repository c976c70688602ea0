#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other: fuzz.sh TIME
set -euo pipefail
cd "$(dirname "$0")/../.."
time=${1:?usage: fuzz.sh TIME, such as 30s}

targets=$(git grep -hoE --full-name '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | wc -l)
[ "$targets" -gt 0 ] || { echo "fuzz: no target found" >&2; exit 1; }

failed=()
while IFS=: read -r file target; do
    dir=./$(dirname "$file")
    name=${target#func }
    echo "== $dir $name $time"
    go test -run '^$' -fuzz "^$name\$" -fuzztime "$time" "$dir" || failed+=("$dir $name")
done < <(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go')

if [ ${#failed[@]} -gt 0 ]; then
    printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
echo "fuzz: $targets targets, $time each, nothing found"
