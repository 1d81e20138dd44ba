"""The plan as C, built by the machine's own compiler: the target for speed."""
