"""``python -m deployments.check_config FILE …``: check every key and setting of Serve configs.

Serve itself ignores unknown keys, at every level, so a misspelt option has no effect and gives no
message. Prints one line per mistake, and exits with 1 if there are any.
"""

import os
import re
import sys
from pathlib import Path
from typing import Any

import yaml
from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails
from ray.serve.config import AutoscalingConfig
from ray.serve.schema import ServeDeploySchema

from acestep_ray.replicas.decoders import decoders_of
from acestep_ray.replicas.planners import planners_of
from acestep_ray.settings import Settings
from acestep_ray.settings.mistakes import in_words, model_in
from deployments.autoscaling import POLICY
from deployments.names import INGRESS, RUNNER

FIXED = (INGRESS, RUNNER)
SECRET = re.compile("//[^/]*@")
"""User and password of a URL: no message may repeat them."""
UNREAD = re.compile(r'error parsing value for field "(\w+)" from source "EnvSettingsSource"')
"""The message of pydantic-settings for a variable that is not JSON."""


def mistakes(config: object) -> list[str]:
    """All mistakes in a Serve config, one sentence each; empty if there are none."""
    if not isinstance(config, dict):
        return ["The file must hold a mapping with the key 'applications'."]
    found = [*_unknown(ServeDeploySchema, config, "")]
    try:
        ServeDeploySchema.model_validate(config)
    except ValidationError as error:
        found += _messages(error)
    for number, app in enumerate(config.get("applications") or []):
        where = f"applications.{number}"
        if not isinstance(app, dict):
            continue
        if app.get("import_path") != "deployments.app:build":
            continue
        try:
            settings = Settings.model_validate(app.get("args") or {})
        except ValidationError as error:
            found += [_of_setting(entry, f"{where}.args.") for entry in error.errors()]
            continue
        engines = [spec.name for spec in decoders_of(settings)]
        engines += [spec.name for spec in planners_of(settings)]
        names = (*FIXED, *engines)
        for deployment in app.get("deployments") or []:
            name = deployment.get("name")
            if name not in names:
                found.append(
                    f"{where}.deployments: no deployment is called {name!r}; "
                    f"there are {', '.join(names)}."
                )
            scaling = deployment.get("autoscaling_config") or {}
            policy = (scaling.get("policy") or {}).get("policy_function")
            if name in engines and scaling and policy != POLICY:
                found.append(
                    f"{where}.deployments: the autoscaling_config of {name} needs policy: "
                    f"{{policy_function: {POLICY}}}, or it does not see the jobs that wait."
                )
    return found


def _messages(error: ValidationError) -> list[str]:
    return [
        f"{'.'.join(map(str, entry['loc']))}: {in_words(entry, ServeDeploySchema)}."
        for entry in error.errors()
    ]


def _of_setting(entry: ErrorDetails, prefix: str) -> str:
    """A wrong setting; if it came from the environment, the message names the variable."""
    place = [str(step) for step in entry["loc"]]
    if not place and (unread := UNREAD.search(entry["msg"])):
        return f"environment variable ACESTEP_{unread[1].upper()}: it must be JSON."
    if entry["type"] == "extra_forbidden":
        model: Any = Settings
        for step in place[:-1]:
            model = model if step.isdigit() else model_in(model.model_fields[step].annotation)
        known = ", ".join(sorted(model.model_fields))
        if variable := _variable_of(place):
            return f"environment variable {variable}: unknown setting; known here are {known}."
        return f"{prefix}{'.'.join(place)}: unknown key; known here are {known}."
    if not place:  # a rule for several settings, wherever they are set
        return f"{prefix.rstrip('.')} and ACESTEP_ variables together: {in_words(entry, Settings)}."
    if variable := _variable_of(place):
        if Settings.model_fields[place[0]].annotation is SecretStr:
            return f"environment variable {variable}: {in_words(entry, Settings)}."
        given = SECRET.sub("//***@", os.environ[variable])
        inside = ".".join(place[len(variable.split("__")) :])
        where = f" ({inside})" if inside else ""
        return f"environment variable {variable}={given!r}{where}: {in_words(entry, Settings)}."
    return f"{prefix}{'.'.join(place)}: {in_words(entry, Settings)}."


def _variable_of(place: list[str]) -> str:
    """The variable that set the setting at ``place``, or a group that contains it. If a rule of a
    group is broken: a variable of that group. Empty: none."""
    for length in range(len(place), 0, -1):
        variable = "ACESTEP_" + "__".join(place[:length]).upper()
        if variable in os.environ:
            return variable
    inside = "ACESTEP_" + "__".join(place).upper() + "__"
    return next((name for name in sorted(os.environ) if name.startswith(inside)), "")


def _unknown(model: type[BaseModel], value: dict[Any, Any], where: str) -> list[str]:
    """Keys of ``value`` that are not fields of ``model``, at all levels."""
    found = []
    for key, inner in value.items():
        field = model.model_fields.get(key)
        if field is None:
            known = ", ".join(sorted(model.model_fields))
            found.append(f"{where}{key}: unknown key; known here are {known}.")
            continue
        below = AutoscalingConfig if key == "autoscaling_config" else model_in(field.annotation)
        if below is None:
            continue
        items = inner if isinstance(inner, list) else [inner]
        for number, item in enumerate(items):
            if isinstance(item, dict):
                at = f"{where}{key}.{number}." if isinstance(inner, list) else f"{where}{key}."
                found += _unknown(below, item, at)
    return found


def main(files: list[str]) -> int:
    """Check each file; returns 0 if there are no mistakes."""
    wrong = 0
    for file in files:
        for mistake in mistakes(yaml.safe_load(Path(file).read_text())):
            wrong += 1
            where = "" if mistake.startswith("environment") else f"{file}: "
            sys.stderr.write(f"{where}{mistake}\n")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
