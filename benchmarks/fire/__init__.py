"""What is promised, under fire: long campaigns that are no part of the tests."""
