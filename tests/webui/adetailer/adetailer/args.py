from pydantic import BaseModel, Extra, validator


class ADetailerArgs(BaseModel, extra=Extra.forbid):
    """One tab. An unknown key makes the whole tab invalid."""

    ad_model: str = "None"
    ad_tab_enable: bool = True
    ad_prompt: str = ""
    ad_negative_prompt: str = ""
    ad_confidence: float = 0.3
    ad_dilate_erode: int = 4
    ad_mask_blur: int = 4
    ad_denoising_strength: float = 0.4
    ad_inpaint_only_masked: bool = True
    ad_inpaint_only_masked_padding: int = 32
    ad_use_steps: bool = False
    ad_steps: int = 28
    ad_use_checkpoint: bool = False
    ad_checkpoint: str | None = None
    ad_use_vae: bool = False
    ad_vae: str | None = None
    is_api: bool = True

    @validator("is_api", pre=True)
    def is_api_validator(cls, v):  # the page sends a tuple, which JSON has no way to make
        return not isinstance(v, tuple)

    def need_skip(self) -> bool:
        return self.ad_model == "None" or not self.ad_tab_enable

    def extra_params(self, suffix: str = ""):
        """For the infotext: nothing empty, and what a separate checkpoint or VAE is only if it is used."""
        if self.need_skip():
            return {}
        known = {label: getattr(self, name) for name, label in _labels.items() if getattr(self, name) != ""}
        for switch, label in (("steps", "steps"), ("checkpoint", "checkpoint"), ("VAE", "VAE")):
            if not known[f"ADetailer use separate {switch}"]:
                del known[f"ADetailer use separate {switch}"], known[f"ADetailer {label}"]
        return {label + suffix: value for label, value in known.items()}


_special = {
    "ad_use_steps": "use separate steps",
    "ad_use_checkpoint": "use separate checkpoint",
    "ad_use_vae": "use separate VAE",
    "ad_vae": "VAE",
    "ad_inpaint_only_masked_padding": "inpaint padding",
}
_labels = {
    name: "ADetailer " + _special.get(name, name.removeprefix("ad_").replace("_", " "))
    for name in ADetailerArgs.__fields__
    if name not in ("is_api", "ad_tab_enable")
}
