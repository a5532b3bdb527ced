"""Everything that steers: producer API, planner, ladder, store, rescue, reports, CLI and pages."""
