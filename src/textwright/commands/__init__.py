"""One file per verb: reads its arguments, calls the stations in order, prints the result."""
