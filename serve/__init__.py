"""Where the real parts are put together: wiring, CLI, the worker and its view."""
