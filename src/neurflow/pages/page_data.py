"""What the data of all pages have in common: strict models, and pictures as data URIs."""

from __future__ import annotations

import base64

from pydantic import BaseModel, ConfigDict


class PageModel(BaseModel):
    """Data of a page. Fields with defaults are written as well, as the front end's types say."""

    model_config = ConfigDict(
        extra="forbid", allow_inf_nan=False, json_schema_serialization_defaults_required=True
    )


def data_uri(webp: bytes) -> str:
    """Return a picture as an address that contains it."""
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
