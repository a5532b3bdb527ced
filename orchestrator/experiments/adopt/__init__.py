"""Adopting: what recorded calls cost by family, what of them could move to cheaper models, and the proof."""
