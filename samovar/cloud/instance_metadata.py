"""The metadata service of the machine that we run on, where that is a machine of Yandex Cloud; elsewhere never asked.

Whoever answers at that address would be given our trust: so there must be a sign that the cloud does.
"""

from __future__ import annotations

import json
import urllib.error
import urllib.request
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from samovar.core.errors import CloudError

ADDRESS = "169.254.169.254"
DMI = Path("/sys/class/dmi/id")
SIGNS = ("sys_vendor", "product_name", "board_vendor")
MADE_BY = "yandex"
"""What stands in the DMI of a machine of Yandex Cloud (`Yandex xeon-gold-6338`)."""
TREE = "computeMetadata/v1/instance"
TIMEOUT = 2.0
FACTS = {"YC_FOLDER_ID": "vendor/folder-id", "YC_CLOUD_ID": "vendor/cloud-id", "YC_ZONE": "zone"}


def metadata_address(variables: Mapping[str, str], dmi: Path | None = None) -> str | None:
    """Where this machine's metadata service is; None where nothing says that this is a machine of the cloud.

    YC_METADATA_ADDR says so, as it does to the SDK, and so does the machine's DMI.
    """
    if named := variables.get("YC_METADATA_ADDR"):
        return named
    made_by = " ".join(_text((dmi or DMI) / sign) for sign in SIGNS)
    return ADDRESS if MADE_BY in made_by.lower() else None


def machine_facts(address: str) -> Mapping[str, str]:
    """The folder, the cloud and the zone that the machine is in, as the variables that say the same."""
    return {name: _ask(address, path).rpartition("/")[2] for name, path in FACTS.items()}


def machine_token(address: str) -> tuple[str, float]:
    """The token of the machine's service account, and the seconds that it lives."""
    text = _ask(address, "service-accounts/default/token")
    try:
        found: dict[str, Any] = json.loads(text)
        return str(found["access_token"]), float(found["expires_in"])
    except (ValueError, KeyError, TypeError) as error:
        raise _failed(address, f"no token in its answer: {error}") from error


def _ask(address: str, path: str) -> str:
    request = urllib.request.Request(f"http://{address}/{TREE}/{path}", headers={"Metadata-Flavor": "Google"})
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(request, timeout=TIMEOUT) as answer:
            return str(answer.read().decode())
    except urllib.error.HTTPError as error:
        error.close()
        raise _failed(address, f"{path}: {error.code} {error.reason}") from error
    except OSError as error:
        raise _failed(address, str(error)) from error


def _failed(address: str, why: str) -> CloudError:
    return CloudError(
        f"the metadata service at {address}: {why}",
        remedy="attach a service account to this machine, or set YC_TOKEN or YC_SERVICE_ACCOUNT_KEY_FILE",
    )


def _text(file: Path) -> str:
    try:
        return file.read_text(errors="replace")
    except OSError:
        return ""
