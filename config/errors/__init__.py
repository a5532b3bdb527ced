"""What is wrong with data, in words that help to mend it."""
