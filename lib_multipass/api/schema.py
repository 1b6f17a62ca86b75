"""What our endpoints take and answer, for the webui's OpenAPI page (pydantic 1 or 2, as fastapi has it there)."""

from __future__ import annotations

from typing import Any

from pydantic import VERSION, BaseModel, Field, validator

from lib_multipass.api.requests import LARGEST_BATCH, LARGEST_SCALE, LARGEST_SIDE

_SIDE = {"minimum": 1, "maximum": LARGEST_SIDE}
_RESIZED = {"minimum": 0, "maximum": LARGEST_SIDE, "description": "0 leaves it to hr_scale."}
"""Limits for the documentation; they are checked where the panel's values are, too."""
NULL = {"nullable": True}
"""Pydantic 1 takes null where the type says so, but does not say so in the document."""

SHOWN = {
    "example": {
        "width": 512,
        "height": 768,
        "enable_hr": True,
        "hr_scale": 2,
        "hr_upscaler": "Latent",
        "alwayson_scripts": {"Multipass": {"args": {"checkpoint": "photo.safetensors"}}},
    }
}


if VERSION.startswith("1."):

    class _Shown:
        """Gives a model an example in the document."""

        schema_extra = SHOWN
else:

    class _Shown:
        """The same for pydantic 2, which Forge Neo has."""

        json_schema_extra = SHOWN


class PlanBody(BaseModel):
    """The part of a ``/sdapi/v1/txt2img`` body that the plan depends on; everything else in it is ignored."""

    prompt: str = Field("", description="Looked through for LoRAs, which take memory.")
    hr_prompt: str = Field("", description="As prompt, for the hires pass.")
    width: int = Field(512, description="Of the first pass, in pixels.", **_SIDE)
    height: int = Field(512, description="Of the first pass, in pixels.", **_SIDE)
    batch_size: int = Field(1, description="Pictures at a time.", minimum=1, maximum=LARGEST_BATCH)
    enable_hr: bool = Field(False, description="Multipass switches the hires pass on where this is false.")
    hr_scale: float = Field(2.0, description="How much the hires pass enlarges.", minimum=0, maximum=LARGEST_SCALE)
    hr_resize_x: int = Field(0, **_RESIZED)
    hr_resize_y: int = Field(0, **_RESIZED)
    hr_upscaler: str | None = Field(None, **NULL, description="Name of the upscaler; null is Latent.")
    refiner_checkpoint: str | None = Field(None, **NULL, description="Takes memory beside the job's checkpoints.")
    refiner_switch_at: float | None = Field(None, **NULL, description="From 1 on there is no refiner.")
    override_settings: dict[str, Any] | None = Field(
        None,
        **NULL,
        description="`sd_model_checkpoint` is the first pass's; the other settings count where they matter.",
    )
    alwayson_scripts: dict[str, Any] | None = Field(
        None, **NULL, description="`Multipass` and `ADetailer`, each with `args` as in a txt2img request."
    )

    @validator("hr_scale", "refiner_switch_at", pre=True)
    def _within_reach(cls, value: Any) -> Any:  # noqa: N805 - how pydantic 1 asks
        """A whole number beyond all floats is no float; pydantic would let the OverflowError through."""
        if isinstance(value, int) and abs(value) > 1e300:
            raise ValueError("is too large")
        return value

    class Config(_Shown):
        pass


class Pass(BaseModel):
    """One pass and who makes it."""

    role: str = Field(description='"first pass", "second pass", "faces" or "refiner"')
    checkpoint: str = Field(
        description="File name without folder and extension; its path where two have one name.", example="photo"
    )
    architecture: str = Field(example="SDXL")
    bytes: int = Field(description="What it takes once loaded, estimated from the file's header.")


class Kept(BaseModel):
    """One of the job's checkpoints: where it lies now, and where it will be kept."""

    checkpoint: str = Field(example="photo")
    bytes: int
    now: str = Field(description='"VRAM", "RAM" or "disk"')
    then: str = Field(description='"VRAM", "RAM", or "disk" if it will be loaded every time')


