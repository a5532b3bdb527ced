"""`firstline calibrations`: the thresholds there are, and whether they still hold."""

from firstline.orchestrator.cli._options import Json

PANEL = "Quality"


def calibrations(as_json: Json = False) -> None:
    """List calibrations: live ones, those that died with their skill or model, those that drifted; with the reason."""
    from firstline.orchestrator.cli._calibration import show_standings
    from firstline.orchestrator.quality.calibrations import standings

    show_standings(standings(), as_json=as_json)
