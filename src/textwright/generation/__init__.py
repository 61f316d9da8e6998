"""Generation: prompts to completions. Start at ``engine.generate``."""
