# SPDX-License-Identifier: Apache-2.0
"""Admission of volumes, database, Valkey and machine learning."""

from __future__ import annotations

from tests.unit.plugin_utils.spec import admission_case as say
from tests.unit.plugin_utils.spec.admission_case import EXTERNAL_DATABASE, PASSWORD, accepted, library, refused

VOLUMES = [
    accepted("library-of-100Gi", library(size="100Gi")),
    accepted("library-size-as-bytes", library(size=10737418240)),
    accepted("library-size-zero-as-unset", library(size="0")),
    accepted("library-with-empty-optional-fields", library(existingClaim="", storageClass="", accessModes=[])),
    accepted("library-for-several-pods", library(size="1.5Ti", accessModes=["ReadWriteMany"])),
    accepted("library-claim-of-the-user", library(existingClaim="nas")),
    accepted("library-claim-with-dots", library(existingClaim="nas.family-2.0")),
    refused(
        "library-claim-above",
        library(existingClaim=".."),
        ("spec.immich.persistence.library.existingClaim", say.MALFORMED),
    ),
    refused(
        "library-claim-elsewhere",
        library(existingClaim="a/b"),
        ("spec.immich.persistence.library.existingClaim", say.MALFORMED),
    ),
    *(
        refused(
            f"storage-class-{what}",
            library(storageClass=name),
            ("spec.immich.persistence.library.storageClass", say.MALFORMED),
        )
        for what, name in (
            ("escape", "a\x1b[2J"),
            ("two-lines", "a\nb"),
            ("above", ".."),
            ("blank", "a b"),
            ("capital", "Fast"),
        )
    ),
    *(
        refused(f"image-of-{component}-{what}", {component: {"image": image}}, (f"spec.{component}.image", say.IMAGE))
        for component in ("server", "machineLearning", "valkey", "postgres")
        for what, image in (
            ("escape", "a\x1b[2J"),
            ("two-lines", "a\nb"),
            ("turned-around", "a\u202eb"),
            ("quote", 'a","x":"'),
            ("command", "a$(id)"),
        )
    ),
    *(accepted(f"storage-class-{name}", library(storageClass=name)) for name in ("fast", "csi.example.com", "a-1", "")),
    refused("library-size-with-space", library(size="100 Gi"), ("spec.immich.persistence.library.size", say.QUANTITY)),
    refused("library-size-in-GB", library(size="100GB"), ("spec.immich.persistence.library.size", say.QUANTITY)),
    refused("library-size-negative", library(size="-1Gi"), ("spec.immich.persistence.library.size", say.QUANTITY)),
    refused("library-size-empty", library(size=""), ("spec.immich.persistence.library.size", say.QUANTITY)),
    refused(
        "library-mode-unknown",
        library(accessModes=["RWX"]),
        ("spec.immich.persistence.library.accessModes[0]", say.WRONG_CHOICE),
    ),
    refused(
        "library-modes-as-text",
        library(accessModes="ReadWriteOnce"),
        ("spec.immich.persistence.library.accessModes", say.WRONG_TYPE),
    ),
    refused(
        "library-class-misspelt",
        library(storageClassName="fast"),
        ("spec.immich.persistence.library.storageClassName", "unknown field"),
    ),
    accepted("cache-without-volume", {"machineLearning": {"persistence": {"enabled": False}}}),
    accepted(
        "persistent-valkey", {"valkey": {"persistence": {"enabled": True, "size": "1Gi", "storageClass": "fast"}}}
    ),
    refused(
        "database-has-no-volume-switch",
        {"postgres": {"persistence": {"enabled": False}}},
        ("spec.postgres.persistence.enabled", "unknown field"),
    ),
    refused(
        "database-size-malformed",
        {"postgres": {"persistence": {"size": "ten"}}},
        ("spec.postgres.persistence.size", say.QUANTITY),
    ),
]

