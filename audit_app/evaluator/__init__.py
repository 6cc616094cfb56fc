"""The three-mode evaluator: zero-shot, linear probe and fine-tune on one set of labels."""
