"""From a scene to bytes, a format a file."""
