"""What survives a crash: claims, answers that were paid for, cached answers."""
