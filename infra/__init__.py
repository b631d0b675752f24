"""The embedded broker and the processes of a stack."""
