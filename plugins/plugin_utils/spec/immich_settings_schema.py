# SPDX-License-Identifier: Apache-2.0
"""The settings that Immich's config file may hold, and what Immich accepts for each.

Source: Immich v3.1.0, `server/src/dtos/system-config.dto.ts`, `server/src/dtos/model-config.dto.ts` and
`server/src/enum.ts`; `oauth.accountManagementUrl` from v3.2, `server/src/dtos/config.dto.ts`, the only difference between
the types of the npm packages @immich/sdk 3.1.0 and 3.2.2. Release notes and reports on each commit up to 3.3.1 tell of no
other key and no other rule. The table holds what is checked when the file is read, not what only fails later in a job.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import TypeAlias

Release: TypeAlias = tuple[int, int]
"""Major and minor version of Immich."""

VERIFIED_RELEASES: frozenset[Release] = frozenset({(3, 1), (3, 2), (3, 3)})
"""Releases that are known to check the file like this. Another one may accept what these refuse."""
NEWEST_RELEASE = max(VERIFIED_RELEASES)

SINCE: Mapping[str, Release] = MappingProxyType({"oauth.accountManagementUrl": (3, 2)})
"""Settings that not all of these releases know -> the first one that does. Before that, Immich ignores them."""


def listed(options: Iterable[object]) -> str:
    """The options as a phrase: `a, b or c`."""
    *others, last = (str(option) for option in options)
    return f"{', '.join(others)} or {last}" if others else last


@dataclass(frozen=True, slots=True, kw_only=True)
class Text:
    """Any text. `secret`: no message may quote it. `filled`: the name of something, so never empty."""

    secret: bool = False
    filled: bool = False

    @property
    def takes(self) -> str:
        return "a name" if self.filled else "text"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flag:
    """True or false; unless `strict`, the strings "true" and "false" count as well."""

    strict: bool = False

    @property
    def takes(self) -> str:
        return "true or false"


@dataclass(frozen=True, slots=True, kw_only=True)
class Number:
    """A number within bounds (both included).

    `loose`: Immich runs JavaScript's `Number()` on the value first, so numeric strings, booleans and null count as well.
    """

    least: float | None = None
    most: float | None = None
    whole: bool = False
    loose: bool = False
    nullable: bool = False

    @property
    def takes(self) -> str:
        noun = "a whole number" if self.whole else "a number"
        if self.least is not None and self.most is not None:
            noun = f"{noun} from {self.least:g} to {self.most:g}"
        elif self.least is not None:
            noun = f"{noun}, {self.least:g} or more"
        return f"{noun} (or null)" if self.nullable else noun


@dataclass(frozen=True, slots=True)
class Choice:
    """One of a closed set of strings or numbers."""

    options: tuple[str | int, ...]

    @property
    def takes(self) -> str:
        return listed(self.options)


@dataclass(frozen=True, slots=True, kw_only=True)
class Items:
    """A list of one kind of value; `filled`: never an empty one."""

    each: Text | Choice
    filled: bool = False

    @property
    def takes(self) -> str:
        each = self.each.takes if isinstance(self.each, Choice) else "strings"
        return f"a list of {'one or more ' if self.filled else ''}{each}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Url:
    """A URL, or the empty string if `optional`. `web`: only http and https make sense, though Immich accepts others."""

    optional: bool = False
    web: bool = True

    @property
    def takes(self) -> str:
        return "a URL or an empty string" if self.optional else "a URL"


@dataclass(frozen=True, slots=True)
class Cron:
    """A cron expression as Immich's scheduler reads it."""

    @property
    def takes(self) -> str:
        return "a cron expression of 5 or 6 fields"


@dataclass(frozen=True, slots=True)
class TimeOfDay:
    """Hours and minutes, 00:00 to 23:59."""

    @property
    def takes(self) -> str:
        return "a time as HH:MM"


Kind = Text | Flag | Number | Choice | Items | Url | Cron | TimeOfDay

_text = Text()
_secret = Text(secret=True)
_flag = Flag()
_strict_flag = Flag(strict=True)
_cron = Cron()
_url_or_empty = Url(optional=True)
_map_style = Url(web=False)
_image_format = Choice(("jpeg", "webp"))
_video_codec = Choice(("h264", "hevc", "vp9", "av1"))
_audio_codec = Choice(("mp3", "aac", "opus", "pcm_s16le"))
_score = Number(least=0.1, most=1)


def _whole(least: int | None = None, most: int | None = None) -> Number:
    return Number(least=least, most=most, whole=True)


def _loose(least: int, most: int | None = None) -> Number:
    return Number(least=least, most=most, whole=True, loose=True)


