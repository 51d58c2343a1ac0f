"""The examples of ``docs/extending.md``, which tests run as they are printed there."""

import re
from pathlib import Path

GUIDE = Path(__file__).parents[1] / "docs" / "extending.md"


def example(heading: str, number: int = 0) -> str:
    """Return a code block of a section, the first by default."""
    section = re.search(rf"^## {heading}$(.*?)(?=^## |\Z)", GUIDE.read_text(), re.S | re.M)
    assert section is not None, f"the guide has no section {heading!r}"
    return re.findall(r"^```python\n(.*?)^```", section[1], re.S | re.M)[number]
