#!/usr/bin/env bash
# Make the virtual environment FOLDER with the Python named: make_venv.sh PYTHON FOLDER
set -euo pipefail
python=$1 folder=$2
stop() { echo "acestep-ray: $1" >&2; exit 1; }

if ! command -v "$python" > /dev/null; then
    stop "there is no program '$python': install Python 3.11 to 3.14 (Debian, Ubuntu: sudo apt-get \
install python3 python3-venv), or name one with make PYTHON=..."
fi
version=$("$python" -c 'import sys; print("%d.%d" % sys.version_info[:2])') ||
    stop "'$python' does not run (above); name another Python with make PYTHON=..."
case $version in
3.11 | 3.12 | 3.13 | 3.14) ;;
*)
    other=$(for name in python3.1{4,3,2,1}; do
        if "$name" -c "" 2> /dev/null; then echo "$name"; break; fi
    done)
    stop "'$python' is Python $version, and Ray runs on 3.11 to 3.14: \
${other:+$other is here, so} try make PYTHON=${other:-...}"
    ;;
esac
"$python" -c 'import ensurepip, venv' 2> /dev/null ||
    stop "'$python' cannot make virtual environments: install its venv module (Debian, Ubuntu: \
sudo apt-get install python$version-venv)."

echo "== making a virtual environment in $folder (Python $version)"
if [ -L "$folder" ]; then stop "$folder is a link to nothing; remove it, then try again."; fi
if ! why=$(mkdir -p "$folder" 2>&1 && touch "$folder/.created" 2>&1); then
    stop "nothing can be written in this folder (${why##*: })."
fi
if ! why=$("$python" -m venv --clear "$folder" 2>&1); then
    echo "$why" >&2
    stop "the virtual environment could not be made (above)."
fi
pwd > "$folder/.created"
