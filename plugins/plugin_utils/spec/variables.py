# SPDX-License-Identifier: Apache-2.0
"""Every environment variable that the containers of an instance read, and what the operator does with a user's value.

docs/reference/variables.md is made from this table, and so are the rules of the CRD about variables. Sources: Immich
v3.1.0 (the notes of later variables say since when), `server/src/dtos/env.dto.ts`, `server/bin/start.sh` and
`machine-learning/immich_ml/config.py`; the entrypoints of immich-app/base-images `postgres/` and of the image
valkey/valkey.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Any

from ..kube.problems import Problem
from . import names
from .fields import Spec
from .names import Component

__all__ = ["TABLE", "Fixed", "Policy", "Variable", "When", "by_name", "fixed_variables", "problems"]


class Policy(StrEnum):
    """What happens to a variable that the user sets in `env` or `envFrom`."""

    PASSED = "passed on"
    OURS = "set by the operator; your own entry in env replaces it"
    FOLLOWED = "followed"
    FIXED = "refused, unless it says what the operator relies on"
    OUT_OF_REACH = "can't be set: the component has no field for variables"
    NO_EFFECT = "read by nobody in the container"


class When(StrEnum):
    """In which instances the operator relies on a variable's value."""

    ALWAYS = ""
    METRICS = "spec.immich.metrics.enabled is true"
    FILE = "spec.immich.configurationKind is not None"

    def holds(self, spec: Spec) -> bool:
        if self is When.METRICS:
            return spec.immich.metrics.enabled
        if self is When.FILE:
            return spec.immich.configuration_kind != "None"
        return True


@dataclass(frozen=True, slots=True, kw_only=True)
class Fixed:
    """The value that mounts, ports, probes and Services are made for."""

    values: tuple[str, ...]
    """What may be set; the first one is what the operator itself would set."""
    because: str
    """A clause that follows the value."""
    instead: str = "Remove it"
    """A sentence without a full stop: what to do, and which field to use."""
    below: bool = False
    """The value is a folder, and those below it are fine too."""
    when: When = When.ALWAYS
    is_address: bool = False
    """The pod's own address, which only its status has, is fine too; the image's default stays if nothing is set."""

    def admits(self, value: str) -> bool:
        """Like the CRD's rule, which can't search a text of any length."""
        return value in self.values or (self.below and value.startswith(f"{self.values[0]}/"))

    def fits(self, value: str) -> bool:
        return self.admits(value) and not (self.below and ".." in value.split("/"))

    def what(self, name: str) -> str:
        """Why another value of the variable is refused."""
        *others, last = (*self.values, *(["a folder below it"] if self.below else []))
        values = f"{', '.join(others)} or {last}" if others else last
        return f"{name} has to be {values}{f' where {self.when}' if self.when else ''}, {self.because}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Variable:
    name: str
    meaning: str
    """A clause for the reference page."""
    policy: Policy = Policy.PASSED
    field: str = ""
    """The field that the operator takes the value from."""
    note: str = ""
    """What the policy means for this variable; a clause."""
    fixed: Fixed | None = None
    values: re.Pattern[str] | None = None
    """All with which the program starts, where it refuses others; None if it takes any, or that is not known."""
    shown_values: str = ""
    """What they are, for people."""

    def refuses(self, value: str) -> bool:
        """True if the program does not start with the value. An empty one counts as unset."""
        return bool(value and self.values and not self.values.fullmatch(value))


def _passed(name: str, meaning: str, note: str = "") -> Variable:
    return Variable(name=name, meaning=meaning, note=note)


def _one_of(name: str, *choices: str, note: str = "") -> Variable:
    shown = f"{', '.join(choices[:-1])} or {choices[-1]}"
    return Variable(name=name, meaning=shown, note=note, values=re.compile("|".join(choices)), shown_values=shown)


def _some_of(variable: Variable, *choices: str) -> Variable:
    one = rf"\s*(?:{'|'.join(choices)})\s*"
    shown = f"some of {', '.join(choices)}, separated by commas"
    return replace(variable, values=re.compile(f"{one}(?:,{one})*"), shown_values=shown)


def _number(variable: Variable) -> Variable:
    return replace(variable, values=re.compile("[0-9]+"), shown_values="a number")


