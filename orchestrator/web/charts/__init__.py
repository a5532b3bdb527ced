"""Charts of the pages: what is drawn, as data."""
