"""Networks that predict text. Each family is a file and a row in the catalogue."""
