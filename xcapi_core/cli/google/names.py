"""Projects, and full names of topics and subscriptions."""

import os
import re
from typing import Final, Literal

import click
import google.auth
from google.auth.exceptions import GoogleAuthError

from xcapi_core.settings import Settings

__all__ = ["find_project", "full_name", "project_option"]

_PROJECT_VARIABLES: Final = ("GOOGLE_CLOUD_PROJECT", "GCLOUD_PROJECT", "CLOUDSDK_CORE_PROJECT", "PUBSUB_PROJECT_ID")
_FULL: Final = re.compile(r"projects/[^/\s]+/(topics|subscriptions)/[^/\s]+")
_SHORT: Final = re.compile(r"[A-Za-z][A-Za-z0-9._~+%-]{2,254}")

project_option = click.option(
    "--project", help="The Google Cloud project of short names; else the configuration's, else gcloud's."
)


def find_project(given: str | None, settings: Settings | None) -> str | None:
    """Return the project: as given, of the configuration's topics, of the environment, of gcloud's login."""
    if given:
        return given
    if settings is not None and settings.dead_letter_project:
        return settings.dead_letter_project
    for name in _PROJECT_VARIABLES:
        if project := os.environ.get(name, "").strip():
            return project
    if os.environ.get("PUBSUB_EMULATOR_HOST"):
        return None
    try:
        _, found = google.auth.default()
    except GoogleAuthError:
        return None
    return found if isinstance(found, str) else None


def full_name(
    kind: Literal["topics", "subscriptions"], name: str, project: str | None, settings: Settings | None = None
) -> str:
    """Return `projects/…/topics/…` for a full or short name; wrong usage where it is neither, or has no project."""
    option = f"--{kind.removesuffix('s')}"
    if (match := _FULL.fullmatch(name)) is not None:
        if match[1] != kind:
            raise click.BadParameter(f"one of the {match[1]}, but {kind} are meant", param_hint=option)
        return name
    if not _SHORT.fullmatch(name):
        raise click.BadParameter(f"neither a name nor projects/PROJECT/{kind}/NAME", param_hint=option)
    project = find_project(project, settings)
    if project is None:
        raise click.UsageError(f"Whose is {name}? Give --project, or projects/PROJECT/{kind}/{name}.")
    return f"projects/{project}/{kind}/{name}"
