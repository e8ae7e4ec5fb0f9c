"""The demonstration: an invented city, four weeks of its life, and the real daemon enforcing its limits."""
