"""The parts of a decision: when the ladder speaks, to whom, over which channels, and in which words it is explained."""
