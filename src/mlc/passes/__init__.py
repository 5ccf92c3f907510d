"""One file per pass: what it reads, what it decides, how it names its wishes."""
