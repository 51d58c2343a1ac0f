"""What every long run needs: memory, progress, work in progress, files."""
