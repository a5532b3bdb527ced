"""The web pages: one file a page, each with its router."""

from fastapi import APIRouter


def every_page() -> tuple[APIRouter, ...]:
    """Return the routers of all pages."""
    from firstline.orchestrator.web.pages import (
        calibrate,
        compare,
        doors,
        item,
        items,
        job,
        jobs,
        login,
        money,
        overview,
        quality,
        reviews,
        shelf,
        submit,
        tune,
        workers,
        workflows,
    )

    # `items` and `items/{item}` before the job's own pages: the first that fits answers.
    of_jobs = (overview, jobs, submit, item, items, job)
    modules = (login, *of_jobs, money, quality, calibrate, tune, compare, reviews, workers, doors, shelf, workflows)
    return tuple(module.router for module in modules)
