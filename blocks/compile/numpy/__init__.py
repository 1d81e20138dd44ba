"""The plan as readable NumPy: the first target."""
