"""Text of a chain -> answer; two answers -> same or not."""
