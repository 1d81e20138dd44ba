"""Random networks in PyTorch and in blocks: `.ci/more exchange`. PyTorch is needed for that alone, not for the tests."""
