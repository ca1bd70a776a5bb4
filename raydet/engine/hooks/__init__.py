"""The hooks of a run, one idea a file."""