IMMICH_SETTINGS: Mapping[str, Kind] = MappingProxyType(
    {
        "backup.database.enabled": _flag,
        "backup.database.cronExpression": _cron,
        "backup.database.keepLastAmount": _whole(1),
        "ffmpeg.crf": _loose(0, 51),
        "ffmpeg.threads": _loose(0),
        "ffmpeg.preset": _text,
        "ffmpeg.targetVideoCodec": _video_codec,
        "ffmpeg.acceptedVideoCodecs": Items(each=_video_codec),
        "ffmpeg.targetAudioCodec": _audio_codec,
        "ffmpeg.acceptedAudioCodecs": Items(each=_audio_codec),
        "ffmpeg.acceptedContainers": Items(each=Choice(("mov", "mp4", "ogg", "webm"))),
        "ffmpeg.targetResolution": _text,
        "ffmpeg.maxBitrate": _text,
        "ffmpeg.bframes": _loose(-1, 16),
        "ffmpeg.refs": _loose(0, 6),
        "ffmpeg.gopSize": _loose(0),
        "ffmpeg.temporalAQ": _flag,
        "ffmpeg.cqMode": Choice(("auto", "cqp", "icq")),
        "ffmpeg.twoPass": _flag,
        "ffmpeg.preferredHwDevice": _text,
        "ffmpeg.transcode": Choice(("all", "optimal", "bitrate", "required", "disabled")),
        "ffmpeg.tonemap": Choice(("hable", "mobius", "reinhard", "disabled")),
        "ffmpeg.accel": Choice(("nvenc", "qsv", "vaapi", "rkmpp", "disabled")),
        "ffmpeg.accelDecode": _flag,
        "ffmpeg.realtime.enabled": _flag,
        "ffmpeg.realtime.videoCodecs": Items(each=_video_codec),
        "ffmpeg.realtime.resolutions": Items(each=Choice((480, 720, 1080, 1440, 2160))),
        "image.thumbnail.format": _image_format,
        "image.thumbnail.size": _whole(1),
        "image.thumbnail.quality": _whole(1, 100),
        "image.thumbnail.progressive": _flag,
        "image.preview.format": _image_format,
        "image.preview.size": _whole(1),
        "image.preview.quality": _whole(1, 100),
        "image.preview.progressive": _flag,
        "image.fullsize.enabled": _flag,
        "image.fullsize.format": _image_format,
        "image.fullsize.quality": _whole(1, 100),
        "image.fullsize.progressive": _flag,
        "image.colorspace": Choice(("srgb", "p3")),
        "image.extractEmbedded": _flag,
        "integrityChecks.missingFiles.enabled": _strict_flag,
        "integrityChecks.missingFiles.cronExpression": _cron,
        "integrityChecks.untrackedFiles.enabled": _strict_flag,
        "integrityChecks.untrackedFiles.cronExpression": _cron,
        "integrityChecks.checksumFiles.enabled": _strict_flag,
        "integrityChecks.checksumFiles.cronExpression": _cron,
        "integrityChecks.checksumFiles.timeLimit": _whole(0),
        "integrityChecks.checksumFiles.percentageLimit": Number(least=0, most=1),
        "job.thumbnailGeneration.concurrency": _whole(1),
        "job.metadataExtraction.concurrency": _whole(1),
        "job.videoConversion.concurrency": _whole(1),
        "job.faceDetection.concurrency": _whole(1),
        "job.smartSearch.concurrency": _whole(1),
        "job.backgroundTask.concurrency": _whole(1),
        "job.migration.concurrency": _whole(1),
        "job.search.concurrency": _whole(1),
        "job.sidecar.concurrency": _whole(1),
        "job.library.concurrency": _whole(1),
        "job.notifications.concurrency": _whole(1),
        "job.ocr.concurrency": _whole(1),
        "job.workflow.concurrency": _whole(1),
        "job.editor.concurrency": _whole(1),
        "job.integrityCheck.concurrency": _whole(1),
        "library.scan.enabled": _flag,
        "library.scan.cronExpression": _cron,
        "library.watch.enabled": _flag,
        "logging.enabled": _flag,
        "logging.level": Choice(("verbose", "debug", "log", "warn", "error", "fatal")),
        "machineLearning.enabled": _flag,
        "machineLearning.urls": Items(each=_text, filled=True),
        "machineLearning.availabilityChecks.enabled": _flag,
        "machineLearning.availabilityChecks.timeout": _whole(),
        "machineLearning.availabilityChecks.interval": _whole(),
        "machineLearning.clip.enabled": _strict_flag,
        "machineLearning.clip.modelName": _text,
        "machineLearning.duplicateDetection.enabled": _strict_flag,
        "machineLearning.duplicateDetection.maxDistance": Number(least=0.001, most=0.1),
        "machineLearning.facialRecognition.enabled": _strict_flag,
        "machineLearning.facialRecognition.modelName": _text,
        "machineLearning.facialRecognition.minScore": _score,
        "machineLearning.facialRecognition.maxDistance": Number(least=0.1, most=2),
        "machineLearning.facialRecognition.minFaces": _whole(1),
        "machineLearning.ocr.enabled": _strict_flag,
        "machineLearning.ocr.modelName": _text,
        "machineLearning.ocr.minDetectionScore": _score,
        "machineLearning.ocr.minRecognitionScore": _score,
        "machineLearning.ocr.maxResolution": _whole(1),
        "map.enabled": _flag,
        "map.lightStyle": _map_style,
        "map.darkStyle": _map_style,
        "metadata.faces.import": _flag,
        "newVersionCheck.enabled": _flag,
        "newVersionCheck.channel": Choice(("stable", "releaseCandidate")),
        "nightlyTasks.startTime": TimeOfDay(),
        "nightlyTasks.databaseCleanup": _flag,
        "nightlyTasks.missingThumbnails": _flag,
        "nightlyTasks.clusterNewFaces": _flag,
        "nightlyTasks.generateMemories": _flag,
        "nightlyTasks.syncQuotaUsage": _flag,
        "notifications.smtp.enabled": _flag,
        "notifications.smtp.from": _text,
        "notifications.smtp.replyTo": _text,
        "notifications.smtp.transport.ignoreCert": _flag,
        "notifications.smtp.transport.host": _text,
        "notifications.smtp.transport.port": _whole(0, 65535),
        "notifications.smtp.transport.secure": _flag,
        "notifications.smtp.transport.username": _secret,
        "notifications.smtp.transport.password": _secret,
        "oauth.enabled": _flag,
        "oauth.autoLaunch": _flag,
        "oauth.autoRegister": _flag,
        "oauth.buttonText": _text,
        "oauth.clientId": _secret,
        "oauth.clientSecret": _secret,
        "oauth.issuerUrl": _url_or_empty,
        "oauth.endSessionEndpoint": _url_or_empty,
        "oauth.accountManagementUrl": _url_or_empty,
        "oauth.scope": _text,
        "oauth.prompt": _text,
        "oauth.signingAlgorithm": _text,
        "oauth.profileSigningAlgorithm": _text,
        "oauth.tokenEndpointAuthMethod": Choice(("client_secret_post", "client_secret_basic")),
        "oauth.timeout": _whole(1),
        "oauth.allowInsecureRequests": _flag,
        "oauth.defaultStorageQuota": Number(least=0, whole=True, nullable=True),
        "oauth.storageLabelClaim": _text,
        "oauth.storageQuotaClaim": _text,
        "oauth.roleClaim": _text,
        "oauth.mobileOverrideEnabled": _flag,
        "oauth.mobileRedirectUri": _text,
        "passwordLogin.enabled": _flag,
        "reverseGeocoding.enabled": _flag,
        "server.externalDomain": _url_or_empty,
        "server.loginPageMessage": _text,
        "server.publicUsers": _flag,
        "storageTemplate.enabled": _flag,
        "storageTemplate.hashVerificationEnabled": _flag,
        "storageTemplate.template": _text,
        "templates.email.welcomeTemplate": _text,
        "templates.email.albumInviteTemplate": _text,
        "templates.email.albumUpdateTemplate": _text,
        "theme.customCss": _text,
        "trash.enabled": _flag,
        "trash.days": _whole(0),
        "user.deleteDelay": _whole(1),
    }
)

