"""The headers of the pages that servers give out: a browser loads nothing from other hosts for them and tells nobody of them."""

from __future__ import annotations


def page_headers(framed: bool = False) -> dict[str, str]:
    """For a page and all that it loads. `framed`: pages of the same server may show it in a frame, else nobody may."""
    framing = "'self'" if framed else "'none'"
    policy = (
        "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; connect-src 'self' data:; "
        f"frame-src 'self'; base-uri 'none'; form-action 'none'; frame-ancestors {framing}"
    )
    return {
        "Cache-Control": "no-store",
        "Content-Security-Policy": policy,
        "Cross-Origin-Resource-Policy": "same-origin",
        "Referrer-Policy": "no-referrer",
        "X-Content-Type-Options": "nosniff",
    }
