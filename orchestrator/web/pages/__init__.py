"""The web pages: one file a page, each with its router."""

from fastapi import APIRouter


def every_page() -> tuple[APIRouter, ...]:
    """Return the routers of all pages."""
    from firstline.orchestrator.web.pages import (
        compare,
        families,
        item,
        job,
        jobs,
        login,
        money,
        quality,
        reviews,
        submit,
        workers,
        workflows,
    )

    # `items/{item}` before the job's own pages: the first that fits answers.
    modules = (login, jobs, submit, item, job, money, quality, families, compare, reviews, workers, workflows)
    return tuple(module.router for module in modules)
