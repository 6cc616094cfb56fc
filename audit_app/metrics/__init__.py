"""Numbers that compare maps with readings: pure functions of arrays (definitions.md)."""
