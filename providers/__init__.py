"""Models: chat and embedding endpoints, and the offline defaults."""
