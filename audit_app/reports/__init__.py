"""Tables and files of audits."""
