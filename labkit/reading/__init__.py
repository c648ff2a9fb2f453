"""Reading summaries: what they share with references, side by side, and judged blindly."""