DATABASE = [
    accepted(
        "database-settings",
        {"postgres": {"storageType": "HDD", "parameters": {"shared_buffers": "1GB", "a.b": "$(X) '"}}},
    ),
    refused(
        "database-elsewhere",
        {"postgres": {"parameters": {"data_directory": "/x"}}},
        ("spec.postgres.parameters", say.PARAMETER_OF_OURS),
    ),
    refused(
        "database-without-vchord",
        {"postgres": {"parameters": {"shared_preload_libraries": "pg_stat_statements"}}},
        ("spec.postgres.parameters", say.NO_VCHORD),
    ),
    accepted(
        "database-with-more-than-vchord",
        {"postgres": {"parameters": {"shared_preload_libraries": "vchord.so,pg_stat_statements"}}},
    ),
    refused(
        "database-setting-as-number",
        {"postgres": {"parameters": {"work_mem": 5}}},
        ("spec.postgres.parameters.work_mem", say.WRONG_TYPE),
    ),
    refused("database-on-tape", {"postgres": {"storageType": "tape"}}, ("spec.postgres.storageType", say.WRONG_CHOICE)),
    accepted("own-password-for-the-built-in-database", {"postgres": {"passwordSecretRef": PASSWORD}}),
    accepted(
        "external-database-by-parts", {"postgres": EXTERNAL_DATABASE | {"port": 6432, "database": "p", "username": "u"}}
    ),
    accepted(
        "external-database-by-url", {"postgres": {"enabled": False, "urlSecretRef": {"name": "db", "key": "url"}}}
    ),
    *(
        refused(
            f"external-database-at-a-host-with-{what}",
            {"postgres": EXTERNAL_DATABASE | {"host": host}},
            ("spec.postgres.host", say.NO_HOST["postgres"]),
        )
        for what, host in (
            ("scheme", "postgresql://db.example.com"),
            ("port", "db.example.com:5432"),
            ("port-of-IPv6", "[fd00::1]:5432"),
            ("path", "db.example.com/immich"),
            ("user", "immich@db.example.com"),
            ("blank", "db.example.com "),
            ("line-break", "db.example.com\n"),
            ("escape", "db\x1b[2J"),
            ("null", "db\0"),
            ("brackets", "[fd00::1]"),
            ("wildcard", "*.example.com"),
            ("umlaut", "b\u00fccher.example"),
            ("two-names", "db1,db2"),
            ("long-part", "d" * 64 + ".example.com"),
            ("empty-part", "db..example.com"),
            ("template", "$(HOST)"),
        )
    ),
    *(
        refused(f"library-size-{size!r}", library(size=size), ("spec.immich.persistence.library.size", say.QUANTITY))
        for size in ("10G ", "1,5Gi", "10gb", "10Gi\n", "ten", "1e4000")
    ),
    *(accepted(f"library-size-{size!r}", library(size=size)) for size in ("1e3", "+1Gi", ".5Gi", "5.", "1E")),
    *(
        accepted(f"external-database-at-{host}", {"postgres": EXTERNAL_DATABASE | {"host": host}})
        for host in ("DB.Example.com", "xn--bcher-kva.example", "fe80::1%eth0", "d" * 63)
    ),
    *(
        refused(
            f"external-valkey-at-a-host-with-{what}",
            {"valkey": {"enabled": False, "host": host}},
            ("spec.valkey.host", say.NO_HOST["valkey"]),
        )
        for what, host in (("scheme", "rediss://queues"),)
    ),
    *(
        refused(
            f"{field}-that-is-{what}",
            {"postgres": base | {field: text}},
            (f"spec.postgres.{field}", say.NO_NAME[field]),
        )
        for field in ("database", "username")
        for what, base, text in (
            ("a-connection-string", {}, "host=evil.example port=5432"),
            ("one-with-a-name", {}, "immich host=evil.example"),
            ("a-url", {}, "postgresql://evil.example/immich"),
            ("a-short-url", {}, "postgres://evil.example"),
            ("a-connection-string-elsewhere", EXTERNAL_DATABASE, "dbname=x sslmode=disable"),
            ("of-two-lines", {}, "a\nb"),
            ("an-escape", {}, "a\x1bb"),
        )
    ),
    *(
        accepted(f"database-called-{name}", {"postgres": {"database": name, "username": name}})
        for name in ("immich", "Photos of us", "größe", "a-b.c", "a/b:c", "xpostgres://y", "")
    ),
    *(
        accepted(f"external-database-at-{host}", {"postgres": EXTERNAL_DATABASE | {"host": host}})
        for host in ("db", "db.example.com.", "192.0.2.1", "fd00::1", "pg_rw.database")
    ),
    accepted("host-of-the-other-operator-beside-a-built-in-database", {"postgres": {"host": "db:5432"}}),
    accepted(
        "host-beside-a-url",
        {"postgres": {"enabled": False, "host": "db:5432", "urlSecretRef": {"name": "db", "key": "url"}}},
    ),
    refused(
        "external-valkey-at-a-host-with-port",
        {"valkey": {"enabled": False, "host": "dragonfly.database:6379"}},
        ("spec.valkey.host", say.NO_HOST["valkey"]),
    ),
    refused(
        "external-database-without-anything",
        {"postgres": {"enabled": False}},
        ("spec.postgres.host", say.DATABASE_HOST),
        ("spec.postgres.passwordSecretRef", say.DATABASE_PASSWORD),
    ),
    refused(
        "external-database-without-host",
        {"postgres": {"enabled": False, "passwordSecretRef": PASSWORD}},
        ("spec.postgres.host", say.DATABASE_HOST),
    ),
    refused(
        "external-database-with-empty-host",
        {"postgres": EXTERNAL_DATABASE | {"host": ""}},
        ("spec.postgres.host", say.DATABASE_HOST),
    ),
    refused(
        "external-database-without-password",
        {"postgres": {"enabled": False, "host": "db"}},
        ("spec.postgres.passwordSecretRef", say.DATABASE_PASSWORD),
    ),
    accepted("database-port-zero-as-unset", {"postgres": {"port": 0}}),
    refused("database-port-negative", {"postgres": {"port": -1}}, ("spec.postgres.port", "greater than or equal to 0")),
    refused(
        "database-port-too-large",
        {"postgres": EXTERNAL_DATABASE | {"port": 65536}},
        ("spec.postgres.port", "less than or equal to 65535"),
    ),
    refused("database-port-as-text", {"postgres": {"port": "5432"}}, ("spec.postgres.port", say.WRONG_TYPE)),
    refused(
        "password-secret-without-key",
        {"postgres": {"passwordSecretRef": {"name": "db"}}},
        ("spec.postgres.passwordSecretRef.key", "Required value"),
    ),
    refused(
        "password-secret-with-empty-name",
        {"postgres": {"passwordSecretRef": {"name": "", "key": "k"}}},
        ("spec.postgres.passwordSecretRef.name", "at least 1 char"),
    ),
    refused(
        "password-secret-as-text",
        {"postgres": {"passwordSecretRef": "db"}},
        ("spec.postgres.passwordSecretRef", say.WRONG_TYPE),
    ),
    refused(
        "url-secret-without-name",
        {"postgres": {"enabled": False, "urlSecretRef": {"key": "url"}}},
        ("spec.postgres.urlSecretRef.name", "Required value"),
    ),
]

