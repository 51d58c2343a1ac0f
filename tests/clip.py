"""A tiny CLIP made from a configuration."""

from pathlib import Path

import torch
from transformers import CLIPConfig, CLIPImageProcessor, CLIPModel, CLIPProcessor, CLIPTokenizer


def save_tiny_clip(folder: Path) -> None:
    """Save a CLIP with one layer of 16 features, random weights from a seed and a letter tokenizer."""
    letters = "abcdefghijklmnopqrstuvwxyz"
    ends = ("<|startoftext|>", "<|endoftext|>")
    tokens = [*letters, *(f"{letter}</w>" for letter in letters), *ends]
    vocabulary = {token: i for i, token in enumerate(tokens)}
    start, end = (vocabulary[token] for token in ends)
    small = {
        "hidden_size": 16,
        "intermediate_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
    }
    text = {
        **small,
        "vocab_size": len(tokens),
        "max_position_embeddings": 32,
        "bos_token_id": start,
        "eos_token_id": end,
        "pad_token_id": end,
    }
    vision = {**small, "image_size": 32, "patch_size": 8}
    torch.manual_seed(0)
    model = CLIPModel(CLIPConfig(text_config=text, vision_config=vision, projection_dim=8))
    model.save_pretrained(folder)
    pixels = CLIPImageProcessor(size={"shortest_edge": 32}, crop_size={"height": 32, "width": 32})
    tokenizer = CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=32)
    CLIPProcessor(image_processor=pixels, tokenizer=tokenizer).save_pretrained(folder)
