"""What a memory is and what may happen to it."""
