"""Token shards on disk, and batches as a pure function of seed and step."""
