#!/usr/bin/env bash
# Install those programs that the tests run, that have no wheel for pip, and that are missing.
set -euo pipefail
needed=(curl ffmpeg openssl prometheus redis-server sox)  # Debian's packages of the same names
# The tests of web pages need one of these. Without one they fail, and all others can run.
browsers=(chromium google-chrome)

absent() { for tool in "${needed[@]}"; do command -v "$tool" > /dev/null || echo "$tool"; done; }
has_browser() { command -v "${browsers[0]}" || command -v "${browsers[1]}"; } > /dev/null
stop() { echo "acestep-ray: the tests need ${missing[*]}, $1" >&2; exit 1; }
go_on() {
    echo "acestep-ray: the tests of web pages need chromium or google-chrome, $1" >&2
    exit 0
}
no_apt="and there is no apt-get to install them with: install them, then try again."
not_root="and only root may install them: sudo apt-get install"

install() {
    echo "== installing $* (apt-get)"
    { apt-get update && apt-get install -y --no-install-recommends "$@"; } > "$log" 2>&1 < /dev/null ||
        { tail -n 20 "$log" >&2; return 1; }
}

log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive

mapfile -t missing < <(absent)
if [ ${#missing[@]} -gt 0 ]; then
    command -v apt-get > /dev/null || stop "$no_apt"
    [ "$(id -u)" = 0 ] || stop "$not_root ${missing[*]}, then try again."
    install "${missing[@]}" || stop "and apt-get could not install them (its own words are above)."
    mapfile -t missing < <(absent)
    [ ${#missing[@]} -eq 0 ] || stop "which Debian's packages of these names did not bring."
fi

if ! has_browser; then
    command -v apt-get > /dev/null || go_on "and there is no apt-get to install one with."
    [ "$(id -u)" = 0 ] || go_on "$not_root chromium."
    install chromium || go_on "and apt-get could not install chromium (its own words are above)."
    has_browser || go_on "and the package chromium did not bring one."
fi
