"""Published experiments, to be run again: ``blocks reproduce NAME``."""
