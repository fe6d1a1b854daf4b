"""What the page may do: run the scripts that it was written with, and nothing else."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Sequence
from typing import Any


class Asset:
    """A script or a style sheet that stands in the page, known to the browser by its hash."""

    def __init__(self, text: str) -> None:
        # As an HTML parser hands it on, of which the hash is taken; and nothing in it ends the element.
        text = text.replace("\r\n", "\n").replace("\r", "\n").replace("\0", "\\0")
        text = re.sub(r"</(?=script|style)", r"<\\/", text, flags=re.IGNORECASE)
        self._text = text.replace("<!--", "<\\!--")

    def __html__(self) -> str:
        """The text as it is: this and `Json` are all in the page that is not escaped."""
        return self._text

    @property
    def hash(self) -> str:
        digest = hashlib.sha256(self._text.encode("utf-8")).digest()
        return f"'sha256-{base64.b64encode(digest).decode('ascii')}'"


class Json:
    """Data that stand in the page for a script to read."""

    def __init__(self, data: Any) -> None:
        text = json.dumps(data, separators=(",", ":"))  # in ASCII: U+2028 and lone surrogates are escaped
        self._text = text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")

    def __html__(self) -> str:
        """JSON in which nothing ends the element or begins a comment."""
        return self._text


def policy(scripts: Sequence[Asset], styles: Sequence[Asset]) -> str:
    """A Content-Security-Policy for a page that needs nothing from anywhere.

    No eval: Vega's expressions are interpreted. No markup out of strings: the page's policy for trusted types lets
    only the empty string through, with which Vega clears an element.
    """
    return "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(script.hash for script in scripts)}",
            f"style-src {' '.join(style.hash for style in styles)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
            "require-trusted-types-for 'script'",
            "trusted-types default",
        ]
    )
