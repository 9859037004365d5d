#!/usr/bin/env bash
# Install those programs that the tests run, that have no wheel for pip, and that are missing.
set -euo pipefail
needed=(curl ffmpeg openssl redis-server sox)  # Debian's packages of the same names

absent() { for tool in "${needed[@]}"; do command -v "$tool" > /dev/null || echo "$tool"; done; }
stop() { echo "acestep-ray: the tests need ${missing[*]}, $1" >&2; exit 1; }

mapfile -t missing < <(absent)
if [ ${#missing[@]} -eq 0 ]; then exit; fi
command -v apt-get > /dev/null ||
    stop "and there is no apt-get to install them with: install them, then try again."
[ "$(id -u)" = 0 ] ||
    stop "and only root may install them: sudo apt-get install ${missing[*]}, then try again."
echo "== installing ${missing[*]} (apt-get)"
log=$(mktemp)
trap 'rm -f "$log"' EXIT
export DEBIAN_FRONTEND=noninteractive
if ! { apt-get update && apt-get install -y --no-install-recommends "${missing[@]}"; } \
    > "$log" 2>&1 < /dev/null; then
    tail -n 20 "$log" >&2
    stop "and apt-get could not install them (its own words are above)."
fi
mapfile -t missing < <(absent)
[ ${#missing[@]} -eq 0 ] || stop "which Debian's packages of these names did not bring."