def _ours(name: str, meaning: str, field: str = "", note: str = "") -> Variable:
    return Variable(name=name, meaning=meaning, policy=Policy.OURS, field=field, note=note)


def _followed(name: str, meaning: str, note: str) -> Variable:
    return Variable(name=name, meaning=meaning, policy=Policy.FOLLOWED, note=note)


def _out_of_reach(name: str, meaning: str, note: str = "", field: str = "") -> Variable:
    return Variable(name=name, meaning=meaning, policy=Policy.OUT_OF_REACH, field=field, note=note)


def _no_effect(name: str, meaning: str, field: str) -> Variable:
    return Variable(name=name, meaning=meaning, policy=Policy.NO_EFFECT, field=field, note="Docker Compose reads it")


def _fixed(name: str, meaning: str, fixed: Fixed) -> Variable:
    return Variable(name=name, meaning=meaning, policy=Policy.FIXED, fixed=fixed)


def _address(name: str) -> Variable:
    because = "because probes and Services connect from outside the container"
    fixed = Fixed(values=("::", "[::]", "0.0.0.0"), because=because, is_address=True)  # noqa: S104 - a pod's listener
    return _fixed(name, "address to listen on", fixed)


_WITHOUT_FILE = "only with `spec.immich.configurationKind: None`, otherwise the file counts"
_NO_WAIT = "the pods no longer wait for"
_IN_CONTAINER = "a file that has to be in the container"
_PRELOAD = "models to load at the start, separated by commas"
_ABOUT = "shown in the web interface under About"

