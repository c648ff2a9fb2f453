"""What methods cost: memory predicted and measured, and cost against quality."""