class PlannedMemory(BaseModel):
    """Bytes free now and needed for the checkpoints at most; null where it cannot be told."""

    vram_free: int | None = Field(**NULL)
    vram_total: int | None = Field(**NULL)
    vram_needed: int
    vram_reserve: int = Field(description="Left to the pictures and to the user's reserve.")
    ram_free: int | None = Field(**NULL)
    ram_needed: int
    ram_reserve: int


class PlanAnswer(BaseModel):
    """What the request would do."""

    passes: list[Pass]
    checkpoints: list[Kept]
    memory: PlannedMemory
    keep: str = Field(description="The wish that the plan follows.", example="Automatic")
    reason: str = Field(description="Why checkpoints are not kept in the best place; empty if they are.")
    warnings: list[str] = Field(description="What the job would comment on.")
    not_kept: str = Field(description="Why a pass is made anew in each job; empty where an unchanged one is not.")
    order: str = Field(description="In which order the passes of several batches are made; empty in the usual one.")


class CheckpointAnswer(BaseModel):
    """A checkpoint file: what its header says, and where it is now."""

    name: str = Field(description="Path below the checkpoint folder.", example="photos/photo.safetensors")
    title: str = Field(description="What the webui's dropdown shows.", example="photos/photo.safetensors [dd33ee44ff]")
    hash: str | None = Field(**NULL, description="Ten digits of the SHA-256; null until the webui has computed it.")
    sha256: str | None = Field(**NULL)
    architecture: str = Field(description='"unknown" where the header does not tell, as of a .ckpt.', example="SD 1.x")
    kind: str = Field(description='"checkpoint", "diffusion model alone", "VAE", "LoRA" or "unknown"')
    inpainting: bool = Field(description="Whether it was made for inpainting.")
    parameters: dict[str, int] = Field(
        description="Numbers of elements by component.", example={"diffusion": 859520964}
    )
    dtypes: list[str] = Field(description="Of the tensors in the file.", example=["F16"])
    file_bytes: int
    loaded_bytes: int = Field(description="What it takes once loaded, estimated from the header.")
    place: str = Field(description='Where it is now: "VRAM", "RAM" or "disk"')
    problem: str | None = Field(**NULL, description="Why it cannot make a pass; null if nothing speaks against it.")


class LoadedAnswer(BaseModel):
    """A loaded checkpoint."""

    checkpoint: str = Field(
        description="File name without folder and extension; its path where two have one name.", example="photo"
    )
    place: str = Field(description='"VRAM" or "RAM"')
    bytes: int = Field(description="What it takes, estimated from the file's header.")
    active: bool = Field(description="Whether it is the one that the webui works with at the moment.")
    kept: str = Field(description='Where Multipass keeps it: "VRAM", "RAM" or "disk"; empty where it has no say.')


class FreeMemory(BaseModel):
    """Bytes; null where it cannot be told."""

    vram_free: int | None = Field(**NULL)
    vram_total: int | None = Field(**NULL)
    ram_free: int | None = Field(**NULL)


class StateAnswer(BaseModel):
    """What is kept where, at this moment; during a job it may change from one request to the next."""

    version: str = Field(description="Of Multipass.", example="0.1.0")
    busy: bool = Field(description="Whether the webui is at work.")
    selected: str | None = Field(**NULL, description="Title of the checkpoint that is selected in the webui.")
    keeping: bool = Field(description="Whether a Multipass job's checkpoints are kept beyond the webui's own settings.")
    limit: int = Field(description="The webui's own number of checkpoints to keep, as the user set it.")
    loaded: list[LoadedAnswer]
    memory: FreeMemory


class ReleaseAnswer(BaseModel):
    """What was let go of, and what stays."""

    released: list[str] = Field(description="Names of the checkpoints that were let go of.", example=["photo"])
    bytes: int = Field(description="What they took, estimated from their files' headers.")
    kept: list[str] = Field(description="Names of those that stay, since the webui's own settings keep them.")


class Refusal(BaseModel):
    """A request that cannot be done."""

    detail: str | list[dict[str, Any]] = Field(
        description="A sentence, or where a value has the wrong type fastapi's list of places.",
        example="hr_scale: 1000.0 is not allowed here; it has to be from 0 to 64.",
    )
