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

# What a check asks may be dead, and that is no success: these tell "no" from "no answer".

# same WHAT GOT WANT. To want nothing is what nothing is for: an answer that failed is "", too.
same() {
    [ -n "$3" ] || { printf '%s: there is nothing to compare with; got %s\n' "$1" "$2" >&2; return 1; }
    [ "$2" = "$3" ] || { printf '%s: got %s, want %s\n' "$1" "$2" "$3" >&2; return 1; }
}

# nothing WHAT COMMAND...: the command succeeds, and prints nothing.
nothing() {
    local what=$1 printed
    shift
    printed=$("$@") || { echo "$what: it could not be looked at: $*" >&2; return 1; }
    [ -z "$printed" ] || { printf '%s: %s\n' "$what" "$printed" >&2; return 1; }
}

# lacks GREP-ARGUMENTS...: grep could read it all, and found nothing. What it found is why not.
lacks() {
    local code=0
    grep "$@" >&2 || code=$?
    [ "$code" = 1 ] || { echo "grep $*: exit $code, want 1: read, and not found" >&2; return 1; }
}

# says JQ-ARGUMENTS...: jq read a value, and of it the filter is true. To jq -e no value at all,
# as a command that failed has left it, is as good as that.
says() { [ "$(jq "$@")" = true ]; }

# value JQ-ARGUMENTS... prints what jq finds, if that is anything.
value() {
    local found
    found=$(jq -er "$@") || return 1
    [ -n "$found" ] || { echo "jq found nothing: $*" >&2; return 1; }
    echo "$found"
}

# within SECONDS COMMAND... waits until the command succeeds.
within() {
    local until=$((SECONDS + $1))
    shift
    until "$@"; do
        [ "$SECONDS" -lt "$until" ] || { echo "not within time: $*" >&2; return 1; }
        sleep 0.2
    done
}

# free_port prints a port that nobody listens at.
free_port() {
    local port taken
    while :; do
        port=$((20000 + RANDOM % 12000))
        taken=$(ss -Hltun "sport = :$port") || return 1
        [ -n "$taken" ] || break
    done
    echo "$port"
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
    local dir pid began
    for dir in /proc/[0-9]*; do
        pid=${dir#/proc/}
        # One that ends meanwhile cannot be read any more.
        grep -zqsF -- "$FLEETCTL_E2E" "$dir/environ" "$dir/cmdline" || continue
        case $(readlink "$dir/exe") in */fleetctl | */relay | */dotest | */sampler) ;; *) continue ;; esac
        began=$(began "$pid")
        [ -z "$began" ] || echo "$pid $began"
    done
}

# end_marked ends what is left of this run, by pid. It fails if there was anything.
end_marked() {
    local pid left=0
    while read -r pid _; do
        echo "e2e: ending $pid, which was left behind" >&2
        kill -KILL "$pid" 2>/dev/null || true
        left=1
    done < <(marked)
    return $left
}
