"""Tasks, one file each: how an example is read, put to a model, and judged."""
