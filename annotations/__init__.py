"""What readers said about radiographs, and where it is kept."""
