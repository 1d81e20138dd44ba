"""What other programs make of the figures: TeX, browsers, a notebook. `.ci/more` runs these."""
