"""Changes of graphs: each a pure function Graph → Graph, one sweep, in a file of its own."""
