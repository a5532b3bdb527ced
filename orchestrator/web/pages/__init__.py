"""The web pages: one file a page, each with its router."""

from fastapi import APIRouter


def every_page() -> tuple[APIRouter, ...]:
    """Return the routers of all pages."""
    return ()
