# shellcheck shell=bash
# What the end-to-end scripts share. Sourced, with FLEETCTL_E2E set to a word that only
# this run has: every process that it starts carries it in its environment or arguments.

die() { echo "e2e: $*" >&2; exit 1; }

need_linux() { [ "$(uname -s)" = Linux ] || die "runs on Linux only, this is $(uname -s)"; }

# need COMMAND PACKAGE
need() { command -v "$1" >/dev/null || die "$1 is missing: install $2"; }

# step NAME FUNCTION runs it in a subshell with errexit, says how long it took, and ends
# the run when it fails.
step() {
    local name=$1 begun=$SECONDS code=0
    shift
    set +e
    (
        set -e
        "$@"
    )
    code=$?
    set -e
    if [ "$code" = 0 ]; then
        printf 'ok    %4ds  %s\n' $((SECONDS - begun)) "$name"
    else
        printf 'FAIL  %4ds  %s\n' $((SECONDS - begun)) "$name" >&2
        exit 1
    fi
}

# began PID prints when a process began, in ticks since boot; nothing if it is gone.
# A zombie is gone: it only waits to be read.
began() {
    local stat
    stat=$(cat "/proc/$1/stat" 2>/dev/null) || return 0
    stat=${stat##*) }
    # shellcheck disable=SC2086 # fields
    set -- $stat
    [ "$1" = Z ] || echo "${20}"
}

# marked lists the processes of this run that are programs of ours: pid and began.
marked() {
    local dir pid
    for dir in /proc/[0-9]*; do
        pid=${dir#/proc/}
        { cat "$dir/environ" "$dir/cmdline" | tr '\0' '\n'; } 2>/dev/null | grep -qF -- "$FLEETCTL_E2E" || continue
        case $(readlink "$dir/exe") in */fleetctl | */relay | */dotest | */sampler) echo "$pid $(began "$pid")" ;; esac
    done
}

# end_marked ends what is left of this run, by pid.
end_marked() {
    local pid
    while read -r pid _; do
        echo "e2e: ending $pid, which was left behind" >&2
        kill -KILL "$pid" 2>/dev/null || true
    done < <(marked)
}