SERVER = (
    _fixed(
        "IMMICH_MEDIA_LOCATION",
        "folder of photos and videos",
        Fixed(
            values=("/data",),
            below=True,
            because="because the library is mounted there and files in any other place are lost with the pod",
            instead="Remove it, after copying files that a running pod has elsewhere; spec.immich.persistence.library"
            " says which volume holds the photos",
        ),
    ),
    _fixed(
        "IMMICH_PORT",
        "port to listen on",
        Fixed(
            values=("2283",),
            because="because probes, Service, Ingress and Route lead there",
            instead="Remove it; spec.server.ingress and spec.server.route say where people find the server",
        ),
    ),
    _address("IMMICH_HOST"),
    _fixed(
        "IMMICH_API_METRICS_PORT",
        "port of the API metrics",
        Fixed(values=("8081",), because="because the Service offers the metrics there", when=When.METRICS),
    ),
    _fixed(
        "IMMICH_MICROSERVICES_METRICS_PORT",
        "port of the background job metrics",
        Fixed(values=("8082",), because="because the Service offers the metrics there", when=When.METRICS),
    ),
    _fixed(
        "IMMICH_CONFIG_FILE",
        "path of the configuration file",
        Fixed(
            values=(f"/config/{names.CONFIG_FILE}",),
            because="because the operator writes that file from spec.immich.configuration",
            instead="Remove it and use spec.immich.configuration; or set spec.immich.configurationKind to None, to bring"
            " a file of your own",
            when=When.FILE,
        ),
    ),
    _some_of(
        _followed(
            "IMMICH_WORKERS_INCLUDE",
            "which workers run: api, microservices",
            "without api the pods are not probed over HTTP",
        ),
        "api",
        "microservices",
    ),
    _followed("IMMICH_WORKERS_EXCLUDE", "which workers do not run", "without api the pods are not probed over HTTP"),
    _some_of(
        _ours(
            "IMMICH_TELEMETRY_INCLUDE",
            "metrics to collect: all, host, api, io, repo, job",
            "spec.immich.metrics.enabled",
        ),
        "all",
        "host",
        "api",
        "io",
        "repo",
        "job",
    ),
    _passed("IMMICH_TELEMETRY_EXCLUDE", "metrics to leave out"),
    _ours(
        "IMMICH_MACHINE_LEARNING_ENABLED",
        "whether machine learning is used, if no file says so",
        "spec.machineLearning.enabled",
        _WITHOUT_FILE,
    ),
    _ours(
        "IMMICH_MACHINE_LEARNING_URL",
        "where machine learning is, if no file says so",
        "spec.machineLearning.url",
        _WITHOUT_FILE,
    ),
    _ours("DB_HOSTNAME", "host of the database", "spec.postgres.host", "the pods wait for yours"),
    _number(_ours("DB_PORT", "port of the database", "spec.postgres.port", "the pods wait for yours")),
    _ours("DB_DATABASE_NAME", "name of the database", "spec.postgres.database"),
    _ours("DB_USERNAME", "user of the database", "spec.postgres.username"),
    _ours("DB_PASSWORD", "password of the database", "spec.postgres.passwordSecretRef"),
    _ours(
        "DB_URL",
        "the whole address of the database, takes precedence over its parts",
        "spec.postgres.urlSecretRef",
        f"with yours {_NO_WAIT} the database",
    ),
    _one_of("DB_SSL_MODE", "disable", "allow", "prefer", "require", "verify-full"),
    _passed("DB_VECTOR_EXTENSION", "vectorchord or pgvector"),
    _passed("DB_SKIP_MIGRATIONS", "true: do not migrate the database with a new version"),
    *(
        _followed(f"{name}_FILE", f"file to read {name} from", f"{_IN_CONTAINER}; {_NO_WAIT} the database")
        for name in ("DB_URL", "DB_HOSTNAME")
    ),
    *(
        _passed(f"{name}_FILE", f"file to read {name} from", _IN_CONTAINER)
        for name in ("DB_DATABASE_NAME", "DB_USERNAME", "DB_PASSWORD", "REDIS_PASSWORD")
    ),
    _followed(
        "CREDENTIALS_DIRECTORY",
        "folder with files that are named like variables of the database",
        f"{_IN_CONTAINER}; {_NO_WAIT} the database",
    ),
    _ours("REDIS_HOSTNAME", "host of the queues", "spec.valkey.host", "the pods wait for yours"),
    _number(_ours("REDIS_PORT", "port of the queues", "spec.valkey.port", "the pods wait for yours")),
    _number(_ours("REDIS_DBINDEX", "number of the queues' database", "spec.valkey.dbIndex")),
    _ours("REDIS_PASSWORD", "password of the queues", "spec.valkey.passwordSecretRef"),
    _passed("REDIS_USERNAME", "user of the queues"),
    _followed("REDIS_URL", "the whole address of the queues, as ioredis:// and base64", f"{_NO_WAIT} the queues"),
    _followed("REDIS_SOCKET", "socket of the queues", f"{_NO_WAIT} the queues"),
    _passed("TZ", "time zone, such as Europe/Berlin"),
    _one_of("IMMICH_ENV", "production", "development", "testing"),
    _one_of(
        "IMMICH_LOG_LEVEL",
        "verbose", "debug", "log", "warn", "error", "fatal",
        note="takes precedence over `logging` in the file",
    ),
    _one_of("IMMICH_LOG_FORMAT", "console", "json"),
    _passed("IMMICH_HELMET_FILE", "security headers: true, false or a file"),
    _passed("IMMICH_TRUSTED_PROXIES", "addresses of reverse proxies, separated by commas"),
    _passed(
        "IMMICH_IGNORE_MOUNT_CHECK_ERRORS",
        "true: start although a folder of the library lacks its mark",
        "only for a restore: the mark reveals a wrong or empty volume",
    ),
    _passed("IMMICH_ALLOW_SETUP", "false: nobody can sign up as administrator"),
    _passed("IMMICH_PROCESS_INVALID_IMAGES", "true: make thumbnails of broken pictures"),
    _passed("IMMICH_ALLOW_EXTERNAL_PLUGINS", "true: allow plugins for workflows"),
    _passed(
        "IMMICH_PLUGINS_INSTALL_FOLDER",
        "folder of plugins",
        "they are lost with the pod, unless it is below /data",
    ),
    _passed("IMMICH_BUILD_DATA", "folder of the image's own files"),
    _passed("CPU_CORES", "number of cores"),
    _passed("UV_THREADPOOL_SIZE", "threads for file access and name resolution"),
    _passed("NO_COLOR", "no colours in the log"),
    _passed("NODE_OPTIONS", "options of Node.js"),
    _passed("NODE_EXTRA_CA_CERTS", "additional authorities to trust", _IN_CONTAINER),
    *(
        _passed(name, _ABOUT)
        for name in (
            "IMMICH_BUILD", "IMMICH_BUILD_URL", "IMMICH_BUILD_IMAGE", "IMMICH_BUILD_IMAGE_URL", "IMMICH_REPOSITORY",
            "IMMICH_REPOSITORY_URL", "IMMICH_SOURCE_REF", "IMMICH_SOURCE_COMMIT", "IMMICH_SOURCE_URL",
            "IMMICH_THIRD_PARTY_SOURCE_URL", "IMMICH_THIRD_PARTY_BUG_FEATURE_URL",
            "IMMICH_THIRD_PARTY_DOCUMENTATION_URL", "IMMICH_THIRD_PARTY_SUPPORT_URL",
        )
    ),
    _passed("NVIDIA_VISIBLE_DEVICES", "NVIDIA graphics cards that the container sees"),
    _passed("NVIDIA_DRIVER_CAPABILITIES", "what the container may do with them"),
    _no_effect("UPLOAD_LOCATION", "folder of the library on the host", "spec.immich.persistence.library"),
    _no_effect("DB_DATA_LOCATION", "folder of the database on the host", "spec.postgres.persistence"),
    _no_effect("IMMICH_VERSION", "tag of the images", "spec.server.image and spec.machineLearning.image"),
)  # fmt: skip

