"""Models and what they attend to: arrays in, arrays out. The only package that imports torch."""
