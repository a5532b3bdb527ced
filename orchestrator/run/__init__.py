"""`firstline run`: everything that one command starts, follows and stops."""
