#!/usr/bin/env bash
# Every check of `make lint`. All of them run; the end says which failed.
set -uo pipefail
cd "$(dirname "$0")/../.." || exit 1

# A cache that several clones share tells of files that only another one had.
export GOLANGCI_LINT_CACHE=${GOLANGCI_LINT_CACHE:-$PWD/bin/tools/lint-cache}

failed=()
check() { # check NAME COMMAND...
    local name=$1 start=$SECONDS
    shift
    if "$@"; then
        printf 'ok    %-28s %3ds\n' "$name" $((SECONDS - start))
    else
        printf 'FAIL  %-28s %3ds\n' "$name" $((SECONDS - start))
        failed+=("$name")
    fi
}

go_files() { git ls-files -z -- '*.go'; }

formatted() {
    local ugly
    ugly=$(go_files | xargs -0 -r gofmt -l)
    [ -z "$ugly" ] || { printf 'not formatted, run gofmt -w on:\n%s\n' "$ugly" >&2; return 1; }
}

scripts() { # every tracked file whose first line names a shell
    git ls-files -z | while IFS= read -r -d '' file; do
        [ -f "$file" ] || continue
        IFS= read -r first <"$file" 2>/dev/null || continue
        [[ $first =~ ^\#\!.*/(env[[:space:]]+)?(ba|da)?sh([[:space:]]|$) ]] && printf '%s\0' "$file"
    done
    return 0
}

shellchecked() {
    command -v shellcheck >/dev/null || { echo "shellcheck is missing: apt-get install shellcheck" >&2; return 1; }
    scripts | xargs -0 -r shellcheck -x
}

tidy() {
    go mod tidy -diff
}

check "gofmt" formatted
check "shellcheck" shellchecked
check "go mod tidy" tidy
check "go vet" go vet ./... ./testdata/tools/... ./testdata/e2e/...
check "go vet, e2e" go vet -tags e2e ./...
check "go vet, darwin" env GOOS=darwin CGO_ENABLED=0 go vet ./...
check "go build fleetctl, windows" env GOOS=windows CGO_ENABLED=0 go build -o /dev/null ./cmd/fleetctl
check "golangci-lint" "${GOLANGCI:-golangci-lint}" run ./... ./testdata/tools/... ./testdata/e2e/...

if [ ${#failed[@]} -gt 0 ]; then
    printf 'lint: failed: %s\n' "${failed[*]}" >&2
    exit 1
fi
