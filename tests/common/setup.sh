# shellcheck shell=bash
# setup.sh: what the run scripts of tests/ and bench/ share; sourced by them, after they went to the top directory.
# A missing tool or program is a failure that says what to do, never a skip.

set -u -o pipefail
BUILD=${BUILD:-build}
export BUILD

cannot() {
    echo "FAIL - $1"
    echo "0 passed, 1 failed"
    exit 1
}

# needs TOOL PACKAGE: fails when TOOL is not there.
needs() {
    command -v "$1" >/dev/null || cannot "$1 is missing: apt-get install $2"
}

# needs_built PROGRAM...: fails when one of them was not built.
needs_built() {
    local program
    for program in "$@"; do
        [ -x "$BUILD/$program" ] || cannot "$BUILD/$program is missing: run make all tests"
    done
}

# run_part PROGRAM...: adds the totals of its last line to all_passed and all_failed.
all_passed=0
all_failed=0
run_part() {
    local output last status
    echo "## $*"
    output=$(mktemp /tmp/fusegate-part-XXXXXX)
    "$@" 2>&1 | tee "$output"
    status=${PIPESTATUS[0]}
    last=$(tail -n 1 "$output")
    rm -f "$output"
    if [[ $last =~ ^([0-9]+)\ passed,\ ([0-9]+)\ failed$ ]]; then
        all_passed=$((all_passed + BASH_REMATCH[1]))
        all_failed=$((all_failed + BASH_REMATCH[2]))
        [ "$status" -eq 0 ] || [ "${BASH_REMATCH[2]}" -gt 0 ] || all_failed=$((all_failed + 1))
    else
        echo "FAIL - $1 ended without its totals"
        all_failed=$((all_failed + 1))
    fi
}

# The last line of a run script; returns its exit code.
finish() {
    echo "$all_passed passed, $all_failed failed"
    [ "$all_failed" -eq 0 ] && [ "$all_passed" -gt 0 ]
}
