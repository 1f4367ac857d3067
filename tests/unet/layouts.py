"""The layouts of published text-to-image networks, narrowed."""

import importlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

SD15: dict[str, Any] = {
    "in_channels": 4,
    "out_channels": 4,
    "sample_size": 64,
    "block_out_channels": (32, 64, 64, 64),
    "layers_per_block": 1,
    "down_block_types": ("CrossAttnDownBlock2D",) * 3 + ("DownBlock2D",),
    "up_block_types": ("UpBlock2D",) + ("CrossAttnUpBlock2D",) * 3,
    "cross_attention_dim": 48,
    "attention_head_dim": 8,
    "norm_num_groups": 8,
}
SD21 = SD15 | {"use_linear_projection": True, "attention_head_dim": (2, 4, 4, 4), "cross_attention_dim": 64}
SDXL = SD15 | {
    "block_out_channels": (32, 64, 64),
    "down_block_types": ("DownBlock2D", "CrossAttnDownBlock2D", "CrossAttnDownBlock2D"),
    "up_block_types": ("CrossAttnUpBlock2D", "CrossAttnUpBlock2D", "UpBlock2D"),
    "transformer_layers_per_block": (1, 1, 2),
    "attention_head_dim": (2, 4, 4),
    "use_linear_projection": True,
    "addition_embed_type": "text_time",
    "addition_time_embed_dim": 8,
    "projection_class_embeddings_input_dim": 6 * 8 + 40,
}
DEEPFLOYD = {
    "in_channels": 3,
    "out_channels": 3,
    "sample_size": 64,
    "block_out_channels": (32, 64, 64),
    "layers_per_block": 1,
    "down_block_types": ("ResnetDownsampleBlock2D", "SimpleCrossAttnDownBlock2D", "SimpleCrossAttnDownBlock2D"),
    "mid_block_type": "UNetMidBlock2DSimpleCrossAttn",
    "up_block_types": ("SimpleCrossAttnUpBlock2D", "SimpleCrossAttnUpBlock2D", "ResnetUpsampleBlock2D"),
    "cross_attention_dim": 40,
    "encoder_hid_dim": 24,
    "encoder_hid_dim_type": "text_proj",
    "attention_head_dim": 8,
    "norm_num_groups": 8,
    "resnet_time_scale_shift": "scale_shift",
    "act_fn": "gelu",
}
LAYOUTS = {"sd15": (SD15, 8), "sd21": (SD21, 8), "sdxl": (SDXL, 8), "deepfloyd": (DEEPFLOYD, 1)}
"""The published layouts, narrowed; and the pixels that a feature stands for."""

VAE = {
    "block_out_channels": (8, 8, 16, 16),
    "down_block_types": ("DownEncoderBlock2D",) * 4,
    "up_block_types": ("UpDecoderBlock2D",) * 4,
    "latent_channels": 4,
    "norm_num_groups": 4,
    "layers_per_block": 1,
}


def source(layout: Mapping[str, Any], folder: Path, seed: int = 0) -> Path:
    """A diffusers model of this layout on the disk, with an autoencoder."""
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        diffusers: Any = importlib.import_module("diffusers")
        diffusers.UNet2DConditionModel(**layout).save_pretrained(folder / "unet")
        diffusers.AutoencoderKL(**VAE).save_pretrained(folder / "vae")
    return folder
