"""Results as people take them away: lines, tables as files, a table of a database."""
