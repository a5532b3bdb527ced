"""Addresses of other services that pages link to."""

from urllib.parse import quote


def flower_tasks(flower_url: str | None, job: str) -> str | None:
    """Return where Flower lists the messages of a job; None where no Flower is known."""
    if flower_url is None:
        return None
    # Of its search, Flower takes three fields from the address; what follows the first one's value is another field.
    return f"{flower_url.rstrip('/')}/tasks?name={quote(f'firstline args:job={job}', safe='')}"