_reference_part = Text(secret=True, filled=True)

OPERATOR_SETTINGS: Mapping[str, Kind] = MappingProxyType(
    {
        "machineLearning.url": _text,
        "notifications.smtp.transport.passwordSecretRef.name": _reference_part,
        "notifications.smtp.transport.passwordSecretRef.key": _reference_part,
        "oauth.clientSecretRef.name": _reference_part,
        "oauth.clientSecretRef.key": _reference_part,
    }
)
"""Keys in addition to Immich's own that the operator resolves before the file is written; Immich never sees them."""

SECRET_REFERENCES: Mapping[str, str] = MappingProxyType(
    {
        "notifications.smtp.transport.password": "notifications.smtp.transport.passwordSecretRef",
        "oauth.clientSecret": "oauth.clientSecretRef",
    }
)
"""Settings that are secrets -> the reference that replaces them."""

ENCODERS: Mapping[str, tuple[str, ...]] = MappingProxyType(
    {
        "nvenc": ("h264", "hevc", "av1"),
        "qsv": ("h264", "hevc", "vp9", "av1"),
        "vaapi": ("h264", "hevc", "vp9", "av1"),
        "rkmpp": ("h264", "hevc"),
    }
)
"""`ffmpeg.accel` -> values of `ffmpeg.targetVideoCodec` it can encode (Immich v3.1.0, `server/src/constants.ts`)."""
