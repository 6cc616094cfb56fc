"""The viewer: the reading panel and the comparison as components, their scripts, their routes."""