VALKEY = [
    accepted(
        "external-valkey", {"valkey": {"enabled": False, "host": "cache", "dbIndex": 15, "passwordSecretRef": PASSWORD}}
    ),
    accepted(
        "external-valkey-behind-sentinels",
        {"valkey": {"enabled": False, "sentinel": {"masterName": "mymaster", "hosts": [{"host": "sentinel-0"}]}}},
    ),
    refused(
        "sentinels-without-a-host",
        {"valkey": {"enabled": False, "sentinel": {"masterName": "mymaster", "hosts": []}}},
        (
            "spec.valkey.sentinel.hosts",
            "sentinels are found at their hosts. Give at least one in spec.valkey.sentinel.hosts",
        ),
    ),
    refused(
        "sentinel-with-a-url",
        {"valkey": {"enabled": False, "sentinel": {"masterName": "m", "hosts": [{"host": "redis://a"}]}}},
        ("spec.valkey.sentinel.hosts[0].host", say.MALFORMED),
    ),
    accepted("external-valkey-with-plain-password", {"valkey": {"enabled": False, "host": "cache", "password": "x"}}),
    refused("external-valkey-without-host", {"valkey": {"enabled": False}}, ("spec.valkey.host", say.VALKEY_HOST)),
    refused(
        "external-valkey-with-empty-host",
        {"valkey": {"enabled": False, "host": ""}},
        ("spec.valkey.host", say.VALKEY_HOST),
    ),
    refused("db-index-too-large", {"valkey": {"dbIndex": 16}}, ("spec.valkey.dbIndex", "less than or equal to 15")),
    refused("db-index-negative", {"valkey": {"dbIndex": -1}}, ("spec.valkey.dbIndex", "greater than or equal to 0")),
    refused("valkey-port-too-large", {"valkey": {"port": 70000}}, ("spec.valkey.port", "less than or equal to 65535")),
    refused("valkey-password-as-number", {"valkey": {"password": 1234}}, ("spec.valkey.password", say.WRONG_TYPE)),
    accepted("no-machine-learning", {"machineLearning": {"enabled": False}}),
    accepted("external-machine-learning", {"machineLearning": {"enabled": False, "url": "http://ml:3003"}}),
    refused(
        "machine-learning-url-as-list",
        {"machineLearning": {"url": ["http://ml:3003"]}},
        ("spec.machineLearning.url", say.WRONG_TYPE),
    ),
]
