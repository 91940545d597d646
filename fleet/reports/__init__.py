"""Reports: what a fleet did, as a table to read on a page, to take away as a file, or to get by mail."""
