"""What the commands print: pure functions from what the server answered to text."""
