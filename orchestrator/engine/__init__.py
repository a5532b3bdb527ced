"""From a trail to what follows: judging, applying, releasing, publishing."""
