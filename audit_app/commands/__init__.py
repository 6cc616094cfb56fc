"""The command line: one module for each noun; `launch.py` puts them together."""
