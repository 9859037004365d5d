"""`serve run` as the supervisor sees it: processes under Ray's names, and an HTTP server.

The document in its config file controls it: ``port``; ``prints``, before anything else; ``ends``:
then it ends; ``starting``: then it is never ready; ``parts``, the programs to start; ``health``,
the statuses that /health returns one after the other, the last one for ever; ``dies_at``, the path
(for /health, its last response) whose request ends its raylet. It writes its environment to
``environment``.
"""

import json
import os
import subprocess
import sys
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import yaml

SLEEP = "import time; time.sleep(600)"
# Replicas still run for minutes after their raylet was killed, with another parent.
RAYLET = f"""
import subprocess, sys
subprocess.Popen([sys.executable, '-c', {SLEEP!r}])
print('it has started a replica', flush=True)
{SLEEP}
"""

file = Path(sys.argv[-1])
document = yaml.safe_load(file.read_text())
if "environment" in document:
    Path(document["environment"]).write_text(json.dumps(dict(os.environ)))
sys.stdout.write(document.get("prints", "") + "\n")
sys.stdout.flush()
if document.get("ends"):
    sys.exit(1)
started = {}
for part in document.get("parts", ["gcs_server", "raylet"]):
    program = file.with_name(part)
    if part.endswith(".py"):
        program.write_text(SLEEP)
        command = [sys.executable, str(program)]
    else:
        program.symlink_to(sys.executable)
        command = [str(program), "-c", RAYLET if part == "raylet" else SLEEP]
    started[part] = subprocess.Popen(command, stdout=subprocess.PIPE)
assert started["raylet"].stdout
started["raylet"].stdout.readline()
if document.get("starting"):
    time.sleep(600)

health = list(document.get("health", [200]))


class Answers(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        status = 200
        if self.path == "/health":
            status = health.pop(0) if len(health) > 1 else health[0]
        self.send_response(status)
        self.end_headers()
        self.wfile.write(b"{}")
        if self.path == document.get("dies_at") and len(health) == 1:
            started["raylet"].kill()

    def log_message(self, format: str, *args: object) -> None:
        pass


ThreadingHTTPServer(("127.0.0.1", document["port"]), Answers).serve_forever()
