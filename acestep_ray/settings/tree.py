"""Every setting of the service, in one tree.

Read from the environment (prefix ``ACESTEP_``, ``__`` between levels: ``ACESTEP_LIMITS__QUEUE``),
then from the ``args`` of a Serve config, then from the preset that these name, then from the
defaults below. The first source that has a setting wins. An unknown key is refused.
"""

import re
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    AfterValidator,
    BeforeValidator,
    Field,
    SecretStr,
    ValidationInfo,
    model_validator,
)
from pydantic.fields import FieldInfo
from pydantic_settings import (
    BaseSettings,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from acestep_ray.settings.dit import Dit
from acestep_ray.settings.engine_names import DecoderBackend, PlannerBackend
from acestep_ray.settings.group import Group
from acestep_ray.settings.limits import Limits
from acestep_ray.settings.lm import Lm
from acestep_ray.settings.observability import Logs, Tracing
from acestep_ray.settings.presets import PRESETS, PresetName
from acestep_ray.settings.scaling import Decoders, Planners, Scaling
from acestep_ray.settings.store_url import checked_store_url, on_one_node, only_password
from acestep_ray.settings.webhooks import Webhooks
from acestep_ray.settings.written_values import absolute, origins, paths, words


def _artifacts_url(url: str) -> str:
    if url and not re.fullmatch(r"file:///.+|(s3|gs|az)://[^/@?#]+(/[^?#]*)?", url):
        raise ValueError(
            "artifact storage is file:///FOLDER, s3://BUCKET, gs://BUCKET or az://CONTAINER, with "
            "/PREFIX if wanted; credentials come from the cloud's own environment variables"
        )
    return url


def _adapters_place(place: str) -> str:
    """A folder as an absolute path, or the URL of a bucket."""
    if not place or re.fullmatch(r"(s3|gs|az)://[^/@?#]+(/[^?#]*)?", place):
        return place
    if "://" in place and not place.startswith("file:///"):
        raise ValueError(
            "adapters are in a folder, or in s3://BUCKET, gs://BUCKET or az://CONTAINER, with "
            "/PREFIX if wanted; credentials come from the cloud's own environment variables"
        )
    return str(Path(place.removeprefix("file://")).expanduser().absolute())


def _downloads(downloads: str, others: ValidationInfo) -> str:
    """Refuse redirect for a folder: it has no server that a signed URL could name."""
    url = others.data.get("artifacts", "s3://unknown")  # absent: `artifacts` itself was refused
    if downloads == "redirect" and not re.match("(s3|gs|az)://", url):
        raise ValueError(
            "redirect needs an object store: set ACESTEP_ARTIFACTS to an s3://, gs:// or az:// "
            "URL, or ACESTEP_DOWNLOADS to stream"
        )
    return downloads


class Events(Group):
    """Streams of events (GET /v1/jobs/{job_id}/events, GET /v1/events)."""

    streams: int = Field(
        1000, ge=1, le=1500, description="Most open streams per ingress replica; above it: 503."
    )
    heartbeat_seconds: float = Field(
        15.0,
        ge=1,
        description="After this time without an event a heartbeat is sent, seconds: proxies cut "
        "silent connections.",
    )


class Defaults(Group):
    """Values of a request that does not give them."""

    duration: float = Field(60.0, ge=1, le=600, description="Length of a take, seconds.")
    batch_size: int = Field(2, ge=1, le=8, description="Takes per job.")
    job_seconds: float = Field(
        5.0, gt=0, description="Seconds per job, for the ETA, until jobs were measured."
    )


class Lyrics(Group):
    """How a song's length is estimated from its lyrics (LM jobs without a duration)."""

    words_per_second: float = Field(2.2, ge=0.5)
    chars_per_second: float = Field(12.0, ge=4)
    min_duration: float = Field(45.0, ge=10)
    max_duration: float = Field(180.0, ge=10)
    lm_min_duration: float = Field(
        30.0, ge=0, description="A shorter LM duration is not used for a song with lyrics, seconds."
    )


class Ingest(Group):
    """Limits of the child process that reads a client's audio."""

    seconds: float = Field(600.0, gt=0, description="Longest source audio, seconds of sound.")
    cpu_seconds: float = Field(60.0, gt=0, description="Most CPU time to read it, seconds.")
    memory_bytes: int = Field(2_000_000_000, ge=512_000_000, description="Address space, bytes.")
    concurrency: int = Field(2, ge=1, description="Files read at a time, per ingress replica.")


class Mock(Group):
    """How the mock engines behave."""

    step_seconds: float = Field(
        0.0, ge=0, le=60, description="Seconds added to each diffusion step, to imitate a GPU."
    )
    token_seconds: float = Field(
        0.0, ge=0, le=1, description="Seconds added to each audio code, to imitate a GPU."
    )


class Jobs(Group):
    """How long a job may take, and how long it is kept. Times are in seconds."""

    timeout: float = Field(
        3600.0, gt=0, description="Longest time that a job may run without a break; then it fails."
    )
    lease_seconds: float = Field(
        5.0,
        gt=0,
        description="A runner that does not renew its leases for this time loses its jobs.",
    )
    max_starts: int = Field(
        3,
        ge=1,
        description="A job whose worker was lost this many times, before or after the job began, "
        "fails with worker_lost.",
    )
    keep: float = Field(
        7 * 86400.0, gt=0, description="Ended jobs and their audio are kept for this time."
    )
    keep_expired: float = Field(
        30 * 86400.0, gt=0, description="Expired ids return 410 for this time."
    )
    keep_idempotency: float = Field(
        86400.0, gt=0, description="An Idempotency-Key is kept for this time."
    )
    repeat_seconds: float = Field(
        600.0,
        ge=0,
        description="A request of POST /release_task whose client disconnected before the response "
        "is the same job if it is repeated within this time. 0: every request is a new job.",
    )
    purge_every: float = Field(60.0, gt=0, description="Time between two purges.")
    search_every: float = Field(
        3600.0, gt=0, description="Time between two searches for audio that belongs to no job."
    )
    orphan_age: float = Field(
        3600.0, ge=0, description="Audio younger than this is never deleted as orphaned."
    )


class Restarts(Group):
    """What `acestep-ray serve` does when its Ray node has died: it starts another one."""

    limit: int = Field(
        5,
        ge=0,
        description="Most restarts in a row; then it gives up, with exit status 1. 0: no restart. "
        "It should be more than jobs.max_starts: a job that kills the node each time then fails "
        "before the service gives up.",
    )
    healthy_seconds: float = Field(
        600.0,
        gt=0,
        description="After a node was up for this time, restarts are counted from 0, seconds.",
    )


class _Preset(PydanticBaseSettingsSource):
    """The settings of the preset that a source of higher priority has chosen."""

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        """One field of the preset's tree."""
        return self().get(field_name), field_name, True

    def __call__(self) -> dict[str, Any]:
        """The preset's tree; empty for an unknown name, which validation refuses."""
        name = self.current_state.get("preset", "")
        return PRESETS.get(name, {}) if isinstance(name, str) else {}


class Settings(BaseSettings):
    """The whole tree. ``Settings()`` reads the environment; keyword arguments come from YAML."""

    model_config = SettingsConfigDict(
        env_prefix="ACESTEP_",
        env_nested_delimiter="__",
        extra="forbid",
        frozen=True,
        env_ignore_empty=True,
        validate_default=True,
        hide_input_in_errors=True,  # it may be a secret
    )

    preset: PresetName = Field(
        "",
        description="Defaults for one GPU of 4, 6 or 8 GB (4gb, 6gb, 8gb), 12 to 16 GB (12gb), "
        "from 24 GB (24gb), one machine with several (box), or a cluster that grows on demand "
        "(cluster).",
    )
    decoder: DecoderBackend = Field("mock", description="Decoder engine.")
    planner: PlannerBackend = Field("mock", description="Planner engine.")
    planners: Planners = Field(
        (),
        description="Planners side by side; requests choose by lm_model_path and lm_backend, and "
        "get the first by default. Empty: one, of `planner` and `lm.model`.",
    )
    decoders: Decoders = Field(
        (),
        description="Decoder models side by side; requests choose by model, and get the first by "
        "default. Empty: one, of `decoder` and `dit.model`.",
    )
    checkpoints: Path | None = Field(None, description="Folder of model checkpoints.")
    data: Annotated[Path, AfterValidator(absolute)] = Field(
        Path("data"), description="Folder for SQLite and local artifacts."
    )
    # The whole URL is secret: it may hold a password.
    store: Annotated[SecretStr, AfterValidator(checked_store_url)] = Field(
        SecretStr(""),
        description="Job store: sqlite:///FILE, redis://HOST:PORT/DB, rediss://, unix://. Empty: "
        "jobs.sqlite in data.",
    )
    store_password: Annotated[SecretStr | None, AfterValidator(only_password)] = Field(
        None, description="Password of the Redis that `store` names without one."
    )
    store_resource: str = Field(
        "",
        description="Ray resource of the nodes that the job store actor may run on. Empty: any.",
    )
    artifacts: Annotated[str, AfterValidator(_artifacts_url)] = Field(
        "", description="Object-store URL for audio (file, s3, gs, az). Empty: artifacts in data."
    )
    adapters: Annotated[str, AfterValidator(_adapters_place)] = Field(
        "",
        description="Folder of LoRA and LoKr adapters that requests may use, or its object-store "
        "URL (s3, gs, az). Empty: none.",
    )
    artifacts_shared: bool = Field(
        False, description="Every node has the folder of file:// artifacts (for example by NFS)."
    )
    downloads: Annotated[Literal["stream", "redirect"], AfterValidator(_downloads)] = Field(
        "stream", description="Takes come through the service, or from a signed URL of the store."
    )
    download_seconds: int = Field(
        300, ge=1, le=604_800, description="How long a signed URL is valid, seconds."
    )
    port: int = Field(8001, ge=1, le=65535, description="HTTP port; used by `make serve`.")
    dashboard: bool = Field(
        True,
        description="`acestep-ray serve` starts Ray's dashboard. Without it a start takes less "
        "processor time; `serve status` and `serve deploy` cannot be used then.",
    )
    metrics: bool = Field(True, description="Record the metrics of this service (acestep_*).")
    metrics_port: int | None = Field(
        None,
        ge=1,
        le=65535,
        description="Port of the metrics for Prometheus, path /metrics, on every address of this "
        "machine; used by `acestep-ray serve`. None: a free port, another one at each start.",
    )
    public_url: str = Field(
        "", description="Address that clients use; if set, audio paths are absolute URLs under it."
    )
    allow_public: bool = Field(
        False, description="Let `acestep-ray serve` listen beyond loopback without an API key."
    )
    api_key: SecretStr | None = Field(None, description="Bearer token. None: open to all.")
    cors_origins: Annotated[
        tuple[str, ...], NoDecode, BeforeValidator(words), AfterValidator(origins)
    ] = Field(
        ("loopback",),
        description="Web pages that may call the service from a browser (CORS): origins such as "
        "https://music.example.org, with commas; loopback: every port of this machine; null: local "
        "files, and any page that hides its origin; *: all; none: no page.",
    )
    audio_roots: Annotated[tuple[Path, ...], NoDecode, BeforeValidator(paths)] = Field(
        (), description="Folders that *_audio_path may point into. Empty: inputs in data."
    )
    limits: Limits = Limits()
    events: Events = Events()
    defaults: Defaults = Defaults()
    lyrics: Lyrics = Lyrics()
    lm: Lm = Lm()
    dit: Dit = Dit()
    scaling: Scaling = Scaling()
    ingest: Ingest = Ingest()
    mock: Mock = Mock()
    jobs: Jobs = Jobs()
    webhooks: Webhooks = Webhooks()
    restarts: Restarts = Restarts()
    logs: Logs = Logs()
    tracing: Tracing = Tracing()

    @model_validator(mode="after")
    def _possible_together(self) -> Self:
        backends = {self.planner} if not self.planners else {one.backend for one in self.planners}
        if self.scaling.gpu_turns and "vllm" in backends:
            raise ValueError(
                "scaling.gpu_turns is not for the vllm planner, which keeps its part of the GPU: "
                "set planner, or the backend of each of planners, to pt"
            )
        if self.dit.compile and (self.scaling.gpu_turns or self.scaling.unload_seconds):
            raise ValueError(
                "dit.compile cannot be used with scaling.gpu_turns or scaling.unload_seconds: set "
                "dit.compile to false, or gpu_turns to false and unload_seconds to 0"
            )
        if self.lm.quantization and "vllm" in backends:
            raise ValueError(
                "lm.quantization is not for the vllm planner: set planner, or the backend of each "
                "of planners, to pt"
            )
        return self

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Priority: the environment, then YAML, then the preset, then the defaults."""
        return (env_settings, init_settings, _Preset(settings_cls))

    @property
    def store_url(self) -> str:
        """URL of the job store; it may hold a password."""
        return self.store.get_secret_value() or f"sqlite:///{self.data / 'jobs.sqlite'}"

    def url(self, path: str) -> str:
        """An address for clients: absolute if the public address is known."""
        return self.public_url.rstrip("/") + path

    @property
    def store_on_one_node(self) -> bool:
        """Whether the job store is a file, which one process of one node may open."""
        return on_one_node(self.store_url)

    @property
    def artifacts_url(self) -> str:
        """URL of the artifact storage."""
        return self.artifacts or (self.data / "artifacts").as_uri()

    @property
    def audio_root_dirs(self) -> tuple[Path, ...]:
        """Folders that ``*_audio_path`` may point into: absolute, with links resolved."""
        roots = self.audio_roots or (self.data / "inputs",)
        return tuple(root.expanduser().resolve() for root in roots)

    @property
    def audio_root_names(self) -> str:
        """The same folders as text for clients: as they were set, to show nothing else."""
        return ", ".join(map(str, self.audio_roots)) or "the folder inputs in its data folder"
