"""What checks an evidence bundle: Python's standard library only, 3.9 or newer. These files become the one `verify.py` of a bundle."""
