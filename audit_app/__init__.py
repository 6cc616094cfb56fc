"""The product: reading, comparing and auditing; the only package that knows the other two."""
