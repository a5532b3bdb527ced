"""Model providers: their keys, their list prices, and what is missing."""
