"""Reads the frames of a lab from its HTML."""

from __future__ import annotations

import base64
import json
import re


def frames_of(page: str) -> list[tuple[bytes, str]]:
    """Return the images and sentences in a lab's HTML, in the order of `Lab.frames`."""
    data = re.search(r'<script type="application/json">(.*?)</script>', page, re.DOTALL)[1]
    return [(base64.b64decode(source.split(",", 1)[1]), text) for source, text in json.loads(data)["frames"]]
