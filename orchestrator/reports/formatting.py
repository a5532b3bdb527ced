"""Numbers as people read them: dollars, shares, seconds; an unknown one is a dash, never 0."""

UNKNOWN = "–"  # noqa: RUF001 -- a dash as wide as a digit


def dollars(amount_usd: float | None) -> str:
    """Return an amount with as many decimals as its size needs."""
    if amount_usd is None:
        return UNKNOWN
    if 0 < abs(amount_usd) < 0.0001:
        return f"${amount_usd:.2g}"
    return f"${amount_usd:,.2f}" if abs(amount_usd) >= 100 else f"${amount_usd:.4f}"


def percent(share: float | None, *, decimals: int = 1) -> str:
    """Return a share of 1 in percent."""
    return UNKNOWN if share is None else f"{100 * share:.{decimals}f}%"


def seconds(duration_s: float | None) -> str:
    """Return a duration: `0.42 s`, `12.3 s`, `3 min 20 s`, `2 h 05 min`."""
    if duration_s is None:
        return UNKNOWN
    if duration_s < 10:
        return f"{duration_s:.2f} s"
    if duration_s < 60:
        return f"{duration_s:.1f} s"
    minutes, rest_s = divmod(round(duration_s), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s:02d} s"
    return f"{minutes // 60} h {minutes % 60:02d} min"


def count(number: int, noun: str) -> str:
    """Return a number with its noun in the right form."""
    return f"{number:,} {noun}" if number == 1 else f"{number:,} {noun}s"
