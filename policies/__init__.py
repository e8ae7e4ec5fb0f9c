"""Pure rules: values in, decision out. No I/O, no clock, no randomness; `now` is an argument."""
