"""Infrastructure of long runs: memory, progress, intermediate results, files."""
