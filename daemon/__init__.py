"""The only place that touches the clock, the databases and the process; it wires policies to channels."""
