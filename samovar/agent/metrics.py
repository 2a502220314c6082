"""The agent's own metrics, in a file from which prometheus-node-exporter shows them (its textfile collector)."""

from __future__ import annotations

import subprocess
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path

from .clients import Secret

FILE = "/run/samovar/metrics/agent.prom"
PERIOD = 10.0
"""Seconds between two writes."""
PEM = "-----BEGIN CERTIFICATE-----"
LAST_SUCCESS = "samovar_agent_last_success_timestamp_seconds"
VERSION = "samovar_secret_version_info"
NOT_AFTER = "samovar_certificate_not_after_timestamp_seconds"
APPLIED = "samovar_agent_config_last_apply_successful"
HELP = {
    LAST_SUCCESS: "When a server that the agent asks answered last.",
    VERSION: "The version of a secret that the machine has.",
    NOT_AFTER: "When the certificate in a secret ends.",
    APPLIED: "Whether the last configuration was applied, or refused (0).",
}


@dataclass(frozen=True)
class Answered:
    """The last answer of a server: what was asked of it, when it answered (seconds since 1970), a secret's version."""

    server: str
    name: str
    at: float
    version: str = ""


def metrics(answered: Iterable[Answered], ends: Mapping[str, float], *, refused: bool = False) -> str:
    """Return the metrics in the text format of Prometheus.

    `ends` is when certificates end, by names of secrets; `refused` is whether the last configuration was.
    """
    answers = sorted(answered, key=lambda each: (each.server, each.name))
    families = {
        LAST_SUCCESS: [_sample(LAST_SUCCESS, each.at, server=each.server, name=each.name) for each in answers],
        VERSION: [_sample(VERSION, 1, secret=each.name, version=each.version) for each in answers if each.version],
        NOT_AFTER: [_sample(NOT_AFTER, end, secret=name) for name, end in sorted(ends.items())],
        APPLIED: [f"{APPLIED} {int(not refused)}\n"],
    }
    return "".join(line for name, samples in families.items() if samples for line in _family(name, samples))


def certificate_ends(secrets: Mapping[str, Secret]) -> Mapping[str, float]:
    """Return when the certificates among the secrets end, in seconds since 1970, by the names of the secrets."""
    return {name: end for name, secret in secrets.items() for text in _texts(secret) for end in _not_after(text)}


def write(path: Path, text: str) -> None:
    """Write the file at once: who reads it meanwhile finds the old one whole."""
    path.parent.mkdir(parents=True, exist_ok=True)
    partial = path.with_suffix(".new")
    partial.write_text(text)
    partial.replace(path)


def _family(name: str, samples: Iterable[str]) -> Iterator[str]:
    yield f"# HELP {name} {HELP[name]}\n# TYPE {name} gauge\n"
    yield from samples


def _sample(metric: str, value: float, **labels: str) -> str:
    shown = ",".join(f'{key}="{text}"' for key, text in labels.items())
    return f"{metric}{{{shown}}} {value:.3f}\n"


def _texts(secret: Secret) -> Iterable[str]:
    return [secret] if isinstance(secret, str) else secret.values()


def _not_after(text: str) -> Iterator[float]:
    """Yield when the first certificate of a text in PEM ends; nothing where there is none that openssl reads."""
    if PEM not in text:
        return
    command = ["openssl", "x509", "-noout", "-enddate", "-dateopt", "iso_8601"]
    done = subprocess.run(command, input=text, capture_output=True, text=True, timeout=5, check=False)  # noqa: S603 - fixed
    date = done.stdout.strip().removeprefix("notAfter=")
    if done.returncode == 0:
        yield datetime.fromisoformat(date).timestamp()
