"""Every setting of the service, read from `ATTRIBUTION_*` variables and a file beside them.

No other module reads either.

It imports nothing heavy, so that commands which only need settings start at once.
"""

from __future__ import annotations

import difflib
import hashlib
import ipaddress
import os
import re
from pathlib import Path
from typing import Literal, Self
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, field_validator, model_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource

from app.addresses import clean_prefix
from app.settings.file import SettingsFile, settings_file
from app.settings.limits import PREFIX
from app.settings.paths import at_home
from app.settings.webhooks import WebhookSettings
from attribution.opening.place import EngineSetting, engines_in, snapshots_in

# What Kubernetes puts into every pod beside a service named `attribution` or `attribution-web`.
_LINK = re.compile(r"(SERVICE_HOST|SERVICE_PORT(_\w+)?|PORT(_\d+_(TCP|UDP|SCTP)(_\w+)?)?)")
_LINKED_ADDRESS = re.compile(r"(tcp|udp|sctp)://")

Guarantee = Literal["average", "background"]
LogLevel = Literal["debug", "info", "warning", "error", "critical"]
LogFormat = Literal["text", "json"]
Role = Literal["all", "indexer", "api", "worker"]


class Settings(WebhookSettings):
    """The service's settings; `docs/settings.md` is their reference.

    A variable that is empty counts as unset, and `~` in front of a path is the home folder.

    A variable with the prefix that names no setting is refused rather than ignored: a misspelt
    limit that silently keeps its default is worse than a service that does not start.
    """

    config: Path | None = Field(
        default=None,
        description="TOML file with settings, for those that no variable sets; unset: "
        "`attribution.toml` in the data folder, if there is one.",
    )
    data: Path = Field(
        default=Path("var"), description="Folder of the catalog, the previews and the snapshots."
    )
    database_url: str | None = Field(
        default=None,
        repr=False,  # a password may be in it
        description="SQLAlchemy URL of the catalog; unset: an SQLite file in the data folder.",
    )

    index_url: str | None = Field(
        default=None,
        repr=False,  # a password may be in it
        description="Milvus that holds the vectors: `http://host:19530`, or the path of an "
        "embedded one that ends in `.db`, for trying it out; needs the extra `milvus`. Unset: an "
        "index in the service's own memory.",
    )

    role: Role = Field(
        default="all",
        description="What the process does: `all`; or, of several on one catalog with one Milvus, "
        "`indexer`, which writes the index and the null that the others read, `api`, which "
        "answers, or `worker`, which works on jobs.",
    )

    lease_seconds: float = Field(
        default=6.0,
        ge=1,
        le=600,
        description="How long after the death of a process, of several on one catalog, another "
        "takes over what it did: writing the index, or images of jobs.",
    )

    encoder: str = Field(
        default="bundled",
        description="Name of the encoder to load, in a catalog where `attribution reembed` has "
        "activated none.",
    )
    encoder_weights: Path | None = Field(
        default=None,
        description="File with the encoder's weights; unset: those bundled, cached or downloaded.",
    )
    device: str = Field(default="cpu", description="PyTorch device that runs the encoder.")
    engine: EngineSetting = Field(
        default="auto",
        description="What runs the encoder's network: `torch`; `onnx` for ONNX Runtime on what "
        "`attribution engine build` has exported; `auto` for whichever is faster here, by a short "
        "measurement at the start.",
    )
    inference_threads: int = Field(
        default=0,
        ge=0,
        le=1024,
        description="CPU threads that compute, of PyTorch, BLAS and FAISS alike; 0: as many as the "
        "cores that affinity and container quotas leave.",
    )
    decoding_threads: int = Field(
        default=2, ge=1, le=64, description="Images that are decoded at the same time."
    )

    host: str = Field(
        default="127.0.0.1",
        min_length=1,
        description="Address to listen on. Any but a loopback address needs keys.",
    )
    port: int = Field(default=8000, ge=0, le=65535, description="Port to listen on; 0 takes one.")
    root_path: str | None = Field(
        default=None,
        description="Prefix of the service's paths behind a proxy, such as `/images`, cut off by "
        "the proxy or not; unset: none. A trusted proxy may name another in `X-Forwarded-Prefix`.",
    )
    trusted_proxies: str | None = Field(
        default=None,
        description="Addresses and networks of proxies whose `X-Forwarded-*` headers are "
        "believed, separated by spaces or commas, or `*`; unset: those of `FORWARDED_ALLOW_IPS`, "
        "else this machine.",
    )
    cors_origins: str | None = Field(
        default=None,
        description="Origins whose pages may call, separated by spaces, such as "
        "`https://shop.example`; unset: none but the service's own.",
    )

    admin_key_file: Path | None = Field(
        default=None,
        description="File into which a start without any key writes a new admin key; unset: none "
        "is made.",
    )
    unguarded: bool = Field(
        default=False,
        description="Serve other machines although there are no keys: whoever reaches the port "
        "may query, add and delete.",
    )
    api_key: SecretStr | None = Field(
        default=None,
        description="API key that commands send to a running service where no `--key-file` is "
        "given.",
    )
    query_rate: int = Field(
        default=1200,
        ge=0,
        description="Requests a minute that one key may send under scope `query`; 0 for no limit.",
    )
    curate_rate: int = Field(
        default=1200,
        ge=0,
        description="Requests a minute that one key may send under scope `curate`; 0 for no limit.",
    )
    admin_rate: int = Field(
        default=120,
        ge=0,
        description="Requests a minute that one key may send under scope `admin`; 0 for no limit.",
    )

    alpha: float = Field(
        default=0.01,
        gt=0,
        le=0.5,
        description="Rate of false attributions that a query without its own `alpha` accepts.",
    )
    guarantee: Guarantee = Field(
        default="average",
        description="What `alpha` is promised of where a query names nothing: `average` over draws "
        "of the background, or, with 95 % confidence, the `background` that is there.",
    )
    generation_wait_seconds: float = Field(
        default=5.0,
        ge=0,
        le=60,
        description="How long a query waits for the index to reach its `min_generation`.",
    )

    signing_key: Path | None = Field(
        default=None,
        description="File with the Ed25519 private key that signs reports; unset: they are not "
        "signed.",
    )
    report_font: Path | None = Field(
        default=None,
        description="Font file for what the bundled font of PDF reports lacks, such as Chinese, "
        "Japanese and Korean.",
    )

    embedded_metadata: bool = Field(
        default=True,
        description="Take title, creator, licence, copyright and opt-outs of new sources from "
        "what the image says of itself (EXIF, IPTC, XMP) where nobody states them; needs the extra "
        "`metadata`, and without it nothing is taken.",
    )

    content_credentials: bool = Field(
        default=True,
        description="Read the C2PA manifest of a query, where it has one and the extra `c2pa` is "
        "installed. Nothing is fetched.",
    )

    follow_seconds: float = Field(
        default=0.5,
        gt=0,
        le=3600,
        description="How often the index looks for changes that other processes have written.",
    )
    snapshot_seconds: float = Field(
        default=300.0,
        gt=0,
        le=86_400,
        description="How often a changed index is saved, besides at every clean stop.",
    )
    log_level: LogLevel = Field(default="info", description="Least severe log level written.")
    log_format: LogFormat = Field(
        default="text", description="`text` for people, `json` for machines: one object a line."
    )
    tracing: bool = Field(
        default=False,
        description="Send OpenTelemetry spans of requests where the `OTEL_*` variables say; needs "
        "the extra `otel`.",
    )

    @field_validator(
        "config", "data", "encoder", "encoder_weights", "admin_key_file", "signing_key",
        "report_font",
        mode="before",
    )  # fmt: skip
    @classmethod
    def _at_home(cls, value: object) -> object:
        """No shell has expanded what stands in a unit file, a container's variables or quotes."""
        if not isinstance(value, str | Path) or not str(value).startswith("~"):
            return value
        return type(value)(at_home(str(value)))

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """What a caller gives, then the environment, then the file.

        Raises:
            SettingsFileUnusable: there is a file, and it cannot be used.
        """
        del dotenv_settings, file_secret_settings
        found = settings_file(init_settings(), cls.model_fields["data"].default)
        if found is None:
            return init_settings, env_settings
        path, in_data = found
        return init_settings, env_settings, SettingsFile(settings_cls, path, in_data=in_data)

    @field_validator("log_level", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @field_validator("port", mode="before")
    @classmethod
    def _not_a_service_link(cls, value: object) -> object:
        """Kubernetes sets the variable to an address for a service that is named like this one."""
        linked = isinstance(value, str) and _LINKED_ADDRESS.match(value)
        return cls.model_fields["port"].default if linked else value

    @field_validator("root_path")
    @classmethod
    def _prefix_is_a_path(cls, value: str | None) -> str | None:
        return clean_prefix(value or "") or None

    @field_validator("trusted_proxies")
    @classmethod
    def _proxies_are_addresses(cls, value: str | None) -> str | None:
        for proxy in _listed(value or ""):
            if proxy != "*":
                try:
                    ipaddress.ip_network(proxy)
                except ValueError as error:
                    raise ValueError(
                        f"{error}: write addresses or networks, such as 10.0.0.0/8, or *"
                    ) from None
        return value

    @field_validator("cors_origins")
    @classmethod
    def _origins_are_origins(cls, value: str | None) -> str | None:
        for origin in (value or "").split():
            parts = urlsplit(origin)
            whole = f"{parts.scheme}://{parts.netloc}"
            if parts.scheme not in ("http", "https") or not parts.hostname or origin != whole:
                raise ValueError(
                    f"{origin!r} is no origin: write scheme and host, such as https://shop.example"
                )
        return value

    @model_validator(mode="after")
    def _roles_share_an_index(self) -> Self:
        if self.role != "all" and self.index_url is None:
            raise ValueError(
                f"role {self.role} needs an index that several processes search: set index_url"
            )
        return self

    @model_validator(mode="after")
    def _no_unknown_variable(self) -> Settings:
        known = {PREFIX + name.upper() for name in type(self).model_fields}
        linked = _service_links()
        for name in sorted(os.environ):
            variable = name.upper()
            if variable.startswith(PREFIX) and variable not in known | linked:
                near = difflib.get_close_matches(variable, known, n=1)
                hint = f"did you mean {near[0]}?" if near else "docs/settings.md lists them all"
                raise ValueError(f"the environment sets {name}, which is no setting; {hint}")
        return self

    @property
    def file(self) -> Path | None:
        """The file that they were read from, beside the environment."""
        found = settings_file({"config": self.config, "data": self.data}, self.data)
        return None if found is None else found[0]

    @property
    def snapshots(self) -> Path:
        """Folder of the index's snapshots."""
        return snapshots_in(self.data)

    @property
    def engines(self) -> Path:
        """Folder of networks exported for ONNX Runtime."""
        return engines_in(self.data)

    @property
    def names_encoder(self) -> bool:
        """Whether somebody has set the encoder, rather than left it to the default."""
        return "encoder" in self.model_fields_set

    def with_encoder(self, name: str, weights: Path | None) -> Self:
        """The same with another encoder."""
        return self.model_copy(update={"encoder": name, "encoder_weights": weights})

    @property
    def proxies(self) -> tuple[str, ...]:
        """Whose word about a request is taken; `*` alone for everybody's."""
        named = self.trusted_proxies
        if named is None:  # the name that servers of this kind have for it
            named = os.environ.get("FORWARDED_ALLOW_IPS", "127.0.0.1,::1")
        listed = _listed(named)
        return ("*",) if "*" in listed else listed

    @property
    def answers_by(self) -> str:
        """Digest of the settings that decide what a query of the data folder is answered.

        Two processes on a folder with the same one give the same answers, as long as a question
        says how many sources and which alpha. Of files and folders the place counts, of the
        database everything but who opens it: the digest is for others to read.
        """
        weights = [] if self.encoder_weights is None else [str(self.encoder_weights)]
        places = [
            str(Path(name).resolve()) if name != "bundled" and Path(name).exists() else name
            for name in (self.encoder, *weights)
        ]
        database = re.sub(r"//[^?]*@", "//", self.database_url or "")
        database = re.sub(r"(?<=[?&])\w*(user|password)\w*=[^&]*", "", database)
        return hashlib.sha256(repr((places, database)).encode()).hexdigest()[:16]

    @property
    def allowed_origins(self) -> frozenset[str]:
        """Origins of other sites whose pages may call, in lower case."""
        return frozenset((self.cors_origins or "").lower().split())

    @property
    def local_only(self) -> bool:
        """Whether the service listens on loopback, where it can do without keys."""
        if self.host.lower() == "localhost":
            return True
        try:
            return ipaddress.ip_address(self.host).is_loopback
        except ValueError:
            return False


def _listed(text: str) -> tuple[str, ...]:
    """What commas or spaces separate."""
    return tuple(text.replace(",", " ").split())


def _service_links() -> set[str]:
    """Variables that Kubernetes has set for services whose names begin like this prefix.

    They come in sets, of which `..._SERVICE_HOST` and `..._SERVICE_PORT` are always part. One that
    stands alone is as suspect as any other variable that names no setting.
    """
    services = {
        name.removesuffix("_SERVICE_HOST")
        for name in os.environ
        if name.endswith("_SERVICE_HOST")
        and f"{name.removesuffix('_SERVICE_HOST')}_SERVICE_PORT" in os.environ
    }
    return {
        name
        for name in os.environ
        for service in services
        if name.startswith(f"{service}_") and _LINK.fullmatch(name.removeprefix(f"{service}_"))
    }
