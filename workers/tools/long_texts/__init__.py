"""Texts that fit no prompt: cut into parts that do, and the parts' answers put together again."""
