#!/usr/bin/env bash
# Runs every fuzz target of the module, one after the other: fuzz.sh TIME
set -euo pipefail
cd "$(dirname "$0")/../.."
time=${1:?usage: fuzz.sh TIME, such as 30s}

targets=$(git grep -hoE --full-name '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go' | wc -l)
[ "$targets" -gt 0 ] || { echo "fuzz: no target found" >&2; exit 1; }

# go test ends some runs with "context deadline exceeded" when the time is over while it
# minimizes an input: that is no finding (it would write the input down), so it runs again.
fuzz() { # fuzz DIR NAME
    local out try
    out=$(mktemp)
    for try in 1 2 3; do
        if go test -run '^$' -fuzz "^$2\$" -fuzztime "$time" "$1" 2>&1 | tee "$out"; then
            rm -f "$out"
            return 0
        fi
        if grep -q 'Failing input written' "$out" || ! grep -qx ' *context deadline exceeded' "$out"; then
            break
        fi
        echo "fuzz: $2: the time was over during a minimization; run $try did not count"
    done
    rm -f "$out"
    return 1
}

failed=()
while IFS=: read -r file target; do
    dir=./$(dirname "$file")
    name=${target#func }
    echo "== $dir $name $time"
    fuzz "$dir" "$name" || failed+=("$dir $name")
done < <(git grep -oE '^func Fuzz[A-Za-z0-9_]+' -- '*_test.go')

if [ ${#failed[@]} -gt 0 ]; then
    printf 'fuzz: failed: %s\n' "${failed[@]}" >&2
    exit 1
fi
echo "fuzz: $targets targets, $time each, nothing found"
