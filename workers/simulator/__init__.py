"""An OpenAI-compatible server that replays recorded answers and plays faults on script."""