MACHINE_LEARNING = (
    _fixed(
        "MACHINE_LEARNING_CACHE_FOLDER",
        "folder of the models",
        Fixed(
            values=("/cache",),
            below=True,
            because="because the volume of the models is mounted there, and each pod downloads models in other places again",
            instead="Remove it; spec.machineLearning.persistence says which volume holds the models",
        ),
    ),
    _fixed(
        "IMMICH_PORT",
        "port to listen on",
        Fixed(values=("3003",), because="because probes, Service and server expect machine learning there"),
    ),
    _address("IMMICH_HOST"),
    _ours("TRANSFORMERS_CACHE", "folder of models", note="`/cache`; other folders are lost with the pod"),
    _ours(
        "HF_HOME",
        "folder of what Hugging Face keeps",
        note="`/cache/hf-cache`; other folders are lost with the pod",
    ),
    _ours("HF_XET_CACHE", "folder of unfinished downloads", note="`/cache/huggingface-xet`"),
    _ours("MPLCONFIGDIR", "folder of matplotlib", note="`/cache/matplotlib-config`"),
    _passed("IMMICH_LOG_LEVEL", "critical, error, warn, info or debug"),
    _passed("NO_COLOR", "no colours in the log"),
    _passed("DEVICE", "what the image is made for", "set by the image"),
    _passed("MACHINE_LEARNING_MODEL_TTL", "seconds until an idle model is unloaded, 0 for never"),
    _passed("MACHINE_LEARNING_MODEL_TTL_POLL_S", "seconds between checks for idle models"),
    _passed("MACHINE_LEARNING_REQUEST_THREADS", "threads for requests", "set it where CPU is limited"),
    _passed("MACHINE_LEARNING_MODEL_INTER_OP_THREADS", "operations in parallel"),
    _passed("MACHINE_LEARNING_MODEL_INTRA_OP_THREADS", "threads per operation"),
    _passed("MACHINE_LEARNING_WORKERS", "processes, each with its own models"),
    _passed("MACHINE_LEARNING_HTTP_KEEPALIVE_TIMEOUT_S", "seconds that a connection stays open"),
    _passed("MACHINE_LEARNING_WORKER_TIMEOUT", "seconds until a hanging worker is ended"),
    *(
        _passed(f"MACHINE_LEARNING_PRELOAD__{task}", _PRELOAD)
        for task in (
            "CLIP__TEXTUAL", "CLIP__VISUAL", "FACIAL_RECOGNITION__DETECTION", "FACIAL_RECOGNITION__RECOGNITION",
            "OCR__DETECTION", "OCR__RECOGNITION",
        )
    ),
    _passed("MACHINE_LEARNING_DEVICE_IDS", "numbers of graphics cards"),
    _passed("MACHINE_LEARNING_MAX_BATCH_SIZE__FACIAL_RECOGNITION", "faces at once"),
    _passed("MACHINE_LEARNING_MAX_BATCH_SIZE__OCR", "texts at once"),
    _passed("MACHINE_LEARNING_MODEL_REVISION", "v2 for faster models, which are downloaded again", "since Immich 3.3"),
    _passed("MACHINE_LEARNING_MODEL_ARENA", "memory that is kept for the next request"),
    _passed("MACHINE_LEARNING_ANN", "use ARM NN"),
    _passed("MACHINE_LEARNING_ANN_FP16_TURBO", "faster and less precise, ARM NN"),
    _passed("MACHINE_LEARNING_ANN_TUNING_LEVEL", "1 to 3, ARM NN"),
    _passed("MACHINE_LEARNING_RKNN", "use a Rockchip NPU"),
    _passed("MACHINE_LEARNING_RKNN_THREADS", "threads on a Rockchip NPU"),
    _passed("MACHINE_LEARNING_OPENVINO_PRECISION", "FP32 or FP16"),
    _passed("MACHINE_LEARNING_ROCM_PRECISION", "FP32 or FP16"),
    _passed("HSA_OVERRIDE_GFX_VERSION", "another generation of graphics card, ROCm"),
    _passed("HSA_USE_SVM", "0: no shared memory, ROCm"),
    _passed("NVIDIA_VISIBLE_DEVICES", "NVIDIA graphics cards that the container sees"),
    _passed("NVIDIA_DRIVER_CAPABILITIES", "what the container may do with them"),
)  # fmt: skip

