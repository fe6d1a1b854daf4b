"""The report as one web page that needs nothing but itself."""

from __future__ import annotations

from collections.abc import Sequence

from harness import Reporter, hookimpl
from harness.report import Report


class Html(Reporter):
    name = "html"
    endings = (".html", ".htm")
    description = "one self-contained page: tables that sort, charts, light and dark; needs no network"

    def render(self, report: Report) -> str:
        from .page import page_of

        return page_of(report)


@hookimpl
def harness_reporters() -> Sequence[Reporter]:
    return [Html()]
