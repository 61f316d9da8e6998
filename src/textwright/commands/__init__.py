"""One file per command: a function from its arguments to a result, which the command line prints."""
