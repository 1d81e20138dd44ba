"""From a diagram to a scene: where everything stands, and how its wires run."""
