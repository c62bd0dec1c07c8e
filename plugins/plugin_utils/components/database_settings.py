# SPDX-License-Identifier: Apache-2.0
"""Settings of the built-in PostgreSQL that a user gives: as arguments of its server, where no text can say anything else."""

from __future__ import annotations

import re
from collections.abc import Mapping

from ..spec.fields import Postgres
from .instance import Part
from .reasons import Reason

__all__ = ["arguments", "is_of_immich", "tell"]

CONFIG_FILE = "/etc/postgresql/postgresql.conf"
"""That Immich's image writes at its start, and that its command names (immich-app/base-images `postgres/`)."""
_OF_IMMICH = re.compile(r"(^|/)immich-app/postgres([:@]|$)")
_TAG_OF_IMMICH = re.compile(r":[0-9]{2}-(vectorchord|pgvector)[^/]*$")
DOUBTFUL = {
    "fsync": "data are lost and the database may be damaged when the node fails",
    "full_page_writes": "the database may be damaged when the node fails",
    "synchronous_commit": "the last changes are lost when the node fails",
}
"""Settings that say `off` to safety, and what comes of it."""
DANGEROUS = {
    "ignore_checksum_failure": "damaged data are read and written on",
    "zero_damaged_pages": "damaged data are deleted without a word",
}
"""Those that say `on` to danger."""
OFF, ON = ("off", "false", "no", "0"), ("on", "true", "yes", "1")


def is_of_immich(image: str) -> bool:
    """Whether the image is Immich's own, which brings settings and reads DB_STORAGE_TYPE."""
    return bool(_OF_IMMICH.search(image))


def brings_settings(image: str) -> bool:
    """Whether the image is Immich's own, also under another name: by the tag, which a mirror keeps."""
    return is_of_immich(image) or bool(_TAG_OF_IMMICH.search(image))


def arguments(parameters: Mapping[str, str], image: str) -> list[str] | None:
    """The arguments of the container, None for those of its image.

    Each setting is an argument of its own, which no shell reads; kubelet would put variables in the place of `$(NAME)`.
    """
    if not parameters:
        return None
    given = {"config_file": CONFIG_FILE} if brings_settings(image) else {}
    pairs = {**given, **dict(sorted(parameters.items()))}
    return [
        "postgres",
        *(word for name, value in pairs.items() for word in ("-c", f"{name}={value}".replace("$", "$$"))),
    ]


def tell(part: Part, settings: Postgres, image: str, path: str) -> None:
    """Warn of what endangers the data, and of what the image does not read."""
    if settings.parameters and not brings_settings(image) and "shared_preload_libraries" not in settings.parameters:
        part.warns(
            Reason.SAFEGUARD_REMOVED,
            f"{path}.parameters take the place of the command of image {image}. If that command loads an extension such as "
            f"vchord, name it in shared_preload_libraries in {path}.parameters",
        )
    for name, value in settings.parameters.items():
        word = str(value).strip().lower()
        because = (DOUBTFUL.get(name) if word in OFF else None) or (DANGEROUS.get(name) if word in ON else None)
        if because:
            part.warns(
                Reason.SAFEGUARD_REMOVED,
                f"{path}.parameters: {name} is {value}, so {because}. Remove it if that is not meant",
            )
    if settings.storage_type and not brings_settings(image):
        part.warns(
            Reason.SETTING_IGNORED,
            f"{path}.storageType has no effect, because only Immich's own image of PostgreSQL reads it, not {image}. Set "
            f"random_page_cost and effective_io_concurrency in {path}.parameters",
        )
