"""Each equation of the method once more, written slowly and plainly, to compare against."""
