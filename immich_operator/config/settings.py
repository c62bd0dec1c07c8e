# SPDX-License-Identifier: Apache-2.0
"""All settings of the operator. Flags, variables and docs/reference/settings.md are made from one dataclass.

A flag takes precedence over its environment variable, and that over the default. Names and defaults are those of
`ansible-operator run` where it has the setting.
"""

from __future__ import annotations

import argparse
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from immich_operator.config import durations
from immich_operator.config.cpu import usable_cpus
from immich_operator.config.options import LONGEST_NUMBER, MAX_VERBOSITY
from immich_operator.errors import SettingsError
from immich_operator.kube.resources import may_be_namespace

LONGEST_LEASE_S: Final = (
    3600.0  # that a record is believed; whoever may write Leases could lock all operators out for ever
)
WITHOUT_EFFECT: Final = (
    "leader-elect-resource-lock",
    "zap-devel",
    "zap-stacktrace-level",
    "zap-time-encoding",
)
"""Flags of `ansible-operator run` that are accepted, so that a Deployment made for it starts, and ignored."""
MAX_DEFAULT_WORKERS: Final = 4
_TRUE: Final = {"1", "t", "true", "yes", "on"}
_FALSE: Final = {"0", "f", "false", "no", "off"}


def _boolean(text: str) -> bool:
    if (lower := text.strip().lower()) in _TRUE | _FALSE:
        return lower in _TRUE
    raise ValueError(f"{text!r} is neither true nor false")


def _only_false(why: str) -> Callable[[str], bool]:
    """For a flag of the Operator SDK that would promise something that does not exist here."""

    def parse(text: str) -> bool:
        if _boolean(text):
            raise ValueError(f"this operator can't do that: {why}")
        return False

    return parse


def _natural(text: str) -> int:
    if not text.strip().isdecimal():
        raise ValueError(f"{text!r} is not a whole number")
    return int(text)


def _size(text: str) -> int:
    """Bytes of "512Mi", "1Gi" or a plain number."""
    number = text.strip()
    factor = 1
    for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), start=1):
        if number.endswith(unit):
            number, factor = number.removesuffix(unit), 1024**power
    if not number.isdecimal() or len(number) > LONGEST_NUMBER:
        raise ValueError(f"{text!r} is not a size; write it like 512Mi or 1Gi")
    return int(number) * factor


def _positive(text: str) -> int:
    if not (number := _natural(text)):
        raise ValueError("at least 1 is needed")
    return number


def _verbosity(text: str) -> int:
    if (number := _natural(text)) > MAX_VERBOSITY:
        raise ValueError(f"{text!r} is more than {MAX_VERBOSITY}")
    return number


def _one_of(*choices: str, **aliases: str) -> Callable[[str], str]:
    def parse(text: str) -> str:
        value = aliases.get(text.lower(), text.lower())
        if value not in choices:
            raise ValueError(f"{text!r} is not one of {', '.join(choices)}")
        return value

    return parse


def _address(text: str) -> tuple[str, int] | None:
    """("host", port); None for "0", which switches a server off."""
    if text == "0":
        return None
    host, colon, port = text.rpartition(":")
    if not colon or not port.isdecimal() or int(port) > 65535:
        raise ValueError(f"{text!r} is not an address; write it like :6789 or 127.0.0.1:6789, or 0 for none")
    return host.strip("[]"), int(port)


def _namespaces(text: str) -> tuple[str, ...]:
    names = tuple(name for part in text.split(",") if (name := part.strip()))
    for name in names:
        if not may_be_namespace(name):
            raise ValueError(
                f"{name!r} can't be the name of a namespace: lower case letters, digits and -, at most 63; several are "
                "separated by commas, and none means all"
            )
    return names


