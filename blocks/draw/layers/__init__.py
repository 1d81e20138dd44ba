"""From a scene to a scene: what is laid over a figure, and what is made of several."""