POSTGRES = (
    _out_of_reach("POSTGRES_USER", "user to create", field="spec.postgres.username"),
    _out_of_reach("POSTGRES_DB", "database to create", field="spec.postgres.database"),
    _out_of_reach("POSTGRES_PASSWORD", "password", field="spec.postgres.passwordSecretRef"),
    _out_of_reach("POSTGRES_INITDB_ARGS", "options of initdb", "`--data-checksums`"),
    _out_of_reach("PGDATA", "folder of the database", "as the layout of the volume requires"),
    _out_of_reach("DB_STORAGE_TYPE", "SSD or HDD", "not set: SSD", "spec.postgres.storageType"),
    _out_of_reach("IGNORE_DATABASE_FSTYPE", "true: any file system", "not set: the image refuses network file systems"),
    *(
        _out_of_reach(name, "another way to set the same", "not set")
        for name in (
            "POSTGRES_USER_FILE", "POSTGRES_DB_FILE", "POSTGRES_PASSWORD_FILE", "DB_USERNAME", "DB_DATABASE_NAME",
            "DB_PASSWORD",
        )
    ),
)  # fmt: skip

VALKEY = (_out_of_reach("VALKEY_EXTRA_FLAGS", "options of valkey-server", "not set; the operator gives arguments"),)

TABLE: Mapping[Component, tuple[Variable, ...]] = {
    Component.SERVER: SERVER,
    Component.MACHINE_LEARNING: MACHINE_LEARNING,
    Component.POSTGRES: POSTGRES,
    Component.VALKEY: VALKEY,
}


def by_name(component: Component) -> dict[str, Variable]:
    """Empty for a component that the table lacks."""
    return {variable.name: variable for variable in TABLE.get(component, ())}


def fixed_variables(component: Component) -> list[tuple[str, Fixed]]:
    """(name, what the operator relies on), in the order of the table."""
    return [(variable.name, variable.fixed) for variable in by_name(component).values() if variable.fixed]


def problems(component: Component, key: str, entries: Iterable[Any], spec: Spec) -> Iterator[Problem]:
    """What the CRD's rules say about the entries of `spec.<key>.env` that have a value of their own."""
    known = dict(fixed_variables(component))
    for index, entry in enumerate(entries):
        if not isinstance(entry, Mapping) or "valueFrom" in entry:
            continue
        # What is not text is a problem of its own, which the schema reports.
        name, value = entry.get("name"), entry.get("value") or ""
        if not isinstance(name, str) or not isinstance(value, str):
            continue
        fixed = known.get(name)
        if fixed and not fixed.admits(value) and fixed.when.holds(spec):
            path = f"spec.{key}.env" if fixed.when else f"spec.{key}.env[{index}]"
            yield Problem(path, fixed.what(name), fixed.instead)
