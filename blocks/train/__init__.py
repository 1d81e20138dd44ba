"""Training: data in batches, optimizers, the loop over them, and model files."""
