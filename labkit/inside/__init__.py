"""Looking inside a model: what training changed, and what was forgotten."""
