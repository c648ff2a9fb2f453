"""What one does with trained adapters: merge them, keep several on one base, time them, give them away."""
