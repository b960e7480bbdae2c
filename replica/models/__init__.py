"""From blocks to formulas: what follows for every prior, channel, loss and constraint alike."""
