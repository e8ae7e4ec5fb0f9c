"""Knowing beforehand: what policies will do, what they would have done, and what is wrong with them."""
