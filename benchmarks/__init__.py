"""Product and peers side by side on one machine, in one run. `make bench`; see README.md."""