def setting(
    default: str,
    *,
    env: str,
    help: str,
    parse: Callable[[str], Any] = str,
    aliases: Sequence[str] = (),
    section: str = "General",
    describe_default: str = "",
) -> Any:
    """One setting; its flag is the field's name with dashes, `default` is written as a user would write it."""
    return field(
        default_factory=lambda: parse(default),
        metadata={
            "env": env,
            "help": help,
            "parse": parse,
            "default": default,
            "aliases": tuple(aliases),
            "section": section,
            "describe_default": describe_default or default,
        },
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Settings:
    """All settings of `immich-operator run`; times are in seconds."""

    watches_file: Path = setting(  # noqa: RUF009 - returns a dataclass field
        "./watches.yaml",
        env="OPERATOR_WATCHES_FILE",
        parse=Path,
        describe_default="./watches.yaml, else that of the package",
        help="Which kinds to watch, and what to run for each. With the package's own, missing RELATED_IMAGE_* variables "
        "are filled with the images of a deployed operator.",
    )
    watch_namespaces: tuple[str, ...] = setting(
        "",
        env="WATCH_NAMESPACE",
        parse=_namespaces,
        describe_default="all",
        help="Namespaces to watch, separated by commas; empty means all.",
    )
    kubeconfig: str = setting(
        "",
        env="KUBECONFIG",
        describe_default="service account, otherwise ~/.kube/config",
        help="How to reach the API server.",
    )
    context: str = setting("", env="OPERATOR_CONTEXT", describe_default="current", help="Context of the kubeconfig.")
    discovery_period: float = setting(
        "30s",
        env="OPERATOR_DISCOVERY_PERIOD",
        parse=durations.parse,
        help="How often to check whether a kind that the API server does not serve has appeared.",
    )
    run_dir: Path = setting(  # noqa: RUF009 - returns a dataclass field
        "/tmp/immich-operator",  # noqa: S108 - made with mode 0700, and the container's /tmp is its own
        env="OPERATOR_RUN_DIR",
        parse=Path,
        help="Folder for the plays' working files. Give it a private, writable volume.",
    )

    max_concurrent_reconciles: int = setting(
        "0",
        env="OPERATOR_WORKERS",
        parse=_natural,
        section="Passes",
        describe_default="usable CPUs, at most 4",
        help="Plays that may run at the same time, over all kinds; 0 chooses by the CPUs this process may use. "
        "MAX_CONCURRENT_RECONCILES_<KIND>_<GROUP> takes precedence for one kind.",
    )
    reconcile_period: float = setting(
        "10h",
        env="OPERATOR_RECONCILE_PERIOD",
        parse=durations.parse,
        section="Passes",
        help="Time from one pass to the next when nothing happens; 0s for never. watches.yaml and the annotation "
        "ansible.sdk.operatorframework.io/reconcile-period take precedence.",
    )
    min_reconcile_period: float = setting(
        "30s",
        env="OPERATOR_MIN_RECONCILE_PERIOD",
        parse=durations.parse,
        section="Passes",
        help="Shortest period that the annotation may ask for, unless yours is shorter. A shorter one is replaced by it, "
        "and the log and an Event say so.",
    )
    pass_burst: int = setting(
        "100",
        env="OPERATOR_PASS_BURST",
        parse=_positive,
        section="Passes",
        help="Plays that one resource may cause as fast as it likes, by changes of its own or of what it depends on.",
    )
    pass_interval: float = setting(
        "2s",
        env="OPERATOR_PASS_INTERVAL",
        parse=durations.parse,
        section="Passes",
        help="After a burst one resource gets a play each so often, until it has been quiet for a while. 0s: no limit.",
    )
    play_timeout: float = setting(
        "10m",
        env="OPERATOR_PLAY_TIMEOUT",
        parse=durations.parse,
        section="Passes",
        help="A play that takes longer is killed and counts as failed.",
    )
    settle_time: float = setting(
        "100ms",
        env="OPERATOR_SETTLE_TIME",
        parse=durations.parse,
        section="Passes",
        help="A pass starts this long after the last event, so that a burst of events becomes one pass.",
    )
    settle_time_max: float = setting(
        "1s",
        env="OPERATOR_SETTLE_TIME_MAX",
        parse=durations.parse,
        section="Passes",
        help="A pass starts no later than this after the first event.",
    )
    retry_first: float = setting(
        "1s",
        env="OPERATOR_RETRY_FIRST",
        parse=durations.parse,
        section="Passes",
        help="Delay after a failed pass; it doubles with each consecutive failure.",
    )
    retry_max: float = setting(
        "5m", env="OPERATOR_RETRY_MAX", parse=durations.parse, section="Passes", help="Longest delay after a failure."
    )
    graceful_shutdown_timeout: float = setting(
        "25s",
        env="OPERATOR_GRACEFUL_SHUTDOWN_TIMEOUT",
        parse=durations.parse,
        section="Passes",
        help="Time that running plays get to end after SIGTERM. Keep it below terminationGracePeriodSeconds.",
    )

    engine: str = setting(
        "fork",
        env="OPERATOR_ENGINE",
        parse=_one_of("fork", "process"),
        section="Ansible",
        help="fork: plays are forks of a warm process. process: each play starts a new interpreter.",
    )
    ansible_verbosity: int = setting(
        "2",
        env="OPERATOR_ANSIBLE_VERBOSITY",
        parse=_natural,
        section="Ansible",
        help="Number of -v of each play, 0 to 7. ANSIBLE_VERBOSITY_<KIND>_<GROUP> and the annotation "
        "ansible.sdk.operatorframework.io/verbosity take precedence.",
    )
    max_verbosity: int = setting(
        "3",
        env="OPERATOR_MAX_VERBOSITY",
        parse=_verbosity,
        section="Ansible",
        help="The most that the annotation ansible.sdk.operatorframework.io/verbosity may ask for, unless yours is more.",
    )
    max_runner_artifacts: int = setting(
        "20",
        env="OPERATOR_MAX_RUNNER_ARTIFACTS",
        parse=_positive,
        section="Ansible",
        help="The most that the annotation ansible.sdk.operatorframework.io/max-runner-artifacts may ask for, unless "
        "watches.yaml says more.",
    )
    play_memory: int = setting(
        "384Mi",
        env="OPERATOR_PLAY_MEMORY",
        parse=_size,
        section="Ansible",
        help="Memory for data that each process of a play may have, 8Mi for each thread included; a play that needs more "
        "fails. 0: no limit.",
    )
    artifacts_size: int = setting(
        "512Mi",
        env="OPERATOR_ARTIFACTS_SIZE",
        parse=_size,
        section="Ansible",
        help="Disk that the artifacts of all plays may take; then the oldest are removed.",
    )
    artifacts_size_each: int = setting(
        "16Mi",
        env="OPERATOR_ARTIFACTS_SIZE_EACH",
        parse=_size,
        section="Ansible",
        help="Disk that the artifacts of one resource's plays may take; then its oldest are removed.",
    )
    ansible_roles_path: str = setting(
        "", env="ANSIBLE_ROLES_PATH", section="Ansible", help="Folders to search for roles, separated by colons."
    )
    ansible_collections_path: str = setting(
        "",
        env="ANSIBLE_COLLECTIONS_PATH",
        section="Ansible",
        describe_default="/usr/share/ansible/collections:~/.ansible/collections",
        help="Folders to search for collections, separated by colons.",
    )
    ansible_args: str = setting(
        "",
        env="OPERATOR_ANSIBLE_ARGS",
        section="Ansible",
        help="Additional arguments for ansible-playbook, e.g. --vault-password-file.",
    )
    ansible_log_events: str = setting(
        "tasks",
        env="OPERATOR_ANSIBLE_LOG_EVENTS",
        parse=_one_of("tasks", "everything", "nothing"),
        section="Ansible",
        help="Accepted for compatibility: a pass is one log line, the play's own output is in its artifacts folder.",
    )
    inject_owner_ref: bool = setting(
        "true",
        env="OPERATOR_INJECT_OWNER_REF",
        parse=_boolean,
        section="Ansible",
        help="Accepted for compatibility and without effect: there is no proxy, roles set ownerReferences themselves.",
    )

    leader_elect: bool = setting(
        "false",
        env="OPERATOR_LEADER_ELECT",
        parse=_boolean,
        aliases=("enable-leader-election",),
        section="Leader election",
        help="Let only one of several operators work; the others stand by.",
    )
    leader_election_id: str = setting(
        "immich-operator",
        env="OPERATOR_LEADER_ELECTION_ID",
        section="Leader election",
        help="Name of the Lease that operators of one installation share.",
    )
    leader_election_namespace: str = setting(
        "",
        env="OPERATOR_LEADER_ELECTION_NAMESPACE",
        section="Leader election",
        describe_default="the pod's",
        help="Namespace of the Lease.",
    )
    leader_elect_lease_duration: float = setting(
        "15s",
        env="OPERATOR_LEASE_DURATION",
        parse=durations.parse,
        section="Leader election",
        help="A silent leader is replaced after this time, at most 1h.",
    )
    leader_elect_renew_deadline: float = setting(
        "10s",
        env="OPERATOR_LEASE_RENEW_DEADLINE",
        parse=durations.parse,
        section="Leader election",
        help="A leader that cannot renew for this long stops.",
    )
    leader_elect_retry_period: float = setting(
        "2s",
        env="OPERATOR_LEASE_RETRY_PERIOD",
        parse=durations.parse,
        section="Leader election",
        help="Time between two attempts to get or renew the Lease.",
    )

    metrics_bind_address: tuple[str, int] | None = setting(
        ":8443",
        env="OPERATOR_METRICS_BIND_ADDRESS",
        parse=_address,
        aliases=("metrics-addr",),
        section="Observation",
        help="Where /metrics is served, as plain HTTP; 0 for nowhere.",
    )
    metrics_secure: bool = setting(
        "false",
        env="OPERATOR_METRICS_SECURE",
        parse=_only_false("metrics are served as plain HTTP; put a proxy that speaks TLS in front of them"),
        section="Observation",
        help="Accepted for compatibility; true is refused, because /metrics is plain HTTP.",
    )
    metrics_require_rbac: bool = setting(
        "false",
        env="OPERATOR_METRICS_REQUIRE_RBAC",
        parse=_only_false("anyone who can reach /metrics can read it; keep others out with a NetworkPolicy or a proxy"),
        section="Observation",
        help="Accepted for compatibility; true is refused, because /metrics has no authentication.",
    )
    health_probe_bind_address: tuple[str, int] | None = setting(
        ":6789",
        env="OPERATOR_HEALTH_PROBE_BIND_ADDRESS",
        parse=_address,
        section="Observation",
        help="Where /healthz and /readyz are served; 0 for nowhere.",
    )
    log_level: str = setting(
        "info",
        env="OPERATOR_LOG_LEVEL",
        parse=_one_of("debug", "info", "warning", "error", warn="warning"),
        aliases=("zap-log-level",),
        section="Observation",
        help="debug, info, warning or error.",
    )
    log_format: str = setting(
        "auto",
        env="OPERATOR_LOG_FORMAT",
        parse=_one_of("auto", "text", "json", console="text"),
        aliases=("zap-encoder",),
        section="Observation",
        help="text, json, or auto: text on a terminal, else JSON.",
    )

    @property
    def workers(self) -> int:
        """The number of plays that may run at a time."""
        return self.max_concurrent_reconciles or min(MAX_DEFAULT_WORKERS, usable_cpus())


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """A flag per setting, in groups; absent flags are not in the namespace."""
    for name in WITHOUT_EFFECT:
        parser.add_argument(f"--{name}", dest=name, nargs="?", default=argparse.SUPPRESS, help=argparse.SUPPRESS)
    groups: dict[str, argparse._ArgumentGroup] = {}
    for item in dataclasses.fields(Settings):
        meta = item.metadata
        group = groups.setdefault(meta["section"], parser.add_argument_group(meta["section"]))
        boolean = item.type == "bool"
        group.add_argument(
            *(f"--{name}" for name in (flag_of(item.name), *meta["aliases"])),
            dest=item.name,
            default=argparse.SUPPRESS,
            metavar="true|false" if boolean else "VALUE",
            help=f"{meta['help']} (default: {meta['describe_default']}; env {meta['env']})".replace("%", "%%"),
            nargs="?" if boolean else None,
            const="true" if boolean else None,
        )


def is_given(arguments: argparse.Namespace, environ: Mapping[str, str], name: str) -> bool:
    """Whether a flag or variable sets it, so that the default does not apply."""
    [item] = [item for item in dataclasses.fields(Settings) if item.name == name]
    return hasattr(arguments, name) or bool(environ.get(item.metadata["env"]))


def without_effect(arguments: argparse.Namespace) -> list[str]:
    """The given flags that have no effect here."""
    return [f"--{name}" for name in WITHOUT_EFFECT if hasattr(arguments, name)]


def resolve(arguments: argparse.Namespace, environ: Mapping[str, str]) -> Settings:
    """Flags, then environment, then defaults.

    Raises:
        SettingsError: naming the flag or variable with a value that cannot be used.
    """
    values: dict[str, Any] = {}
    for item in dataclasses.fields(Settings):
        meta = item.metadata
        if hasattr(arguments, item.name):
            source, raw = f"--{flag_of(item.name)}", getattr(arguments, item.name)
        elif environ.get(meta["env"]):
            source, raw = meta["env"], environ[meta["env"]]
        else:
            continue
        try:
            values[item.name] = meta["parse"](raw)
        except ValueError as exc:
            raise SettingsError(f"{source}: {exc}") from exc
    return _checked(Settings(**values))


def flag_of(name: str) -> str:
    """The flag, without its dashes, of a field of `Settings`."""
    return {"watch_namespaces": "watch-namespace"}.get(name, name.replace("_", "-"))


def _checked(settings: Settings) -> Settings:
    lease, renew, retry = (
        settings.leader_elect_lease_duration,
        settings.leader_elect_renew_deadline,
        settings.leader_elect_retry_period,
    )
    # the order that client-go insists on; 1.2 is its jitter of the retry period
    if settings.leader_elect and not lease > renew > retry * 1.2 > 0:
        raise SettingsError(
            "leader election needs lease duration > renew deadline > 1.2 x retry period > 0; "
            f"given are {durations.text(lease)}, {durations.text(renew)}, {durations.text(retry)}"
        )
    if settings.leader_elect and lease > LONGEST_LEASE_S:
        raise SettingsError(
            f"--leader-elect-lease-duration must not be longer than {durations.text(LONGEST_LEASE_S)}, after which other "
            f"operators take a silent leader's place; given is {durations.text(lease)}"
        )
    if settings.settle_time > settings.settle_time_max:
        raise SettingsError("--settle-time must not be longer than --settle-time-max")
    if not settings.play_timeout:
        raise SettingsError("--play-timeout must be longer than 0s, or no play could ever finish")
    return settings
